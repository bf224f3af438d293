"""A Franka Panda (FER) through panda-python: `pip install panda-python` (bundles libfranka 0.9.2).

Written against version 1.1.1's documented interface and not yet run on an arm. Needs a real-time
kernel and a direct cable to the control box; the controller runs in panda-python's own 1 kHz
thread.
"""

from importlib import import_module
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.arm.driver import ArmReading, Array


class PandaArm:
    """One arm under Cartesian impedance (paper E.1).

    Args:
        hostname: Of the control box.
        stiffness_n_m: Of translations.
        stiffness_nm_rad: Of rotations.
        filter_share: Part of the way to a new command that the controller goes per millisecond.
    """

    def __init__(
        self,
        hostname: str,
        *,
        stiffness_n_m: float = 600.0,
        stiffness_nm_rad: float = 30.0,
        filter_share: float = 0.05,
    ) -> None:
        self._hostname, self._filter_share = hostname, filter_share
        self._impedance = np.diag([stiffness_n_m] * 3 + [stiffness_nm_rad] * 3)
        self._panda: Any = None  # panda-python is not typed
        self._controller: Any = None

    def connect(self) -> None:
        """Open the connection and hold the pose.

        Raises:
            RuntimeError: If panda-python is missing, or no arm answers.
        """
        try:
            panda_py = import_module("panda_py")
            controllers = import_module("panda_py.controllers")
        except ImportError as error:
            raise RuntimeError("panda-python is not installed: pip install panda-python") from error
        self._panda = panda_py.Panda(self._hostname)
        self._controller = controllers.CartesianImpedance(
            impedance=self._impedance, filter_coeff=self._filter_share
        )
        self._panda.start_controller(self._controller)

    def read(self) -> ArmReading:
        """Where the end effector is, and the arm's own error if it has one."""
        panda = self._opened()
        transform = np.asarray(panda.get_pose())  # (4, 4)
        turn = Rotation.from_matrix(transform[:3, :3]).as_quat()
        return ArmReading(np.concatenate([transform[:3, 3], turn]), fault=self._fault())

    def command(self, pose: Array) -> None:
        """Follow it.

        Raises:
            RuntimeError: If the arm has stopped.
        """
        if fault := self._fault():
            raise RuntimeError(f"the arm has stopped: {fault}")
        self._controller.set_control(pose[:3], pose[3:])

    def hold(self) -> None:
        """Stay here."""
        self.command(self.read().pose)

    def rearm(self) -> None:
        """Clear the arm's error and start the controller again."""
        panda = self._opened()
        panda.recover()
        panda.start_controller(self._controller)

    def close(self) -> None:
        """End the controller."""
        if self._panda is not None:
            self._panda.stop_controller()
            self._panda = self._controller = None

    def _fault(self) -> str:
        try:
            self._opened().raise_error()
        except RuntimeError as error:
            return str(error)
        return ""

    def _opened(self) -> Any:  # noqa: ANN401  # panda-python is not typed
        if self._panda is None:
            raise RuntimeError("the arm is not connected")
        return self._panda
