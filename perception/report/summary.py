"""From many judged images to the numbers people compare."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from perception.report.frames import FrameRecord
from perception.samples import OCCLUDED, VISIBLE

ADD_LIMIT_M = 0.0078
"""A tenth of the diameter of the 45 mm cube."""
FLIP_DEG = 45.0
MIN_VISIBLE_FRACTION = 0.35
"""Images with less of the cube in sight are reported apart."""
FALSE_POSE_DEG = 20.0

Summary = dict[str, float | int | None]
"""Plain numbers; None where nothing was measured."""
Bin = dict[str, float | int | str | None]
"""The summary of some images, with its `name`, `from` and `to`."""


def summarize(records: Sequence[FrameRecord]) -> Summary:
    """The numbers of a set of images; rates and ADD count images without a pose as missed.

    Raises:
        ValueError: If there are no images.
    """
    if not records:
        raise ValueError("there are no images to summarize")
    posed = [r for r in records if r.has_pose]
    errors_mm = 1e3 * np.array([r.position_error_m for r in posed]).reshape(-1, 3)
    rotation = np.array([r.rotation_deg for r in posed])
    distance = np.linalg.norm(errors_mm, axis=1)
    return (
        {
            "frames": len(records),
            "no_pose_rate": 1.0 - len(posed) / len(records),
            "flip_rate": _mean(rotation > FLIP_DEG),
            "add_at_7p8mm": sum(r.add_m <= ADD_LIMIT_M for r in posed) / len(records),
        }
        | _spread("rotation", "deg", rotation)
        | _spread("translation", "mm", distance)
        | {f"translation_{a}_mm": _mean(abs(errors_mm[:, i])) for i, a in enumerate("xyz")}
        | {
            "add_mean_mm": _mean(np.array([1e3 * r.add_m for r in posed])),
            "nees_mean": _mean(np.array([r.nees for r in posed])),
            "nees_median": _quantile(np.array([r.nees for r in posed]), 0.5),
        }
        | _corner_numbers(records)
        | {"mask_iou": _mean(np.array([r.mask_iou for r in records]))}
    )


def split_by_visibility(
    records: Sequence[FrameRecord],
) -> tuple[list[FrameRecord], list[FrameRecord]]:
    """Images with enough of the cube in sight, and the others."""
    seen = [r for r in records if r.visible_fraction >= MIN_VISIBLE_FRACTION]
    return seen, [r for r in records if r.visible_fraction < MIN_VISIBLE_FRACTION]


def false_pose_rate(records: Sequence[FrameRecord]) -> float | None:
    """Part of the images that give a pose and a wrong one; for images where none was expected."""
    return _mean(np.array([r.has_pose and r.rotation_deg > FALSE_POSE_DEG for r in records]))


def covariance_factor(records: Sequence[FrameRecord]) -> float:
    """Factor on the corners' covariance that gives the median error of corners its due.

    The median, because outliers are the consensus' business; for two dimensions it is 2 ln 2.

    Raises:
        ValueError: If no corner was measured.
    """
    values = np.concatenate([r.corner_nees[r.visibility == VISIBLE] for r in records])
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError("no corner was measured, so its covariance cannot be judged")
    return float(np.median(values) / (2.0 * np.log(2.0)))


def binned(
    records: Sequence[FrameRecord],
    name: str,
    edges: Sequence[float],
    labels: Sequence[str] | None = None,
) -> list[Bin]:
    """Summaries of the images between neighbouring `edges` of a record's number, by its name.

    Args:
        records: Judged images.
        name: Of the number.
        edges: Growing; an image belongs to the bin that begins at or below its number.
        labels: What each bin is called, one fewer than edges; the edges by default.
    """
    values = np.array([getattr(r, name) for r in records])
    called = labels or [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    rows = []
    for (low, high), label in zip(pairwise(edges), called, strict=True):
        chosen = [r for r, value in zip(records, values, strict=True) if low <= value < high]
        if chosen:
            rows.append({"name": label, "from": low, "to": high} | summarize(chosen))
    return rows


def by_name(records: Sequence[FrameRecord], field: str) -> list[Bin]:
    """Summaries of the images that share a text of their record, such as "condition" or "renderer";
    images without one are left out."""
    names = sorted({str(getattr(r, field)) for r in records} - {""})
    rows = []
    for number, name in enumerate(names):
        chosen = summarize([r for r in records if getattr(r, field) == name])
        rows.append({"name": name, "from": number, "to": number + 1} | chosen)
    return rows


def _corner_numbers(records: Sequence[FrameRecord]) -> Summary:
    found: Summary = {}
    for name, kind in (("visible", VISIBLE), ("occluded", OCCLUDED)):
        error = np.concatenate([r.corner_error_px[r.visibility == kind] for r in records])
        measured = error[np.isfinite(error)]
        found[f"corner_rmse_{name}_px"] = _root(_mean(measured**2))
        found[f"corner_median_{name}_px"] = _quantile(measured, 0.5)
        for limit in (1, 2, 3):
            rate = np.where(np.isfinite(error), error, np.inf) <= limit
            found[f"pck_{name}_{limit}px"] = _mean(rate)
    return found


def _spread(name: str, unit: str, values: np.ndarray) -> Summary:
    return {
        f"{name}_mean_{unit}": _mean(values),
        f"{name}_median_{unit}": _quantile(values, 0.5),
        f"{name}_p95_{unit}": _quantile(values, 0.95),
    }


def _mean(values: np.ndarray) -> float | None:
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def _quantile(values: np.ndarray, q: float) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.quantile(values, q)) if len(values) else None


def _root(value: float | None) -> float | None:
    return None if value is None else float(np.sqrt(value))
