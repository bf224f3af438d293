"""Pictures whose poses nobody knows: what geometry says of the eyes all the same.

A pose must explain its own picture, agree with the pictures just before and after, with a second
camera, and with turns that somebody counted. What all of these share, such as a cube that was
printed too large, none of them sees.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from perception.cameras.recording import Recording
from perception.detector.detector import CornerDetector
from perception.detector.files import DetectorFile
from perception.pose.projection import move, pose_error
from perception.pose.solver import PoseResult
from perception.report.evaluation import tracker_config
from perception.report.sequences import YawCounter
from perception.tracking.tracker import CubeTracker

Array = np.ndarray
NEIGHBOURS_S = 0.25
"""From the picture before to the one after, at most: longer, and a cube may have done anything."""
TOGETHER_S = 0.02
"""Between pictures of two cameras that count as of one moment."""
MISTAKEN_DEG = 30.0
"""A pose this far from its neighbours has taken faces for others."""
SCATTER_OF_ONE = np.sqrt(1.5)
"""Deviation of a pose from the mean of two others, over that of one pose, if all are alike."""


@dataclass(frozen=True)
class Glimpse:
    """What one picture gave on its own, without those before it."""

    time_s: float
    result: PoseResult


@dataclass(frozen=True)
class Disagreement:
    """Of a pose with what others say of the same moment."""

    index: int
    """Of the picture."""
    rotation_deg: float
    position_mm: float
    surprise: float
    """Squared, in units of the covariances; 6 on average if these are right."""


def glimpses(file: DetectorFile, recording: Recording, device: str) -> list[Glimpse]:
    """Every picture of a recording, each as if it were the first."""
    detector = CornerDetector(file.network, file.config, device)
    tracker = CubeTracker(detector, tracker_config(file))
    seen = []
    while (frame := recording.read()) is not None:
        tracker.reset()
        seen.append(Glimpse(frame.time_s, tracker.see(frame).result))
    return seen


def against_neighbours(seen: Sequence[Glimpse]) -> list[Disagreement]:
    """Each pose against the mean of the two around it; as large as one pose's own error.

    A cube that moves evenly makes no difference, one that jerks does.
    """
    found = []
    for index in range(1, len(seen) - 1):
        before, here, after = seen[index - 1 : index + 2]
        if not (before.result.ok and here.result.ok and after.result.ok):
            continue
        if after.time_s - before.time_s > NEIGHBOURS_S:
            continue
        share = (here.time_s - before.time_s) / (after.time_s - before.time_s)
        between, covariance = _between(before.result, after.result, share)
        pose, own = _known(here.result)
        error = pose_error(pose, between)
        found.append(_disagreement(index, error / SCATTER_OF_ONE, (own + covariance) / 1.5))
    return found


def against_another(
    seen: Sequence[Glimpse],
    other: Sequence[Glimpse],
    T_base_camera: Array,
    T_base_other: Array,
) -> list[Disagreement]:
    """Each pose against that of a second camera, at the same moment; as large as one pose's error.

    Args:
        seen, other: Of the two cameras, on one clock.
        T_base_camera, T_base_other: (4, 4) their places.
    """
    times, found = np.array([glimpse.time_s for glimpse in other]), []
    for index, glimpse in enumerate(seen):
        near = int(np.abs(times - glimpse.time_s).argmin())
        if abs(times[near] - glimpse.time_s) > TOGETHER_S:
            continue
        if not (glimpse.result.ok and other[near].result.ok):
            continue
        (pose, own), (second, its) = (
            _in_base(result, place)
            for result, place in (
                (glimpse.result, T_base_camera),
                (other[near].result, T_base_other),
            )
        )
        error = pose_error(pose, second)
        found.append(_disagreement(index, error / np.sqrt(2.0), (own + its) / 2.0))
    return found


def turned_deg(seen: Sequence[Glimpse]) -> float:
    """How far the cube has turned counter-clockwise in the pictures, all turns added up.

    Between two poses it must stay below half a turn.
    """
    yaw, total = YawCounter(), 0.0
    for glimpse in seen:
        if glimpse.result.ok:
            total = yaw.add(Rotation.from_matrix(_known(glimpse.result)[0][:3, :3]))
    return -float(np.degrees(total))  # the camera looks along its axis: about it is clockwise


def summarize_unlabelled(
    seen: Sequence[Glimpse], apart: Sequence[Disagreement]
) -> dict[str, float | int | None]:
    """Numbers over all pictures; None where there is nothing to tell one from."""
    good = [glimpse.result for glimpse in seen if glimpse.result.ok]
    return {
        "pictures": len(seen),
        "no_pose_rate": 1.0 - len(good) / len(seen),
        "residual_px_median": _quantile([result.residual_px for result in good], 0.5),
        "residual_px_p95": _quantile([result.residual_px for result in good], 0.95),
    } | summarize_disagreements(apart)


def summarize_disagreements(apart: Sequence[Disagreement]) -> dict[str, float | int | None]:
    """Numbers over all of them."""
    rotation = [d.rotation_deg for d in apart]
    return {
        "compared": len(apart),
        "rotation_deg_median": _quantile(rotation, 0.5),
        "rotation_deg_p95": _quantile(rotation, 0.95),
        "translation_mm_median": _quantile([d.position_mm for d in apart], 0.5),
        "translation_mm_p95": _quantile([d.position_mm for d in apart], 0.95),
        "mistaken_rate": float(np.mean(np.array(rotation) > MISTAKEN_DEG)) if rotation else None,
        "surprise_median": _quantile([d.surprise for d in apart], 0.5),
    }


def worst(seen: Sequence[Glimpse], apart: Sequence[Disagreement], count: int) -> list[int]:
    """Pictures to look at: at most half of them without a pose, then the largest disagreements."""
    without = [index for index, glimpse in enumerate(seen) if not glimpse.result.ok]
    spread = (
        [without[i * len(without) // (count // 2)] for i in range(count // 2)] if without else []
    )
    without = list(dict.fromkeys(spread))
    by_size = sorted(apart, key=lambda d: -(d.rotation_deg + d.position_mm))
    return [*without, *(d.index for d in by_size)][:count]


def _disagreement(index: int, error: Array, covariance: Array) -> Disagreement:
    return Disagreement(
        index,
        float(np.degrees(np.linalg.norm(error[3:]))),
        float(1e3 * np.linalg.norm(error[:3])),
        float(error @ np.linalg.solve(covariance, error)),
    )


def _known(result: PoseResult) -> tuple[Array, Array]:
    assert result.T_camera_cube is not None and result.covariance is not None, "it has a pose"
    return result.T_camera_cube, result.covariance


def _between(before: PoseResult, after: PoseResult, share: float) -> tuple[Array, Array]:
    """A pose on the way from one to another, and its covariance."""
    (first, its), (last, of_last) = _known(before), _known(after)
    pose = move(first, share * pose_error(last, first))
    return pose, (1.0 - share) ** 2 * its + share**2 * of_last


def _in_base(result: PoseResult, T_base_camera: Array) -> tuple[Array, Array]:
    pose, covariance = _known(result)
    turn = np.kron(np.eye(2), T_base_camera[:3, :3])
    return T_base_camera @ pose, turn @ covariance @ turn.T


def _quantile(values: Sequence[float], q: float) -> float | None:
    finite = np.array(values)[np.isfinite(values)] if len(values) else np.empty(0)
    return float(np.quantile(finite, q)) if len(finite) else None
