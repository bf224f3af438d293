"""One tick of the hand: read, decide, command, report. Knows neither processes nor clocks."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sernf_isaac.deploy.hand.controller import HandController
from sernf_isaac.deploy.hand.guard import Guard, GuardLimits
from sernf_isaac.deploy.loop.messages import SENSORS
from sernf_isaac.deploy.loop.server import LoopServer
from sernf_isaac.deploy.loop.states import ERRORS, Command, Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import Array, HandDescription, HandDriver, HandReading

COMMAND_RATE_HZ = 40.0
"""Of the loop that talks to the motors (paper E.1)."""
PLACEABLE = (State.OFF, State.READY, State.HOLD, State.RELAX)


class HandServer(LoopServer[HandController, HandDriver]):
    """The only user of a driver.

    Args:
        driver: Connected.
        hand: Its joints.
        limits: How it may be moved.
        timing: How long silence is tolerated.
        open_pose: (A,) where it goes to let go [rad].
        rate_hz: Ticks per second.
        sensors: Sizes of what the driver measures beside the joints, by name.
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
        sensors: Mapping[str, int] | None = None,
    ) -> None:
        controller = HandController(Guard(hand, limits, 1.0 / rate_hz), timing, open_pose)
        super().__init__(driver, controller, hand.num_joints, rate_hz, sensors)
        self._sensors = dict(sensors or {})
        rest = np.zeros(hand.num_joints)
        self._reading = HandReading(rest, rest, fresh=False)
        self._strength: float | None = None
        self._placed_for = -1
        self._warned = b""

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

    def _look(self, now_s: float) -> None:
        """Read the hand; one that cannot be read goes on through its states with what is known."""
        try:
            self._reading = self._read()
        except ERRORS as error:
            self._reading = replace(self._reading, fresh=False)
            self._fail(now_s, error)
            return
        if self._reading.fault:
            self._report["error"] = self._reading.fault.encode()[:200]
            self.controller.fail(Reason.HEALTH, now_s)
        self._warn(self._reading.warning.encode()[:200])

    def _read(self) -> HandReading:
        reading, expected = self.driver.read(), self._reading.joint_pos.shape
        if not np.shape(reading.joint_pos) == np.shape(reading.joint_vel) == expected:
            raise RuntimeError(
                f"the driver reports joints of shape {np.shape(reading.joint_pos)} and speeds of "
                f"{np.shape(reading.joint_vel)}, this hand has {expected}"
            )
        measured = {name: np.size(value) for name, value in reading.sensors.items()}
        if measured != self._sensors:
            raise RuntimeError(
                f"the driver measures {measured} beside the joints; the session expects "
                f"{self._sensors}"
            )
        return reading

    def _warn(self, warning: bytes) -> None:
        """Report what does not stop the hand, unless there is something worse to report."""
        said = bytes(self._report["error"][0])
        if said in (b"", self._warned) and not self.controller.faulty:
            self._report["error"] = self._warned = warning

    def _fail(self, now_s: float, error: Exception) -> None:
        self._report["error"] = f"{type(error).__name__}: {error}".encode()[:200]
        self.controller.fail(Reason.DRIVER, now_s)

    def _place(self, now_s: float, command: Command | None) -> None:
        controller = self.controller
        if command is None or not controller.hears(now_s, command) or controller.faulty:
            return
        if command.request is not Request.PLACE or command.sequence == self._placed_for:
            return
        self._placed_for = command.sequence
        if controller.state in PLACEABLE and self.driver.place():
            self._reading = self._read()
            controller.placed(now_s, self._reading)
            self._report["placed"] += controller.state is State.READY

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
        report = super()._fill(now_s, command, lateness_s, missed)
        report["joint_pos"], report["joint_vel"] = self._reading.joint_pos, self._reading.joint_vel
        report["has_cube"] = self._reading.cube is not None
        if self._reading.cube is not None:
            report["cube"] = self._reading.cube
        for name, values in self._reading.sensors.items():
            report[SENSORS][name] = values
        return report
