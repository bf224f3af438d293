"""Filtered sequences: how good the pose is at the moment it is used, and whether turns are counted.

A recording with true poses is played to the tracker as if it came from a camera: every frame
arrives late, some never do, and in between somebody asks for the pose at a fixed rate.
"""

import time
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from perception.cameras.recording import Recording
from perception.pose.projection import pose_error
from perception.tracking.tracker import CubeTracker

Array = np.ndarray
MOST_LATE_S = 2.0
"""A frame; the filter forgets the cube long before."""


@dataclass(frozen=True)
class SequenceConfig:
    """How a recording is played."""

    latency_s: float = 0.05
    """From the exposure to the moment the pose can be used."""
    dropout: float = 0.15
    """Part of the frames that never arrive."""
    outliers: float = 0.1
    """Part of the detections that take the cube's faces for others."""
    seed: int = 0
    """Of drop-outs and outliers."""
    query_rate_hz: float = 20.0
    """Of the policy (paper F.4)."""
    settle_s: float = 0.5
    """Not judged: the track is being started."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.latency_s <= MOST_LATE_S:
            raise ValueError(f"latency ({self.latency_s} s) must be 0 to {MOST_LATE_S:g} seconds")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout ({self.dropout}) must be 0 to below 1, a part of the frames")
        if not 0.0 <= self.outliers <= 1.0:
            raise ValueError(f"outliers ({self.outliers}) must be 0 to 1, a part of the detections")
        if not self.query_rate_hz > 0.0 or not self.settle_s >= 0.0:
            raise ValueError(
                f"query_rate_hz ({self.query_rate_hz}) must be above 0, settle_s "
                f"({self.settle_s}) at least 0"
            )


@dataclass(frozen=True)
class SequenceRecord:
    """One question for the pose; NaN while the cube was lost."""

    time_s: float
    rotation_deg: float
    position_mm: float
    nees: float
    yaw_rad: float
    """About the camera's axis, unwrapped over answers; NaN while lost."""
    true_yaw_rad: float
    age_s: float


def play(
    recording: Recording,
    tracker: CubeTracker,
    config: SequenceConfig,
) -> tuple[list[SequenceRecord], list[float]]:
    """Answers at the policy's rate, and the time [ms] each frame took.

    Outliers are the business of the tracker's detector (`MistakenDetector`).

    Raises:
        ValueError: If the recording holds no true poses, or is too short to be asked for one.
    """
    if recording.poses is None:
        raise ValueError(f"{recording.path} has no true poses (poses), so it cannot be judged")
    length_s = recording.times_s[-1] - recording.times_s[0]
    if length_s <= config.settle_s:
        raise ValueError(
            f"{recording.path} is {length_s:.2f} s long; poses are judged after the first "
            f"{config.settle_s:g} s"
        )
    rng = np.random.default_rng(config.seed)
    truth = Truth(np.array(recording.times_s), recording.poses)
    asked_s = np.arange(
        recording.times_s[0] + config.settle_s, recording.times_s[-1], 1 / config.query_rate_hz
    )
    records: list[SequenceRecord] = []
    costs_ms: list[float] = []
    yaw = YawCounter()
    questions = iter(asked_s)
    question = next(questions, None)
    while (frame := recording.read()) is not None:
        arrives_s = frame.time_s + config.latency_s
        while question is not None and question < arrives_s:
            records.append(_ask(tracker, question, truth, yaw))
            question = next(questions, None)
        if rng.random() >= config.dropout:
            started = time.perf_counter()
            tracker.see(frame)
            costs_ms.append(1e3 * (time.perf_counter() - started))
    while question is not None:
        records.append(_ask(tracker, question, truth, yaw))
        question = next(questions, None)
    return records, costs_ms


