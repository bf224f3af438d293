"""What the eyes measured on a film, and filters that are tried on it without looking again.

`evaluate_pose.py --replay FILE.npz` writes a film. Outliers and drop-outs are added when it
is replayed, so that one film is judged with and without them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from scipy.spatial.transform import Rotation

from perception.files import check_writable, write_whole
from perception.pose.projection import pose_error
from perception.report.sequences import Truth
from perception.tracking.filter import FilterConfig, Measurement, Outcome, PoseFilter
from perception.tracking.state import POSITION, ROTATION

Array = np.ndarray
FIELDS = ("times_s", "poses", "covariances", "truths")
TURNS = Rotation.create_group("O")
OTHER_FACES = TURNS[TURNS.magnitude() > 0.1].as_matrix()
"""(23, 3, 3) turns of the cube onto itself: what a detector that mistakes the faces is off by."""
WILD_M = 0.05
"""Standard deviation of the position of a pose that has nothing to do with the cube, per axis."""
_UPPER = np.triu_indices(6)
_POSE = np.r_[POSITION, ROTATION]


@dataclass(frozen=True)
class MeasuredFilm:
    """Poses of single pictures, in the camera's frame."""

    times_s: Array
    """(T,) growing."""
    poses: Array
    """(T, 4, 4) measured `T_camera_cube`; NaN where a picture gave none."""
    covariances: Array
    """(T, 6, 6) of the errors of position [m] and rotation [rad]."""
    truths: Array
    """(T, 4, 4) true `T_camera_cube`."""

    def save(self, path: Path) -> None:
        """Write an NPZ file of about 130 bytes per picture.

        Raises:
            OSError: If it cannot be written.
            ValueError: If its name does not end in .npz.
        """
        check_writable(path, (".npz",))
        upper = self.covariances[:, *_UPPER].astype(np.float32)
        stored = self.times_s, _sevens(self.poses), upper, _sevens(self.truths)
        fields = dict(zip(FIELDS, stored, strict=True))
        write_whole(path, lambda file: np.savez_compressed(file, **fields))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                times_s, poses, upper, truths = (content[name] for name in FIELDS)
        except (KeyError, AttributeError, EOFError, ValueError) as error:
            raise ValueError(f"{path} is no file of measurements: {error}") from error
        covariances = np.zeros((len(upper), 6, 6))
        covariances[:, *_UPPER] = upper
        covariances[:, _UPPER[1], _UPPER[0]] = upper
        return cls(times_s, _matrices(poses), covariances, _matrices(truths))


@dataclass(frozen=True)
class Mishaps:
    """What happens to measurements on their way to the filter."""

    outliers: float = 0.0
    """Part that is replaced: half of them by another face of the cube, half by any pose."""
    dropout: float = 0.0
    """Part that is lost."""
    seed: int = 0


def replay(
    film: MeasuredFilm,
    config: FilterConfig,
    mishaps: Mishaps | None = None,
    *,
    later_s: float = 0.07,
    settle_s: float = 0.5,
) -> dict[str, float | int]:
    """Errors of the measurements, of the filtered pose at their times, and some time later.

    Args:
        film: Measurements.
        config: The filter's.
        mishaps: None by default.
        later_s: From the picture to the use of the pose.
        settle_s: Not judged: the track is being started.

    Returns:
        Rotations [deg] and positions [mm] `measured`, `filtered` and `later`, each with mean and 95
        % quantile, over all moments at which a measurement arrives; means of NEES and NIS, which
        are 6 if covariances are right; the part of moments that are `lost`; how many good
        measurements were `refused`, and how many outliers were `believed`.
    """
    mishaps = mishaps or Mishaps()
    rng, truth = np.random.default_rng(mishaps.seed), Truth(film.times_s, film.truths)
    tracked, notes = PoseFilter(config), _Notes()
    for time_s, pose, covariance in zip(film.times_s, film.poses, film.covariances, strict=True):
        if not np.isfinite(pose).all() or rng.random() < mishaps.dropout:
            continue
        wrong = rng.random() < mishaps.outliers
        measurement = Measurement(time_s, _mistaken(pose, rng) if wrong else pose, covariance)
        judged = film.times_s[0] + settle_s <= time_s <= film.times_s[-1] - later_s
        if judged and not wrong:
            notes.measured(measurement, tracked, truth)
        outcome = tracked.add(measurement)
        if judged:
            notes.outcome(outcome, wrong=wrong)
            notes.filtered(tracked, truth, time_s, later_s)
    return notes.summary()


