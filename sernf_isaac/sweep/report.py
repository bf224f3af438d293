"""What came out of a sweep: a table over settings, a figure like the paper's Figs. 10 to 12."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from sernf_isaac.sweep.child import LOG_FILE
from sernf_isaac.sweep.sweep import Outcome, Value, value_at

_COLOURS = ("#2f6db5", "#d9822b", "#3d9a50", "#b5476b", "#8a8f98")


@dataclass(frozen=True)
class Row:
    """All seeds of one combination of settings."""

    settings: dict[str, Value]
    values: dict[str, list[float]]
    """By metric: those of the seeds that are done and have a finite number there."""
    seeds: int
    done: int
    seconds: float
    """Mean duration of the seeds that are done; nan without any."""
    problems: tuple[str, ...]
    """One line per seed that gave nothing, or not all."""


@contextmanager
def progress(name: str, runs: int, root: Path) -> Iterator[Callable[[Outcome], None]]:
    """A bar for `sweep`'s `report`; what failed is written above it."""
    print(f"logs   -> {root}/*/{LOG_FILE}")
    with tqdm(total=runs, desc=name, unit="run") as bar:

        def tell(outcome: Outcome) -> None:
            bar.update()
            if outcome.state != "done":
                log = outcome.folder / LOG_FILE
                bar.write(f"{outcome.state}: {outcome.reason} (see {log})")

        yield tell


def rows_of(outcomes: Iterable[Outcome], metrics: Sequence[str]) -> list[Row]:
    """Outcomes by settings, in order.

    Raises:
        ValueError: If a result has no such metric.
    """
    groups: dict[tuple, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.job.settings, []).append(outcome)
    return [_row(dict(settings), group, metrics) for settings, group in groups.items()]


def table(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """A line per setting, mean ± standard deviation over seeds; then all that is missing."""
    keys = list(rows[0].settings)
    heads = [_short(key) for key in keys] + list(metrics) + ["seeds", "s per run"]
    lines = [heads]
    for row in rows:
        cells = [str(row.settings[key]) for key in keys]
        cells += [_spread(row.values[metric]) for metric in metrics]
        seconds = f"{row.seconds:.0f}" if row.done else "-"
        lines.append([*cells, f"{row.done} of {row.seeds}", seconds])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*text, *(problem for row in rows for problem in row.problems)])


def save(
    folder: Path, outcomes: Sequence[Outcome], rows: Sequence[Row], metrics: Sequence[str]
) -> None:
    """Write `sweep.json`, `sweep.txt` and, if there is anything to show, `sweep.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        {
            "settings": dict(outcome.job.settings),
            "seed": outcome.job.seed,
            "state": outcome.state,
            "reason": outcome.reason,
            "seconds": outcome.seconds,
            "folder": outcome.folder.name,
            **{metric: _number(outcome, metric) for metric in metrics},
        }
        for outcome in outcomes
    ]
    (folder / "sweep.json").write_text(json.dumps(runs, indent=1) + "\n")
    (folder / "sweep.txt").write_text(table(rows, metrics) + "\n")
    if metrics and rows[0].settings and any(row.done for row in rows):
        figure(folder / "sweep.png", rows, metrics)


def figure(path: Path, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """A panel per metric: the first setting across, a line for each combination of the others."""
    panels = Figure(figsize=(4.2 * len(metrics), 3.2))
    for panel, metric in zip(
        panels.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
    ):
        _draw(panel, rows, metric)
        panel.set_title(metric, fontsize=9)
    panels.tight_layout()
    panels.savefig(path, dpi=140)


def _draw(panel: Axes, rows: Sequence[Row], metric: str) -> None:
    first, *others = rows[0].settings
    ticks = list(dict.fromkeys(row.settings[first] for row in rows))
    lines: dict[str, list[Row]] = {}
    for row in rows:
        label = ", ".join(f"{_short(key)} = {row.settings[key]}" for key in others)
        lines.setdefault(label, []).append(row)
    for number, (label, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        shown = [row for row in line if row.values[metric]]
        places = [ticks.index(row.settings[first]) for row in shown]
        means = [np.mean(row.values[metric]) for row in shown]
        spread = [_deviation(row.values[metric]) for row in shown]
        panel.errorbar(places, means, spread, color=colour, marker="o", capsize=3, label=label)
        for place, row in zip(places, shown, strict=True):
            values = row.values[metric]
            panel.plot([place + 0.07] * len(values), values, ".", color=colour, alpha=0.6, ms=6)
    found = [value for row in rows for value in row.values[metric]]
    if found and 0 <= min(found) <= max(found) <= 1:  # a share
        panel.set_ylim(-0.02, 1.02)
    panel.set_xlim(-0.4, len(ticks) - 0.6)
    panel.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    panel.set_xlabel(_short(first))
    panel.grid(axis="y", alpha=0.3)
    if others:
        panel.legend(fontsize=8)


def _row(settings: dict[str, Value], group: list[Outcome], metrics: Sequence[str]) -> Row:
    done = [outcome for outcome in group if outcome.state == "done"]
    values = {
        metric: [v for o in done if (v := _number(o, metric)) is not None] for metric in metrics
    }
    problems = [f"{o.folder.name}: {o.state}. {o.reason}" for o in group if o.state != "done"]
    problems += [
        f"{outcome.folder.name}: {metric} is not a finite number"
        for outcome in done
        for metric in metrics
        if _number(outcome, metric) is None
    ]
    seconds = float(np.mean([outcome.seconds for outcome in done])) if done else float("nan")
    return Row(settings, values, len(group), len(done), seconds, tuple(problems))


def _number(outcome: Outcome, metric: str) -> float | None:
    """The metric of a run that is done; None if it is not finite, or the run not done."""
    if outcome.state != "done":
        return None
    value = value_at(outcome.result, metric)
    return value if np.isfinite(value) else None


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = f"{np.mean(values):.3g}"
    return f"{mean} ± {_deviation(values):.2g}" if len(values) > 1 else mean


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _short(key: str) -> str:
    return key.rpartition(".")[2]
