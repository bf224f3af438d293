"""The figure of rehearsals, like the paper's Fig. 4: the method over seeds, then other settings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PAPER = {"rpm_in_hand": 6.25, "turns_per_run": 1.01}
"""What the paper's robot reached within 105 minutes (V-B)."""
LEAST_IN_HAND_S = 1.0
"""Mean of a test's runs; a rate over less is noise."""
ROWS = {
    "rpm_in_hand": "turns per minute in the hand",
    "turns_per_run": "turns per run",
}
SEED = re.compile(r"[\s_,(]*(seed)?[\s_]*\d+\)*$")
_METHOD, _PAPER = "#2f6db5", "#8a8f98"
_OTHERS = (("#d9822b", "s"), ("#3d9a50", "^"), ("#b5476b", "v"), ("#7a5ba8", "D"), ("#1d7f8c", "P"))
Curve = Sequence[Mapping]
"""Tests of one rehearsal: `real_minutes`, the names of `ROWS` with `_ci95`, and `in_hand_s`."""


def curve_figure(path: Path, curves: Mapping[str, Curve]) -> None:
    """Turns per minute and per run against minutes of robot data.

    Curves whose names differ in the number of a seed only are one setting. The left column shows
    the setting that is called by its seed alone ("seed 0", "seed_1"), or else the first: the mean
    and the range over seeds, or the 95 % interval of a single seed. The right column compares the
    means of all settings. Turns per minute are left out where runs were too short to tell.
    """
    settings = _by_setting(curves)
    method, *others = settings
    columns = 2 if others else 1
    figure = Figure(figsize=(1.0 + 4.6 * columns, 6.6), layout="constrained")
    panels = figure.subplots(2, columns, sharex=True, sharey="row", squeeze=False)
    for row, (name, label) in zip(panels, ROWS.items(), strict=True):
        _spread(row[0], settings[method], name)
        if others:
            _compare(row[1], settings, name)
        for axes in row:
            axes.axhline(PAPER[name], color=_PAPER, ls="--", lw=1, label="the paper's robot, best")
            axes.spines[["top", "right"]].set_visible(False)
        highest = max(axes.dataLim.ymax for axes in row)
        row[0].set(ylabel=label, ylim=(0, 1.06 * highest))
    for axes in panels[-1]:
        axes.set_xlabel("minutes of robot data")
    for axes, title in zip(panels[0], (method, "compared with other settings"), strict=False):
        axes.set_title(title, fontsize=10)
        axes.legend(loc="lower left", frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _by_setting(curves: Mapping[str, Curve]) -> dict[str, list[Curve]]:
    """Curves of the same setting together; the method, called by its seed alone, comes first."""
    settings: dict[str, list[Curve]] = {}
    for name in sorted(curves, key=lambda name: SEED.sub("", name) != ""):
        settings.setdefault(SEED.sub("", name) or "the method", []).append(curves[name])
    return settings


def _spread(axes: Axes, curves: Sequence[Curve], name: str) -> None:
    minutes, values, band = _over_seeds(curves, name)
    several = len(curves) > 1
    label = f"mean of {len(curves)} seeds" if several else "one seed"
    axes.plot(minutes, values, color=_METHOD, marker="o", label=label)
    edge = "lowest to highest seed" if several else "95 % interval over its runs"
    axes.fill_between(minutes, *band, color=_METHOD, alpha=0.18, lw=0, label=edge)


def _compare(axes: Axes, settings: Mapping[str, Sequence[Curve]], name: str) -> None:
    for place, (setting, curves) in enumerate(settings.items()):
        colour, marker = _OTHERS[(place - 1) % len(_OTHERS)] if place else (_METHOD, "o")
        seeds = "one seed" if len(curves) == 1 else f"mean of {len(curves)} seeds"
        minutes, values, _ = _over_seeds(curves, name)
        axes.plot(minutes, values, color=colour, marker=marker, label=f"{setting}, {seeds}")


def _over_seeds(curves: Sequence[Curve], name: str) -> tuple[list[float], np.ndarray, np.ndarray]:
    """Minutes that all curves have (M,), the mean (M,) and its band (2, M)."""
    by_minutes = [{row["real_minutes"]: row for row in curve} for curve in curves]
    shared = sorted(set.intersection(*map(set, by_minutes)))
    values = np.array([[_value(rows[m], name) for m in shared] for rows in by_minutes])
    if len(curves) > 1:
        return shared, values.mean(axis=0), np.array([values.min(axis=0), values.max(axis=0)])
    ends = np.array([rows[m][f"{name}_ci95"] for rows in by_minutes for m in shared]).T
    return shared, values[0], np.where(np.isnan(values[0]), np.nan, ends)


def _value(row: Mapping, name: str) -> float:
    if name == "rpm_in_hand" and row["in_hand_s"] < LEAST_IN_HAND_S:
        return np.nan
    return row[name]