class _Notes:
    """Errors of one replay, by name."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}
        self._moments = self._refused = self._believed = 0

    def measured(self, measurement: Measurement, tracked: PoseFilter, truth: Truth) -> None:
        self._error("measured", measurement.pose, truth.at(measurement.time_s))
        if (expected := tracked.state_at(measurement.time_s)) is not None:
            off = pose_error(measurement.pose, expected.pose)
            spread = expected.covariance[np.ix_(_POSE, _POSE)] + measurement.covariance
            self._add("nis", float(off @ np.linalg.solve(spread, off)))

    def outcome(self, outcome: Outcome, *, wrong: bool) -> None:
        self._moments += 1
        self._refused += outcome is Outcome.REJECTED and not wrong
        self._believed += outcome in (Outcome.USED, Outcome.STARTED) and wrong

    def filtered(self, tracked: PoseFilter, truth: Truth, time_s: float, later_s: float) -> None:
        for name, suffix, at_s in (("filtered", "", time_s), ("later", "_later", time_s + later_s)):
            if (state := tracked.state_at(at_s)) is None:
                continue
            error = self._error(name, state.pose, truth.at(at_s))
            spread = state.covariance[np.ix_(_POSE, _POSE)]
            self._add(f"nees{suffix}", float(error @ np.linalg.solve(spread, error)))

    def summary(self) -> dict[str, float | int]:
        numbers: dict[str, float | int] = {}
        for name, values in self._values.items():
            numbers[f"{name}_mean"] = float(np.mean(values))
            numbers[f"{name}_p95"] = float(np.quantile(values, 0.95))
        given = len(self._values.get("filtered_deg", []))
        numbers["lost"] = 1.0 - given / self._moments if self._moments else 1.0
        return numbers | {"refused": self._refused, "believed": self._believed}

    def _error(self, name: str, pose: Array, truth: Array) -> Array:
        error = pose_error(pose, truth)
        self._add(f"{name}_deg", np.degrees(np.linalg.norm(error[3:])))
        self._add(f"{name}_mm", 1e3 * np.linalg.norm(error[:3]))
        return error

    def _add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(float(value))


def _mistaken(pose: Array, rng: np.random.Generator) -> Array:
    """Another face of the cube, or any pose."""
    wrong = pose.copy()
    if rng.random() < 0.5:
        wrong[:3, :3] = pose[:3, :3] @ OTHER_FACES[rng.integers(len(OTHER_FACES))]
        return wrong
    wrong[:3, :3] = Rotation.random(rng=rng).as_matrix()
    wrong[:3, 3] += rng.normal(0.0, WILD_M, 3)
    return wrong


def _sevens(poses: Array) -> Array:
    """(T, 7) position and quaternion xyzw of poses (T, 4, 4); NaN stays NaN."""
    result = np.full((len(poses), 7), np.nan, dtype=np.float32)
    there = np.isfinite(poses).all(axis=(1, 2))
    result[there, :3] = poses[there, :3, 3]
    result[there, 3:] = Rotation.from_matrix(poses[there, :3, :3]).as_quat()
    return result


def _matrices(sevens: Array) -> Array:
    """The inverse of `_sevens`."""
    poses = np.full((len(sevens), 4, 4), np.nan)
    there = np.isfinite(sevens).all(axis=1)
    poses[there] = np.eye(4)
    poses[there, :3, 3] = sevens[there, :3]
    poses[there, :3, :3] = Rotation.from_quat(sevens[there, 3:].astype(float)).as_matrix()
    return poses
