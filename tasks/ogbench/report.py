"""What is told of the benchmark: a JSON file per run, and a table and learning curves over runs."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest

STAGES = {
    "imitation": "success_imitation",
    "warm_up": "success_best_of_k",
    "offline": "success_offline",
    "online": "success_online",
}
"""Stages, and what their success is called in a run's file."""
LABELS = {
    "flow": "flow, chunk critic",
    "gaussian": "Gaussian policy",
    "per_step": "critic per step",
    "no_likelihood": "no likelihood term",
    "one_candidate": "K = 1",
    "act": "ACT, imitation",
    "flow_matching": "flow matching, imitation",
}
"""Of the variants."""
_COLOURS = ("#2f6db5", "#d9822b", "#3d9a50", "#b5476b", "#8a8f98")
_HEADS = ("imitation (I)", "best of K (II)", "offline (III)", "online (IV)")


def evaluation(
    stage: str, succeeded: Sequence[bool], lengths: Sequence[int], *, updates: int, env_steps: int
) -> dict:
    """One evaluation's numbers, with a Wilson interval of the success."""
    interval = binomtest(sum(succeeded), len(succeeded)).proportion_ci(method="wilson")
    return {
        "stage": stage,
        "updates": updates,
        "env_steps": env_steps,
        "episodes": len(succeeded),
        "success": float(np.mean(succeeded)),
        "success_ci95": [float(interval.low), float(interval.high)],
        "steps": float(np.mean(lengths)),
    }


def result(evaluations: Sequence[Mapping], about: Mapping, curves: Mapping) -> dict:
    """A run's file: the last success of every stage, what was run, and all curves."""
    last = {row["stage"]: row["success"] for row in evaluations}
    successes = {name: last.get(stage) for stage, name in STAGES.items()}
    return {**about, **successes, "curves": {"evaluations": list(evaluations), **curves}}


def save(path: Path, values: Mapping | Sequence) -> None:
    """Write JSON by one rename; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n")
    os.replace(partial, path)


def load(path: Path) -> dict:
    """A run's file.

    Raises:
        ValueError: If it is none.
    """
    try:
        values = json.loads(path.read_text())
        missing = [name for name in ("variant", "seed", "curves", *STAGES.values())]
        missing = [name for name in missing if name not in values]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is no result of this benchmark: {error}") from error
    if missing:
        raise ValueError(f"{path} is no result of this benchmark: it lacks {', '.join(missing)}")
    return values


def table(results: Iterable[Mapping]) -> str:
    """One row per variant: mean and standard deviation of the success over seeds, in Markdown."""
    lines = [f"| | runs | {' | '.join(_HEADS)} |", "|---|---|" + "---|" * len(_HEADS)]
    for variant, runs in _by_variant(results).items():
        cells = [_spread([run[name] for run in runs]) for name in STAGES.values()]
        lines.append(f"| {LABELS.get(variant, variant)} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def curves_figure(path: Path, results: Iterable[Mapping]) -> None:
    """Success over the stages and over the environment steps of the last one, a line per variant.

    Lines are means over runs; bands reach one standard deviation.
    """
    figure = Figure(figsize=(7.5, 4.0))
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
    for colour, (variant, runs) in zip(_COLOURS, _by_variant(results).items(), strict=False):
        label = f"{LABELS.get(variant, variant)} ({len(runs)})"
        before = np.array([[run[name] for name in list(STAGES.values())[:3]] for run in runs])
        panels[0].errorbar(
            *(range(3), _mean(before), np.nanstd(before.astype(float), axis=0)),
            color=colour,
            marker="o",
            capsize=3,
        )
        steps, success = _online(runs)
        panels[1].plot(steps, _mean(success), color=colour, marker="o", ms=3, label=label)
        spread = success.std(axis=0)
        panels[1].fill_between(
            steps, _mean(success) - spread, _mean(success) + spread, color=colour, alpha=0.15, lw=0
        )
    panels[0].set_xticks(range(3), ["I\nimitation", "II\nbest of K", "III\noffline"])
    panels[0].set(ylabel="success", ylim=(-0.02, 1.02), xlim=(-0.3, 2.3))
    panels[1].set_xlabel("environment steps, stage IV")
    panels[1].locator_params(axis="x", nbins=5)
    panels[1].legend(frameon=False, fontsize=8)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _by_variant(results: Iterable[Mapping]) -> dict[str, list[Mapping]]:
    grouped: dict[str, list[Mapping]] = {}
    for run in sorted(results, key=lambda run: (_rank(run["variant"]), run["seed"])):
        grouped.setdefault(run["variant"], []).append(run)
    return grouped


def _rank(variant: str) -> tuple[int, str]:
    known = list(LABELS)
    return (known.index(variant) if variant in known else len(known), variant)


def _online(runs: Sequence[Mapping]) -> tuple[np.ndarray, np.ndarray]:
    """Environment steps (S,) and success (runs, S), from the end of stage III on."""
    rows = []
    for run in runs:
        evaluations = run["curves"]["evaluations"]
        offline = [e for e in evaluations if e["stage"] == "offline"][-1:]
        online = [e for e in evaluations if e["stage"] == "online"]
        rows.append([(e["env_steps"], e["success"]) for e in offline + online])
    shared = min(map(len, rows))  # an unfinished run shortens the curve
    points = np.array([row[:shared] for row in rows], float).reshape(len(runs), shared, 2)
    return points[:, :, 0].mean(axis=0), points[:, :, 1]


def _mean(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows, float).mean(axis=0)


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.2f}"
    return f"{np.mean(known):.2f} ± {np.std(known, ddof=1):.2f}"
