"""One tick of the hand: read, decide, command, report. Knows neither processes nor clocks."""

from dataclasses import replace

import numpy as np

from sernf_isaac.deploy.hand.controller import HandController
from sernf_isaac.deploy.hand.guard import Guard, GuardLimits
from sernf_isaac.deploy.loop.messages import state_layout
from sernf_isaac.deploy.loop.states import ERRORS, Command, Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import Array, HandDescription, HandDriver, HandReading

COMMAND_RATE_HZ = 40.0
"""Of the loop that talks to the motors (paper E.1)."""
PLACEABLE = (State.OFF, State.READY, State.HOLD, State.RELAX)


class HandServer:
    """The only user of a driver.

    Args:
        driver: Connected.
        hand: Its joints.
        limits: How it may be moved.
        timing: How long silence is tolerated.
        open_pose: (A,) where it goes to let go [rad].
        rate_hz: Ticks per second.
    """

    ends_at_once = False
    """A hand that loses its torque drops what it holds: its process opens it first."""

    def __init__(
        self,
        driver: HandDriver,
        hand: HandDescription,
        *,
        limits: GuardLimits,
        timing: SafetyTiming,
        open_pose: Array,
        rate_hz: float = COMMAND_RATE_HZ,
    ) -> None:
        self.driver, self.period_s = driver, 1.0 / rate_hz
        self.controller = HandController(Guard(hand, limits, self.period_s), timing, open_pose)
        self._report = np.zeros(1, state_layout(hand.num_joints))
        rest = np.zeros(hand.num_joints)
        self._reading = HandReading(rest, rest, fresh=False)
        self._strength: float | None = None
        self._placed_for = -1
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
        """One period; returns the report (1,).

        Args:
            now_s: Now.
            command: The actor's newest message.
            keys: How often a person pressed stop and clear.
            lateness_s: For the report.
            missed: For the report.
        """
        controller = self.controller
        self._obey_keys(now_s, keys)
        self._look(now_s)
        try:
            self._place(now_s, command)
            before = controller.state
            target = controller.tick(now_s, self._reading, command)
            if before is not State.RAMP and controller.state is State.RAMP:
                self.driver.check()
            self._drive(target)
        except ERRORS as error:
            self._fail(now_s, error)
            self._strength = None  # nobody knows what arrived
        return self._fill(now_s, command, lateness_s, missed)

    def close(self) -> None:
        """Torque off, whatever happens."""
        self.driver.close()

    def _obey_keys(self, now_s: float, keys: tuple[int, int]) -> None:
        stops, clears = keys
        before, self._keys = self._keys, keys  # first: a key counts once, whatever comes of it
        if stops > before[0]:
            self.controller.stop(now_s)
        elif clears > before[1] and self.controller.state is not State.FOLLOW:
            try:
                self.driver.rearm()
            except ERRORS as error:
                self._fail(now_s, error)  # what could not be rearmed is not cleared
                return
            self.controller.clear(now_s)
            self._report["error"] = b""

    def _look(self, now_s: float) -> None:
        """Read the hand; one that cannot be read goes on through its states with what is known."""
        try:
            self._reading = self.driver.read()
        except ERRORS as error:
            self._reading = replace(self._reading, fresh=False)
            self._fail(now_s, error)

    def _fail(self, now_s: float, error: Exception) -> None:
        self._report["error"] = f"{type(error).__name__}: {error}".encode()[:200]
        self.controller.fail(Reason.DRIVER, now_s)

    def _place(self, now_s: float, command: Command | None) -> None:
        controller = self.controller
        if command is None or command.request is not Request.PLACE:
            return
        if command.sequence == self._placed_for or controller.faulty:
            return
        self._placed_for = command.sequence
        if controller.state in PLACEABLE and self.driver.place():
            self._reading = self.driver.read()
            controller.placed(now_s, self._reading)
            self._report["placed"] += 1

    def _drive(self, target: Array | None) -> None:
        strength = self.controller.strength
        if strength != self._strength:
            self.driver.set_strength(strength)
            self._strength = strength
        if target is not None:
            self.driver.command(target)

    def _fill(
        self, now_s: float, command: Command | None, lateness_s: float, missed: int
    ) -> np.ndarray:
        report, controller, guard = self._report, self.controller, self.controller.guard
        report["sequence"] += 1
        report["time_s"], report["lateness_s"], report["missed"] = now_s, lateness_s, missed
        report["state"], report["reason"] = controller.state, controller.reason
        report["since_s"], report["command_sequence"] = controller.since_s, controller.sequence
        report["command_age_s"] = np.inf if command is None else now_s - command.time_s
        report["joint_pos"], report["joint_vel"] = self._reading.joint_pos, self._reading.joint_vel
        report["sent"], report["goal"] = guard.command, guard.goal
        report["rejected"], report["limited"] = guard.rejected, guard.limited
        report["has_cube"] = self._reading.cube is not None
        if self._reading.cube is not None:
            report["cube"] = self._reading.cube
        return report
