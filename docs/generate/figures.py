"""Draw the figures of the result pages from the result files in docs/results.

    python -m docs.generate.figures

The same functions draw a run's own curves: `rehearse.py --summary`, `run_ogbench.py --summary`.
"""

from pathlib import Path

from docs.generate.results import load
from tasks.cube_spin.evaluation.figures import learning_figure
from tasks.cube_spin.hand.curves import curve_figure
from tasks.ogbench import report

ROOT = Path(__file__).resolve().parents[2]
EPISODES = 50
VARIANTS = {
    "flow, chunk critics": "flow",
    "Gaussian over chunks": "gaussian",
    "critics of single steps (H = 1 backup)": "per_step",
    "no likelihood (λ = 0)": "no_likelihood",
    "one candidate (K = 1)": "one_candidate",
}
"""Rows of ogbench_variants.json, and what the runs call them."""
STAGES = (("imitation", 0), ("warm_up", 0), ("offline", 0), ("online", 10_000), ("online", 20_000))
"""What the table's columns are: stages and environment steps."""


def ogbench_runs(folder: Path) -> list[dict]:
    """Runs as `run_ogbench.py` writes them, as far as the table knows them."""
    runs = []
    for label, *successes in load(folder / "ogbench_variants.json").rows:
        rows = []
        for (stage, steps), success in zip(STAGES, successes, strict=True):
            wins = round(success * EPISODES)
            done = [True] * wins + [False] * (EPISODES - wins)
            row = report.evaluation(stage, done, [0] * EPISODES, updates=0, env_steps=steps)
            rows.append(row)
        runs.append(report.result(rows, {"variant": VARIANTS[label], "seed": 0}, {}))
    return runs


def rehearsals(folder: Path) -> dict[str, list[dict]]:
    """Curves as `rehearse.py` writes them, as far as the table knows them."""
    curves: dict[str, list[dict]] = {}
    for label, minutes, per_minute, _, per_run, *_ in load(folder / "rehearsal.json").rows:
        rate = per_minute["value"]
        row = {
            "real_minutes": minutes,
            "rpm_in_hand": rate,
            "rpm_in_hand_ci95": per_minute["ci95"],
            "turns_per_run": per_run["value"],
            "turns_per_run_ci95": per_run["ci95"],
            "in_hand_s": 60.0 * per_run["value"] / rate,
        }
        curves.setdefault(label.replace("`", ""), []).append(row)
    return curves


def learning(folder: Path) -> dict[str, list[dict]]:
    """Curves of trainings in both simulators, as far as the table knows them."""
    curves: dict[str, list[dict]] = {}
    for label, steps, hold_s, ratio, *_ in load(folder / "teacher_learning.json").rows:
        row = {"env_steps": 1e6 * steps, "hold_s": hold_s, "spin_ratio": ratio}
        curves.setdefault(label, []).append(row)
    return curves


def draw(results: Path, media: Path) -> None:
    """Draw every figure whose numbers stand in result files."""
    curve_figure(media / "rehearsal.png", rehearsals(results))
    learning_figure(media / "learning.png", learning(results))
    report.curves_figure(media / "ogbench_variants.png", ogbench_runs(results))


if __name__ == "__main__":
    draw(ROOT / "docs/results", ROOT / "docs/media")
