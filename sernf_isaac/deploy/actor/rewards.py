"""Rewards from the pose stream alone: +1 for every 90 degrees in the commanded direction (C.3).

Every quarter of net progress is paid once: rocking back and forth about a mark pays nothing. Poses
of one glance that contradict their neighbours are ignored.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.protocols import Array

QUARTER_RAD = np.pi / 2
ROUNDING = 1e-5
"""Of a quarter: poses are stored in single precision, and must count then as they did live."""
SOURCE = "yaw"
"""Of rewards proposed here, in labels."""


@dataclass(frozen=True)
class RewardSettings:
    """How sure the counter must be."""

    confirm: int = 3
    """Poses in a row that must agree on a quarter, a jump or a drop."""
    max_turn_rad: float = 0.8
    """A turn between two poses that is larger is a false reading: half of a quarter turn."""


def turn_between(before: Array, after: Array) -> float:
    """Angle about the vertical [rad] by which rotation `before` (4,) xyzw became `after`.

    The vertical part of the rotation vector: unlike Euler angles it cannot be gained by rolling.
    """
    turn = Rotation.from_quat(after) * Rotation.from_quat(before).inv()
    return float(turn.as_rotvec()[2])


class QuarterCounter:
    """Counts quarters of net progress as poses arrive.

    Args:
        direction: Sign of the commanded spin; positive is counter-clockwise seen from above.
        settings: How sure to be.

    Raises:
        ValueError: If there is no direction.
    """

    def __init__(self, direction: float, settings: RewardSettings | None = None) -> None:
        if direction == 0.0 or not np.isfinite(direction):
            raise ValueError(f"a direction must be positive or negative, not {direction}")
        self._sign, self._settings = np.sign(direction), settings or RewardSettings()
        self._known: Array | None = None
        self._strange: list[Array] = []
        self._agreed = 0
        self.progress_rad = 0.0
        """Net turn in the commanded direction since the start."""
        self.quarters = 0
        """Rewards given."""

    def update(self, quaternion: Array) -> int:
        """Look at a new pose's rotation (4,) xyzw; returns the quarters confirmed by it."""
        if self._known is None:
            self._known = quaternion
            return 0
        turned = turn_between(self._known, quaternion)
        if abs(turned) > self._settings.max_turn_rad:
            self._doubt(quaternion)
            return 0
        self._strange = []
        self._known = quaternion
        self.progress_rad += float(self._sign) * turned
        return self._confirm()

    def _confirm(self) -> int:
        beyond = int(np.floor(self.progress_rad / QUARTER_RAD + ROUNDING)) - self.quarters
        self._agreed = self._agreed + 1 if beyond > 0 else 0
        if self._agreed < self._settings.confirm:
            return 0
        self._agreed, self.quarters = 0, self.quarters + beyond
        return beyond

    def _doubt(self, quaternion: Array) -> None:
        """A jump: believed when enough poses agree on it, but nobody knows what it turned."""
        near = self._settings.max_turn_rad
        agree = self._strange and abs(turn_between(self._strange[-1], quaternion)) <= near
        self._strange = [*self._strange, quaternion] if agree else [quaternion]
        if len(self._strange) >= self._settings.confirm:
            self._known, self._strange = quaternion, []


class DropDetector:
    """Says that the object is gone when enough poses in a row say so, or none come.

    Args:
        confirm: Poses in a row.
        blind_s: Without any pose for this long, the object counts as gone.
    """

    def __init__(self, confirm: int = 3, blind_s: float = 1.0) -> None:
        self._confirm, self._blind_s = confirm, blind_s
        self._lost = 0

    def update(self, *, new: bool, lost: bool, age_s: float) -> bool:
        """One control step: whether there is a new pose, whether it is lost, and its age."""
        if new:
            self._lost = self._lost + 1 if lost else 0
        return self._lost >= self._confirm or age_s > self._blind_s


def propose(
    poses: Array, direction: float, new: Array | None = None
) -> list[tuple[int, float, str]]:
    """Reward events (step, value, source) for an episode, where a robot counting live puts them.

    What pose t shows is the doing of step t - 1, so a quarter confirmed by it belongs to that step.

    Args:
        poses: (T + 1, 7) position and rotation xyzw seen before each step and after the last one;
            (T, 7) if nobody saw what came after.
        direction: Sign of the commanded spin.
        new: As for `count_quarters`.

    Raises:
        ValueError: For another shape.
    """
    quarters, _ = count_quarters(poses, direction, new)
    return [(int(t) - 1, float(quarters[t]), SOURCE) for t in np.flatnonzero(quarters)]


def progress(poses: Array, direction: float, new: Array | None = None) -> Array:
    """(T,) net turn [rad] in the commanded direction, as the counter sees it; see `propose`."""
    return count_quarters(poses, direction, new)[1]


def count_quarters(poses: Array, direction: float, new: Array | None = None) -> tuple[Array, Array]:
    """What a counter makes of recorded poses: quarters confirmed by each, net turn [rad] by then.

    Args:
        poses: (T, 7) position and rotation xyzw, repeated where nothing new was seen.
        direction: Sign of the commanded spin.
        new: (T,) bool, which poses were new. Default: those that differ from the one before, which
            misses that a resting object was seen again.

    Returns:
        (T,) int quarters and (T,) float net turn.

    Raises:
        ValueError: For another shape.
    """
    if poses.ndim != 2 or poses.shape[1] != 7:
        raise ValueError(f"poses must be (T, 7), not {poses.shape}")
    if new is None:
        new = differs(poses)
    if new.shape != poses.shape[:1]:
        raise ValueError(f"new must be ({len(poses)},), one per pose, not {new.shape}")
    counter = QuarterCounter(direction)
    quarters, turned = np.zeros(len(poses), int), np.zeros(len(poses))
    for step, pose in enumerate(poses):
        if new[step]:
            quarters[step] = counter.update(pose[3:].astype(float))
        turned[step] = counter.progress_rad
    return quarters, turned


def differs(poses: Array) -> Array:
    """(T,) bool: whether a pose is another one than the pose before it; the first one is."""
    changed = (poses[1:] != poses[:-1]).any(axis=1)
    return np.concatenate([np.ones(min(len(poses), 1), bool), changed])
