"""A hand that is at once where it is told to be: for measurements and tests of everything else."""

import numpy as np

from sernf_isaac.deploy.protocols import Array, HandReading


class IdealHand:
    """A driver without motors.

    Args:
        start: (A,) where it is at first [rad].
    """

    def __init__(self, start: Array) -> None:
        self.joint_pos = np.array(start, np.float64)
        self.strength = 0.0
        self.sent: list[Array] = []
        """Every command it got while it had torque; the newest hundred."""

    def connect(self) -> None:
        """Nothing to open."""

    def read(self) -> HandReading:
        """Perfect sensors."""
        return HandReading(self.joint_pos.copy(), np.zeros_like(self.joint_pos))

    def command(self, joint_target: Array) -> None:
        """Be there."""
        self.joint_pos = np.array(joint_target)
        self.sent = [*self.sent[-99:], self.joint_pos]

    def set_strength(self, share: float) -> None:
        """Remember it."""
        self.strength = share

    def check(self) -> None:
        """Never at fault."""

    def place(self) -> bool:
        """It has no object."""
        return False

    def rearm(self) -> None:
        """Nothing to rearm."""

    def close(self) -> None:
        """Nothing to close."""
        self.strength = 0.0
