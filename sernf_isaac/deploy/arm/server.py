"""One tick of the arm: read, decide, command, report. Knows neither processes nor clocks."""

import numpy as np

from sernf_isaac.deploy.arm.controller import ArmController
from sernf_isaac.deploy.arm.driver import POSE_SIZE, ArmDriver, ArmReading, Array
from sernf_isaac.deploy.arm.guard import ArmGuard, ArmLimits
from sernf_isaac.deploy.loop.messages import state_layout
from sernf_isaac.deploy.loop.states import ERRORS, Command, Reason, SafetyTiming, State

POSE_RATE_HZ = 100.0
"""Of the loop that sends poses; the controller behind the driver runs at 1 kHz (paper E.1)."""


class ArmServer:
    """The only user of a driver; used like a `HandServer`, with poses in the place of joints.

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
        self.driver, self.period_s = driver, 1.0 / rate_hz
        self.controller = ArmController(ArmGuard(limits, self.period_s), timing)
        self._report = np.zeros(1, state_layout(POSE_SIZE))
        self._led = True
        self._keys = (0, 0)

    def tick(
        self,
        now_s: float,
        command: Command | None,
        keys: tuple[int, int] = (0, 0),
        *,
        lateness_s: float = 0.0,
        missed: int = 0,
    ) -> np.ndarray:
        """One period; returns the report (1,), see `messages.state_layout` for 7 "joints".

        Args:
            now_s: Now.
            command: The actor's newest message.
            keys: How often a person pressed stop and clear.
            lateness_s: For the report.
            missed: For the report.
        """
        self._obey_keys(now_s, keys)
        target = self.controller.tick(now_s, self._look(now_s), command)
        try:
            self._drive(target)
        except ERRORS as error:
            self._fail(now_s, error)
        return self._fill(now_s, command, lateness_s, missed)

    def close(self) -> None:
        """End the arm's controller, whatever happens; the arm brakes."""
        self.driver.close()

    def _obey_keys(self, now_s: float, keys: tuple[int, int]) -> None:
        stops, clears = keys
        before, self._keys = self._keys, keys
        if stops > before[0]:
            self.controller.stop(now_s)
        elif clears > before[1] and self.controller.state is not State.FOLLOW:
            try:
                self.driver.rearm()
            except ERRORS as error:
                self._fail(now_s, error)  # what could not be rearmed is not cleared
                return
            self.controller.clear(now_s)

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
        report, controller, guard = self._report, self.controller, self.controller.guard
        report["sequence"] += 1
        report["time_s"], report["lateness_s"], report["missed"] = now_s, lateness_s, missed
        report["state"], report["reason"] = controller.state, controller.reason
        report["since_s"], report["command_sequence"] = controller.since_s, controller.sequence
        report["command_age_s"] = np.inf if command is None else now_s - command.time_s
        if controller.measured is not None:
            report["joint_pos"] = controller.measured
        report["sent"], report["goal"] = guard.command, guard.goal
        report["rejected"], report["limited"] = guard.rejected, guard.limited
        report["error"] = controller.detail.encode()[:200]
        return report
