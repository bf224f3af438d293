"""The report as a figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perception.report.frames import FrameRecord
from perception.report.sequences import SequenceRecord
from perception.report.summary import Summary

_BLUE, _ORANGE, _GREY = "#2f6db5", "#d9822b", "#8a8f98"


def accuracy_figure(
    path: Path, records: Sequence[FrameRecord], bins: dict[str, list[Summary]], title: str
) -> None:
    """Distributions of errors, and the rotation error over what makes images hard."""
    figure = Figure(figsize=(4.2 * (2 + len(bins)), 3.6))
    rotation, translation, *rest = figure.subplots(1, 2 + len(bins))
    posed = [r for r in records if r.has_pose]
    _cumulative(rotation, np.array([r.rotation_deg for r in posed]), len(records))
    rotation.set(xlabel="rotation error [deg]", ylabel="images [%]", xlim=(0, 30), ylim=(0, 100))
    distance = np.array([1e3 * np.linalg.norm(r.position_error_m) for r in posed])
    _cumulative(translation, distance, len(records))
    translation.set(xlabel="translation error [mm]", xlim=(0, 30), ylim=(0, 100))
    for axes, (label, rows) in zip(rest, bins.items(), strict=True):
        _bars(axes, rows, label)
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


def _cumulative(axes: Axes, values: np.ndarray, images: int) -> None:
    """Part of all images with at most this error; images without a pose never get there."""
    axes.plot(np.sort(values), 100 * np.arange(1, len(values) + 1) / images, color=_BLUE)
    axes.grid(alpha=0.3)


def _bars(axes: Axes, rows: list[Summary], label: str) -> None:
    places = np.arange(len(rows))
    names = [f"{row['from']:.4g}-{row['to']:.4g}" for row in rows]
    values = [row["rotation_median_deg"] for row in rows]
    axes.bar(
        places, [np.nan if v is None else v for v in values], color=_BLUE, label="median [deg]"
    )
    axes.set_xticks(places, names, rotation=40, fontsize=8)
    axes.set(xlabel=label, ylabel="rotation error, median [deg]")
    missing = axes.twinx()
    missing.plot(places, [100 * (row["no_pose_rate"] or 0.0) for row in rows], "o", color=_ORANGE)
    missing.set(ylabel="no pose [%]", ylim=(0, 100))


def _write(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
