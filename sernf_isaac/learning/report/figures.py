"""The plots of a report, as PNG in memory; the same numbers give the same bytes."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sernf_isaac.data.episode import Array
from sernf_isaac.learning.report.calibration import Calibration
from sernf_isaac.learning.report.candidates import Candidates
from sernf_isaac.learning.report.corrections import LAGS, Corrections
from sernf_isaac.learning.report.curves import Curve, Curves
from sernf_isaac.learning.report.overview import Overview

BLUE, ORANGE, GREEN, RED, GREY = "#2f6db5", "#d9822b", "#3d9a50", "#b5476b", "#8a8f98"
_BY_OUTCOME = {"success": GREEN, "recovered": BLUE, "unknown": GREY}


def episodes_figure(data: Overview) -> bytes:
    """Lengths, returns and outcomes of the episodes."""
    figure = Figure(figsize=(9.0, 2.9))
    length, total, outcome = figure.subplots(1, 3)
    outcomes = list(data.counts)
    colours = [_BY_OUTCOME.get(name, RED) for name in outcomes]
    for axes, values, label in (
        (length, data.length_s, "length [s]"),
        (total, data.total, "sum of rewards"),
    ):
        parts = [values[np.array(data.outcome) == name] for name in outcomes]
        axes.hist(parts, bins=15, stacked=True, color=colours)
        axes.set(xlabel=label, ylabel="episodes")
    bars = outcome.bar(outcomes, list(data.counts.values()), color=colours)
    outcome.bar_label(bars)
    outcome.set(ylabel="episodes")
    outcome.margins(y=0.15)
    return _png(figure)


def likelihood_figure(curves: Curves) -> bytes:
    """Likelihood of imitated and of held-out chunks over updates."""
    figure = Figure(figsize=(9.0, 3.2))
    axes = figure.subplots()
    _plot(axes, curves.imitated, BLUE, "imitated")
    _plot(axes, curves.held_out, ORANGE, "held out")
    values = [value for curve in (curves.imitated, curves.held_out) for _, value in curve]
    low, high = np.percentile(values, 3), max(values)
    room = 0.08 * max(high - low, 1e-3)
    axes.set(
        xlabel="updates", ylabel="likelihood [nats per number]", ylim=(low - room, high + room)
    )
    _mark_stages(axes, curves.stages)
    axes.legend(frameon=False, loc="lower right")
    return _png(figure)


def leash_figure(curves: Curves) -> bytes:
    """How far the policy is from the data, its budget, and λ."""
    panels = 2 if curves.weight else 1
    figure = Figure(figsize=(9.0, 2.4 * panels))
    drift, *others = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    _plot(drift, curves.drift, BLUE, "drift")
    if curves.budget is not None:
        drift.axhline(curves.budget, color=ORANGE, linestyle="--", label="budget")
    drift.set(ylabel="drift [nats per number]")
    drift.legend(frameon=False)
    for axes in others:
        _plot(axes, curves.weight, GREEN, "λ")
        axes.set(ylabel="λ", yscale="log")
    [drift, *others][-1].set(xlabel="updates")
    return _png(figure)


def calibration_figure(found: Calibration) -> bytes:
    """What critics promise across, what was earned upwards."""
    figure = Figure(figsize=(5.6, 4.6))
    axes = figure.subplots()
    for succeeded, colour, label in ((True, GREEN, "of successes"), (False, RED, "of others")):
        rows = found.succeeded == succeeded
        if rows.any():
            value, earned = found.value[rows], found.earned[rows]
            axes.plot(value, earned, ".", ms=4, alpha=0.4, color=colour, label=label)
    values, earned, _ = zip(*found.bins(), strict=True)
    axes.plot(values, earned, "o-", color="black", ms=4, label="means of ten bins")
    ends = _ends(np.concatenate([found.value, found.earned]))
    axes.plot(ends, ends, color=GREY, linestyle="--", label="as promised")
    axes.set(xlabel="value of the executed chunk", ylabel="discounted rewards that followed")
    axes.legend(frameon=False, fontsize=8)
    return _png(figure)


def candidates_figure(found: Candidates, names: Sequence[str], noise: float) -> bytes:
    """How candidates differ per action dimension, and in value beside the critics' disagreement.

    Args:
        found: With or without values.
        names: Of the action dimensions.
        noise: Deviation that the noise of the imitation alone would make, in halves of the range.
    """
    judged = found.spread is not None and found.disagreement is not None
    figure = Figure(figsize=(9.0, 4.0))
    shares = {"width_ratios": (1.6, 1.0)} if judged else {}
    panels = figure.subplots(1, 2 if judged else 1, squeeze=False, gridspec_kw=shares)[0]
    low, middle, high = np.percentile(100 * found.deviation, (10, 50, 90), axis=0)
    places = np.arange(len(names))
    panels[0].bar(places, middle, color=BLUE, label="median, 10 to 90 % of decisions")
    reach = np.stack([middle - low, high - middle])
    panels[0].errorbar(places, middle, reach, fmt="none", color="black", capsize=2, lw=1)
    panels[0].axhline(100 * noise, color=ORANGE, linestyle="--", label="noise of the imitation")
    panels[0].set_xticks(places, names, rotation=60, ha="right", fontsize=7)
    panels[0].set(ylabel="deviation of candidates\n[% of half the data's range]")
    panels[0].legend(frameon=False, fontsize=8)
    if found.spread is not None and found.disagreement is not None:
        axes = panels[1]
        axes.plot(found.spread, found.disagreement, ".", color=BLUE, alpha=0.6)
        ends = (0.0, 1.05 * max(found.spread.max(), found.disagreement.max(), 1e-9))
        axes.plot(ends, ends, color=GREY, linestyle="--")
        axes.set(xlabel="spread of values over candidates", ylabel="disagreement of critics")
        axes.set(xlim=ends, ylim=ends, title="above the line, choice is noise")
        axes.title.set_fontsize(9)
    return _png(figure)


def corrections_figure(found: Corrections) -> bytes:
    """How long deviations of the actions from their trend resemble themselves."""
    figure = Figure(figsize=(9.0, 2.9))
    axes = figure.subplots()
    lags = np.arange(found.autocovariance.shape[1])
    for row in found.autocovariance:
        axes.plot(lags[1:], row[1:], color=BLUE, alpha=0.4, lw=1)
    axes.axhline(0.5, color=GREY, linestyle=":")
    axes.axvline(found.chunk / 2, color=ORANGE, linestyle="--", label="half of chunk and queue")
    if found.width is not None:
        axes.axvline(found.width / 2, color=BLUE, label="time to half, median")
    axes.set(xlabel="steps later", ylabel="autocovariance\nof deviations")
    axes.set(xlim=(0, LAGS * found.chunk), ylim=(-0.7, 1.1))
    axes.legend(frameon=False)
    return _png(figure)


def _plot(axes: Axes, curve: Curve, colour: str, label: str) -> None:
    if curve:
        steps, values = zip(*curve, strict=True)
        axes.plot(steps, values, color=colour, label=label, marker="." if len(steps) < 40 else "")


def _mark_stages(axes: Axes, stages: dict[str, int]) -> None:
    begin = 0
    for name, end in stages.items():
        axes.axvline(end, color=GREY, lw=0.8, linestyle=":")
        place = ((begin + end) / 2, 1.02)
        axes.annotate(name, place, xycoords=axes.get_xaxis_transform(), ha="center", fontsize=8)
        begin = end


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _png(figure: Figure) -> bytes:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
