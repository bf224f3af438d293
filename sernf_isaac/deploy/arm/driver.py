"""What the robot side expects of an arm that carries the hand and is led by poses.

A pose is (7,) float64: x y z [m] and a quaternion xyzw, of the tool in the arm's base frame. The
controller behind a driver follows the newest pose at its own rate (paper E.1: impedance at 1 kHz).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Array = np.ndarray
POSE_SIZE = 7


@dataclass(frozen=True)
class ArmReading:
    """What a driver knows about the arm now."""

    pose: Array
    """(7,)"""
    fresh: bool = True
    """False: the arm did not answer, this is an older value."""
    fault: str = ""
    """Why the arm has stopped by itself; empty while it follows."""


class ArmDriver(Protocol):
    """One arm, used by one thread of one process.

    Any method may raise OSError or RuntimeError; whoever calls takes that as a fault.
    """

    def connect(self) -> None:
        """Open the connection; the arm holds its pose.

        Raises:
            RuntimeError: If there is no arm, it is in a fault, or its library is missing.
        """
        ...

    def read(self) -> ArmReading:
        """Where the tool is."""
        ...

    def command(self, pose: Array) -> None:
        """Follow this pose (7,) from now on; called once per period, also while nothing changes."""
        ...

    def hold(self) -> None:
        """Stay here, with torque."""
        ...

    def rearm(self) -> None:
        """Forget a fault; only ever called because a person asked for it."""
        ...

    def close(self) -> None:
        """End the controller and the connection; harmless when closed."""
        ...
