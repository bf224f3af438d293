"""A Franka arm through franky: `pip install franky-control` (bundles libfranka for FR3).

Written against version 2.0.0's documented interface and not yet run on an arm. A Panda (FER) needs
the wheel that franky's documentation names. The tracker runs in franky's own 1 kHz thread.
"""

from importlib import import_module
from typing import Any

import numpy as np

from sernf_isaac.deploy.arm.driver import ArmReading, Array


class FrankyArm:
    """One arm under Cartesian impedance (paper E.1).

    Args:
        hostname: Of the control box.
        stiffness_n_m: Of translations.
        stiffness_nm_rad: Of rotations.
    """

    def __init__(
        self, hostname: str, *, stiffness_n_m: float = 600.0, stiffness_nm_rad: float = 30.0
    ) -> None:
        self._hostname = hostname
        self._stiffness = (stiffness_n_m, stiffness_nm_rad)
        self._franky: Any = None  # franky is not typed
        self._robot: Any = None
        self._tracker: Any = None

    def connect(self) -> None:
        """Open the connection and hold the pose.

        Raises:
            RuntimeError: If franky is missing, or no arm answers.
        """
        try:
            self._franky = import_module("franky")
        except ImportError as error:
            raise RuntimeError("franky is not installed: pip install franky-control") from error
        self._robot = self._franky.Robot(self._hostname)
        self._start()

    def read(self) -> ArmReading:
        """Where the end effector is, and the arm's own error if it has one."""
        robot = self._opened()
        pose = robot.current_pose.end_effector_pose
        fault = "an error of the arm" if robot.has_errors else ""
        return ArmReading(np.concatenate([pose.translation, pose.quaternion]), fault=fault)

    def command(self, pose: Array) -> None:
        """Follow it.

        Raises:
            RuntimeError: If the arm has stopped.
        """
        if self._opened().has_errors:
            raise RuntimeError("the arm has stopped; look at it, then rearm")
        self._tracker.set_target(self._franky.Affine(pose[:3], pose[3:]))

    def hold(self) -> None:
        """Stay here."""
        self.command(self.read().pose)

    def rearm(self) -> None:
        """Clear the arm's error and start the controller again."""
        self._opened().recover_from_errors()
        self._start()

    def close(self) -> None:
        """End the controller."""
        if self._tracker is not None:
            self._tracker.stop()
        self._robot = self._tracker = None

    def _start(self) -> None:
        translational, rotational = self._stiffness
        self._tracker = self._franky.CartesianImpedanceTracker(
            self._robot, translational_stiffness=translational, rotational_stiffness=rotational
        )

    def _opened(self) -> Any:  # noqa: ANN401  # franky is not typed
        if self._robot is None:
            raise RuntimeError("the arm is not connected")
        return self._robot