class YawCounter:
    """Follows the turn about the frame's z axis, however often it goes round.

    The turn is the twist of the rotation since the start, so tilting back and forth adds nothing.
    Between two answers it must stay below half a turn.
    """

    def __init__(self) -> None:
        self._start: Rotation | None = None
        self._total_rad = 0.0

    def add(self, rotation: Rotation) -> float:
        """The turn since the first rotation, after one more."""
        self._start = self._start or rotation
        _, _, z, w = (rotation * self._start.inv()).as_quat()
        ahead = 2.0 * np.arctan2(z, w) - self._total_rad
        self._total_rad += float((ahead + np.pi) % (2.0 * np.pi) - np.pi)
        return self._total_rad


def count_quarters(yaw_rad: Array, hysteresis_rad: float = np.radians(10.0)) -> int:
    """Quarter turns in a yaw that was added up; wobbling about a boundary counts once."""
    quarters, quarter = 0, np.pi / 2
    start = yaw_rad[0]
    for yaw in yaw_rad:
        while yaw - start >= (quarters + 1) * quarter + hysteresis_rad:
            quarters += 1
        while yaw - start <= (quarters - 1) * quarter - hysteresis_rad:
            quarters -= 1
    return quarters


def summarize_sequence(
    records: list[SequenceRecord], costs_ms: list[float]
) -> dict[str, float | int | None]:
    """Numbers over all answers, of which there are some; errors over those that were given."""
    given = [r for r in records if np.isfinite(r.rotation_deg)]
    numbers: dict[str, float | int | None] = {
        "answers": len(records),
        "lost_rate": 1.0 - len(given) / len(records),
    }
    for name, values in (
        ("rotation_deg", [r.rotation_deg for r in given]),
        ("translation_mm", [r.position_mm for r in given]),
        ("nees", [r.nees for r in given]),
        ("age_ms", [1e3 * r.age_s for r in given]),
        ("frame_ms", costs_ms),
    ):
        array = np.array(values)
        numbers[f"{name}_mean"] = float(array.mean()) if len(array) else None
        numbers[f"{name}_p95"] = float(np.quantile(array, 0.95)) if len(array) else None
    if len(given) > 1:
        numbers["quarter_turns"] = count_quarters(np.array([r.yaw_rad for r in given]))
        numbers["true_quarter_turns"] = count_quarters(np.array([r.true_yaw_rad for r in given]))
        apart = [r.yaw_rad - r.true_yaw_rad for r in given]
        numbers["yaw_drift_deg"] = float(np.degrees(apart[-1] - apart[0]))
    return numbers


class Truth:
    """The true pose between frames.

    Args:
        times_s: (T,) growing.
        poses: (T, 4, 4) at these times.
    """

    def __init__(self, times_s: Array, poses: Array) -> None:
        self._position = CubicSpline(times_s, poses[:, :3, 3])
        self._rotation = RotationSpline(times_s, Rotation.from_matrix(poses[:, :3, :3]))
        self._yaw = YawCounter()

    def at(self, time_s: float) -> Array:
        """(4, 4)."""
        pose = np.eye(4)
        pose[:3, :3] = self._rotation(time_s).as_matrix()
        pose[:3, 3] = self._position(time_s)
        return pose

    def yaw_at(self, time_s: float) -> float:
        """Turn since the first call; call with growing times."""
        return self._yaw.add(self._rotation(time_s))


def _ask(tracker: CubeTracker, time_s: float, truth: Truth, yaw: YawCounter) -> SequenceRecord:
    true_yaw = truth.yaw_at(time_s)
    answer = tracker.pose_at(time_s)
    if answer is None:
        nan = float("nan")
        return SequenceRecord(time_s, nan, nan, nan, nan, true_yaw, nan)
    error = pose_error(answer.pose, truth.at(time_s))
    return SequenceRecord(
        time_s=time_s,
        rotation_deg=float(np.degrees(np.linalg.norm(error[3:]))),
        position_mm=float(1e3 * np.linalg.norm(error[:3])),
        nees=float(error @ np.linalg.solve(answer.covariance, error)),
        yaw_rad=yaw.add(Rotation.from_matrix(answer.pose[:3, :3])),
        true_yaw_rad=true_yaw,
        age_s=answer.age_s,
    )
