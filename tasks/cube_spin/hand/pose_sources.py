"""A camera on the twin: true poses, seen at 16 Hz, late, noisy, sometimes not at all or wrong."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.protocols import Array, Clock, PoseReading
from tasks.orca.shapes import Vector


@dataclass
class CameraErrors:
    """How good the pose estimator is."""

    rate_hz: float = 16.0
    """Pictures per second (paper F.2)."""
    latency_s: float = 0.06
    """From picture to pose."""
    position_noise_m: float = 0.002
    """Standard deviation per axis and picture."""
    rotation_noise_rad: float = 0.04
    """The same for rotations."""
    loss_probability: float = 0.01
    """Chance per picture that fingers hide the cube for a while."""
    loss_s: tuple[float, float] = (0.1, 0.4)
    """How long."""
    jump_probability: float = 0.005
    """Chance per picture that the pose is plainly wrong: any rotation, and 2 cm off."""
    jump_m: float = 0.02
    """Standard deviation of the position of such a pose, per axis."""

    def __post_init__(self) -> None:
        if self.rate_hz <= 0.0 or not 0.0 <= self.loss_s[0] <= self.loss_s[1]:
            raise ValueError(f"impossible camera: {self}")

    @classmethod
    def none(cls) -> "CameraErrors":
        """A pose at every step, true and at once."""
        return cls(1000.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0.0)


class TwinCamera:
    """A pose source as in `sernf_isaac.deploy.protocols`; looks whenever it is asked.

    Args:
        truth: The time and the cube's true pose (7,), or None while there is none.
        errors: How good it is.
        seed: Of all errors.
    """

    def __init__(
        self,
        truth: Callable[[], tuple[float, Array | None]],
        errors: CameraErrors,
        *,
        seed: int = 0,
    ) -> None:
        self._truth, self._errors = truth, errors
        self._rng = np.random.default_rng(seed)
        self._coming: deque[tuple[float, PoseReading]] = deque()
        self._newest: PoseReading | None = None
        self._next_picture_s = self._lost_until_s = -np.inf

    def reset(self) -> None:
        """Forget what was seen."""
        self._coming.clear()
        self._newest = None
        self._next_picture_s = self._lost_until_s = -np.inf

    def latest(self) -> PoseReading | None:
        """The newest pose that has arrived by now."""
        now_s, pose = self._truth()
        if pose is not None and now_s >= self._next_picture_s:
            period_s = 1.0 / self._errors.rate_hz
            behind = now_s - self._next_picture_s
            self._next_picture_s = now_s + period_s - (behind if behind < period_s else 0.0)
            self._take(now_s, pose)
        while self._coming and self._coming[0][0] <= now_s:
            self._newest = self._coming.popleft()[1]
        return self._newest

    def _take(self, now_s: float, pose: Array) -> None:
        errors, rng = self._errors, self._rng
        if now_s < self._lost_until_s:
            return
        if rng.random() < errors.loss_probability:
            self._lost_until_s = now_s + rng.uniform(*errors.loss_s)
            return
        position = pose[:3] + errors.position_noise_m * rng.standard_normal(3)
        wobble = Rotation.from_rotvec(errors.rotation_noise_rad * rng.standard_normal(3))
        rotation = wobble * Rotation.from_quat(pose[3:])
        if rng.random() < errors.jump_probability:
            position = position + errors.jump_m * rng.standard_normal(3)
            rotation = Rotation.random(rng=rng)
        seen = PoseReading(now_s, position, rotation.as_quat())
        self._coming.append((now_s + errors.latency_s, seen))


class StillPose:
    """A pose source that always sees an unturned cube at its origin [m], right now."""

    def __init__(self, clock: Clock, origin_m: Vector) -> None:
        self._clock, self._origin = clock, np.array(origin_m)

    def latest(self) -> PoseReading:
        """The cube at its origin."""
        unturned = np.array([0.0, 0.0, 0.0, 1.0])
        return PoseReading(self._clock.now(), self._origin, unturned)

    def reset(self) -> None:
        """Nothing to forget."""
