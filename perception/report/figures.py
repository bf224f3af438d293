"""The report as a figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perception.report.frames import FrameRecord
from perception.report.sequences import SequenceRecord
from perception.report.summary import Bin

_BLUE, _ORANGE, _GREY = "#2f6db5", "#d9822b", "#8a8f98"


def accuracy_figure(
    path: Path, records: Sequence[FrameRecord], bins: dict[str, list[Bin]], title: str
) -> None:
    """Distributions of errors, and error and missing poses over what makes images hard.

    The first column shows how many of all images have at most an error. Each further column is one
    entry of `bins`: its label is the axis, its rows are the bars.
    """
    figure = Figure(figsize=(3.6 * (1 + len(bins)), 6.0))
    columns = figure.subplots(2, 1 + len(bins), squeeze=False).T
    posed = [r for r in records if r.has_pose]
    rotation = np.array([r.rotation_deg for r in posed])
    distance = np.array([1e3 * np.linalg.norm(r.position_error_m) for r in posed])
    both = ((rotation, "rotation error [deg]"), (distance, "translation error [mm]"))
    for axes, (values, label) in zip(columns[0], both, strict=True):
        _cumulative(axes, values, len(records), label)
    for (error, missing), (label, rows) in zip(columns[1:], bins.items(), strict=True):
        _bars(error, rows, [row["rotation_median_deg"] for row in rows])
        _bars(missing, rows, [_percent(row["no_pose_rate"]) for row in rows])
        missing.set(xlabel=label)
    _share_heights(list(columns[1:, 0]), "median rotation error [deg]")
    _share_heights(list(columns[1:, 1]), "images without a pose [%]")
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def sequence_figure(path: Path, records: Sequence[SequenceRecord], title: str) -> None:
    """Errors and turns over time."""
    figure = Figure(figsize=(9, 5.4))
    error, turns = figure.subplots(2, 1, sharex=True)
    times = [r.time_s for r in records]
    error.plot(times, [r.rotation_deg for r in records], color=_BLUE, label="rotation [deg]")
    error.plot(times, [r.position_mm for r in records], color=_ORANGE, label="translation [mm]")
    error.set(ylabel="error when used", ylim=(0, 20))
    error.legend(frameon=False, ncols=2)
    for name, colour, label in (("true_yaw_rad", _GREY, "true"), ("yaw_rad", _BLUE, "measured")):
        turns.plot(
            times, [getattr(r, name) / (2 * np.pi) for r in records], color=colour, label=label
        )
    turns.set(xlabel="time [s]", ylabel="turns")
    turns.legend(frameon=False, ncols=2)
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def _cumulative(axes: Axes, values: np.ndarray, images: int, label: str) -> None:
    """Part of all images with at most this error; images without a pose never get there."""
    axes.plot(np.sort(values), 100 * np.arange(1, len(values) + 1) / images, color=_BLUE)
    axes.set(xlabel=label, ylabel="images with at most this error [%]", xlim=(0, 30), ylim=(0, 100))
    axes.grid(alpha=0.3)


def _bars(axes: Axes, rows: list[Bin], values: Sequence[float | int | str | None]) -> None:
    """One bar per bin, with its value; a bin without a value says so."""
    known = [np.nan if value is None else float(value) for value in values]
    bars = axes.bar(range(len(rows)), known, color=_BLUE)
    texts = ["none" if value is None else f"{value:.1f}" for value in values]
    for bar, text in zip(bars, texts, strict=True):
        height = np.nan_to_num(bar.get_height())
        place = (bar.get_x() + bar.get_width() / 2, height)
        axes.annotate(text, place, ha="center", va="bottom", fontsize=8)
    names = [f"{row['name']}\nn={row['frames']}" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=7)
    axes.set_xlim(-0.6, len(rows) - 0.4)


def _share_heights(row: Sequence[Axes], label: str) -> None:
    """The same scale from zero for all axes of a row, with room for the numbers on the bars."""
    highest = max((axes.get_ylim()[1] for axes in row), default=1.0)
    for axes in row:
        axes.set(ylabel=label, ylim=(0, 1.05 * highest))
        axes.spines[["top", "right"]].set_visible(False)


def _percent(rate: float | int | str | None) -> float:
    return 100.0 * float(rate or 0.0)


def _write(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
