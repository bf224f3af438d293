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
_MARKERS = ("o", "s", "^", "v", "D")
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

    Lines are means over runs. Bars and bands reach one standard deviation over a variant's runs, or
    the 95 % interval over the episodes of its only run. The title names the variant that ends
    highest.
    """
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
    grouped = _by_variant(results)
    for place, (variant, runs) in enumerate(grouped.items()):
        look = {"color": _COLOURS[place % len(_COLOURS)], "marker": _MARKERS[place % len(_MARKERS)]}
        shift = 0.06 * (place - (len(grouped) - 1) / 2)  # so that bars stand side by side
        before, spread = _over_runs([_last(run, list(STAGES)[:3]) for run in runs])
        panels[0].errorbar(np.arange(3) + shift, before, spread, capsize=3, **look)
        steps, success, spread = _online(runs)
        panels[1].plot(steps, success, ms=4, label=_label(variant, runs), **look)
        low, high = success - spread[0], success + spread[1]
        panels[1].fill_between(steps, low, high, color=look["color"], alpha=0.12, lw=0)
    panels[0].set_xticks(range(3), ["I\nimitation", "II\nbest of K", "III\noffline"])
    panels[0].set(ylabel="success", ylim=(-0.02, 1.02), xlim=(-0.3, 2.3))
    panels[1].set_xlabel("environment steps, stage IV")
    panels[1].locator_params(axis="x", nbins=5)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(_title(grouped), fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _label(variant: str, runs: Sequence[Mapping]) -> str:
    name = LABELS.get(variant, variant)
    return name if len(runs) == 1 else f"{name}, {len(runs)} runs"


def _title(grouped: Mapping[str, Sequence[Mapping]]) -> str:
    """Who ends highest, and what bars and bands are."""
    ends = {
        LABELS.get(variant, variant): np.mean([run["success_online"] for run in runs])
        for variant, runs in grouped.items()
        if all(run["success_online"] is not None for run in runs)
    }
    lines = []
    if len(ends) > 1:
        best = max(ends, key=lambda name: ends[name])
        lines.append(f"highest at the end: {best}, {ends[best]:.2f}")
    kinds = {len(runs) == 1 for runs in grouped.values()}
    single, several = "95 % interval over the episodes of one run", "standard deviation over runs"
    shown = " or ".join([several] * (False in kinds) + [single] * (True in kinds))
    lines.append(f"bars and bands: {shown}")
    return "\n".join(lines)


def _by_variant(results: Iterable[Mapping]) -> dict[str, list[Mapping]]:
    grouped: dict[str, list[Mapping]] = {}
    for run in sorted(results, key=lambda run: (_rank(run["variant"]), run["seed"])):
        grouped.setdefault(run["variant"], []).append(run)
    return grouped


def _rank(variant: str) -> tuple[int, str]:
    known = list(LABELS)
    return (known.index(variant) if variant in known else len(known), variant)


def _last(run: Mapping, stages: Sequence[str]) -> list[Mapping | None]:
    """The last evaluation of each stage; None where the run did not come to it."""
    rows = {row["stage"]: row for row in run["curves"]["evaluations"]}
    return [rows.get(stage) for stage in stages]


def _online(runs: Sequence[Mapping]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Environment steps (S,), success (S,) and spread (2, S) from the end of stage III on."""
    curves = []
    for run in runs:
        online = [row for row in run["curves"]["evaluations"] if row["stage"] == "online"]
        curves.append([row for row in _last(run, ["offline"]) if row] + online)
    shared = min(map(len, curves))  # an unfinished run shortens the curve
    steps = [[row["env_steps"] for row in curve[:shared]] for curve in curves]
    return np.mean(steps, axis=0), *_over_runs([curve[:shared] for curve in curves])


def _over_runs(rows: Sequence[Sequence[Mapping | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean success (S,) over runs and how far it reaches down and up (2, S); NaN where unknown."""
    numbers = [
        [[np.nan] * 3 if e is None else [e["success"], *e["success_ci95"]] for e in run]
        for run in rows
    ]
    success, low, high = np.array(numbers, float).reshape(len(rows), -1, 3).transpose(2, 0, 1)
    if len(rows) == 1:
        return success[0], np.array([success[0] - low[0], high[0] - success[0]])
    return success.mean(axis=0), np.tile(success.std(axis=0), (2, 1))


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.2f}"
    return f"{np.mean(known):.2f} ± {np.std(known, ddof=1):.2f}"
