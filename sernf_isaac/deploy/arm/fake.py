"""An arm that follows poses with a first-order lag: for tests, and for simulated carriers."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.arm.driver import ArmReading, Array


def approach(pose: Array, target: Array, share: float) -> Array:
    """That part of the way from poses (N, 7) to targets (N, 7), turning on the shortest arc.

    Args:
        pose: Where they are.
        target: Where they are to be.
        share: 0 stays, 1 is there.
    """
    start = Rotation.from_quat(pose[:, 3:])
    away = (start.inv() * Rotation.from_quat(target[:, 3:])).as_rotvec()
    turn = (start * Rotation.from_rotvec(share * away)).as_quat()
    turn *= np.where((turn * pose[:, 3:]).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    return np.concatenate([pose[:, :3] + share * (target[:, :3] - pose[:, :3]), turn], axis=1)


class FakeArm:
    """A driver without motors.

    Args:
        start: (7,) where the tool is at first.
        clock: Seconds, monotonic.
        lag_s: After this time a step is followed to 63 %.
    """

    def __init__(self, start: Array, clock: Callable[[], float], *, lag_s: float = 0.08) -> None:
        if not lag_s > 0:
            raise ValueError(f"lag_s ({lag_s}) must be > 0")
        self._pose = np.array(start, np.float64)[None]
        self._target = self._pose.copy()
        self._clock, self._lag_s, self._time_s = clock, lag_s, clock()
        self.fault = ""
        """Set it to make the arm stop."""

    def connect(self) -> None:
        """Nothing to open."""

    def read(self) -> ArmReading:
        """Perfect sensors."""
        self._advance()
        return ArmReading(self._pose[0].copy(), fault=self.fault)

    def command(self, pose: Array) -> None:
        """Follow it.

        Raises:
            RuntimeError: In a fault.
        """
        self._advance()
        if self.fault:
            raise RuntimeError(f"the arm has stopped: {self.fault}")
        self._target = np.array(pose, np.float64)[None]

    def hold(self) -> None:
        """Stay here."""
        self._advance()
        self._target = self._pose.copy()

    def rearm(self) -> None:
        """Forget the fault."""
        self.fault = ""
        self.hold()

    def close(self) -> None:
        """Nothing to close."""

    def _advance(self) -> None:
        now = self._clock()
        if not self.fault:
            share = 1.0 - np.exp(-(now - self._time_s) / self._lag_s)
            self._pose = approach(self._pose, self._target, float(share))
        self._time_s = now
