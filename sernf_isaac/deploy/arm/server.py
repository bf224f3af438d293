"""One tick of the arm: read, decide, command, report. Knows neither processes nor clocks."""

import numpy as np

from sernf_isaac.deploy.arm.controller import ArmController
from sernf_isaac.deploy.arm.driver import POSE_SIZE, ArmDriver, ArmReading, Array
from sernf_isaac.deploy.arm.guard import ArmGuard, ArmLimits
from sernf_isaac.deploy.loop.server import LoopServer
from sernf_isaac.deploy.loop.states import ERRORS, Command, Reason, SafetyTiming

POSE_RATE_HZ = 100.0
"""Of the loop that sends poses; the controller behind the driver runs at 1 kHz (paper E.1)."""


class ArmServer(LoopServer[ArmController, ArmDriver]):
    """The only user of a driver; the report is that of 7 "joints", which are a pose.

    Args:
        driver: Connected.
        limits: How the arm may be moved.
        timing: How long silence is tolerated.
        rate_hz: Ticks per second.
    """

    ends_at_once = True
    """An arm stays where it is when its process ends."""

    def __init__(
        self,
        driver: ArmDriver,
        *,
        limits: ArmLimits,
        timing: SafetyTiming,
        rate_hz: float = POSE_RATE_HZ,
    ) -> None:
        controller = ArmController(ArmGuard(limits, 1.0 / rate_hz), timing)
        super().__init__(driver, controller, POSE_SIZE, rate_hz)
        self._led = True

    def tick(
        self,
        now_s: float,
        command: Command | None,
        keys: tuple[int, int] = (0, 0),
        *,
        lateness_s: float = 0.0,
        missed: int = 0,
    ) -> np.ndarray:
        """As in `LoopServer`."""
        self._obey_keys(now_s, keys)
        target = self.controller.tick(now_s, self._look(now_s), command)
        try:
            self._drive(target)
        except ERRORS as error:
            self._fail(now_s, error)
        return self._fill(now_s, command, lateness_s, missed)

    def _look(self, now_s: float) -> ArmReading:
        """Where the arm is; one that cannot be read is at fault."""
        try:
            return self.driver.read()
        except ERRORS as error:
            self._fail(now_s, error)
            return ArmReading(np.zeros(POSE_SIZE), fresh=False)

    def _fail(self, now_s: float, error: Exception) -> None:
        self.controller.fail(Reason.DRIVER, now_s, f"{type(error).__name__}: {error}")

    def _drive(self, pose: Array | None) -> None:
        """Lead, or say that nobody does until the arm has heard it."""
        if pose is not None:
            self._led = True  # first: a command that fails may have arrived
            self.driver.command(pose)
        elif self._led and self.controller.reason is not Reason.DRIVER:
            self.driver.hold()
            self._led = False

    def _fill(
        self, now_s: float, command: Command | None, lateness_s: float, missed: int
    ) -> np.ndarray:
        report, controller = super()._fill(now_s, command, lateness_s, missed), self.controller
        if controller.measured is not None:
            report["joint_pos"] = controller.measured
        report["error"] = controller.detail.encode()[:200]
        return report
