"""The states of an arm: those of the hand (`deploy/hand/controller.py`), but it never lets go.

    OFF -> RAMP -> READY -> FOLLOW
             ^       |        |      no command in time, bad poses, arm blocked or unreadable
             |       +------> HOLD

HOLD keeps the last command. OFF is where nobody leads: the arm's own controller keeps it in place;
the stop key and the arm's own faults end there, and a HOLD because of an actor that never came
back. One that only was late may ramp again; after a fault a person has to clear it first. Nothing
here waits or reads a clock.
"""

import numpy as np

from sernf_isaac.deploy.arm.driver import ArmReading, Array
from sernf_isaac.deploy.arm.guard import ArmGuard, as_pose
from sernf_isaac.deploy.loop.controller import Controller
from sernf_isaac.deploy.loop.states import FAULTS, Command, Reason, SafetyTiming, State

LED = (State.RAMP, State.READY, State.FOLLOW, State.HOLD)


class ArmController(Controller[ArmGuard]):
    """Decides once per period what the arm does.

    Args:
        guard: Whose commands are sent.
        timing: Time limits; what concerns joints is not used.
    """

    can_hold = (State.RAMP, State.FOLLOW)

    def __init__(self, guard: ArmGuard, timing: SafetyTiming) -> None:
        super().__init__(guard, timing)
        self.detail = ""
        self._measured: Array | None = None
        self._read_s = self._free_s = -np.inf  # last fresh reading, last time it was not blocked
        self._bad_poses = 0

    @property
    def measured(self) -> Array | None:
        """(7,) where the tool was when it could last be told; of q and -q the one before."""
        return self._measured

    @property
    def faulty(self) -> bool:
        """Whether a person has to look first."""
        return self.reason in FAULTS

    def fail(self, reason: Reason, now_s: float, detail: str = "") -> None:
        """Something broke: hold; where the arm itself stopped or is not led, leave it alone."""
        if self.state is State.OFF and self.faulty:
            self.detail = self.detail or detail
            return
        self.detail = detail or self.detail
        if reason is Reason.DRIVER or self.state is State.OFF:
            self._enter(State.OFF, now_s, reason)
            return
        if reason is Reason.BLOCKED and self._measured is not None:
            self.guard.aim(self._measured)  # do not push on
        else:
            self.guard.stop()
        since_s = self.since_s if self.state is State.HOLD else now_s
        self._enter(State.HOLD, since_s, reason)

    def clear(self, now_s: float) -> None:
        """A person looked: whatever it was may be forgotten; nobody leads until the next ramp."""
        self._enter(State.OFF, now_s, Reason.NONE)
        self._bad_poses, self.detail = 0, ""

    def tick(self, now_s: float, reading: ArmReading, command: Command | None) -> Array | None:
        """The next pose to command (7,), or None where nobody leads."""
        self._look_at(now_s, reading)
        if self.state in LED and now_s - self._read_s > self.timing.reading_timeout_s:
            self.fail(Reason.NO_READING, now_s)
        self._obey(now_s, command)
        patience_s = self.timing.hold_s + self.timing.relax_s
        abandoned = self.state is State.HOLD and self.reason is Reason.SILENT
        if abandoned and now_s - self.since_s > patience_s:
            self._enter(State.OFF, now_s, Reason.SILENT)
        if self.state is State.OFF or self._measured is None:
            return None
        sent = self.guard.step(self._measured, slowly=self.state is State.RAMP)
        if self.state is State.RAMP and self.guard.arrived:
            self._enter(State.READY, now_s, Reason.NONE)
        return sent

    def _look_at(self, now_s: float, reading: ArmReading) -> None:
        if reading.fault:
            self.fail(Reason.DRIVER, now_s, reading.fault)
        pose = as_pose(reading.pose) if reading.fresh else None
        if pose is not None:
            before = pose if self._measured is None else self._measured
            sign = -1.0 if pose[3:] @ before[3:] < 0 else 1.0
            self._measured, self._read_s = np.concatenate([pose[:3], sign * pose[3:]]), now_s
        if self.state is State.OFF or self._measured is None:
            self._free_s = now_s
            return
        if not self.guard.strained:
            self._free_s = now_s
        if now_s - self._free_s > self.timing.blocked_s:
            self.fail(Reason.BLOCKED, now_s)

    def _ramp(self, now_s: float, pose: Array) -> None:
        if self._measured is None or as_pose(pose) is None:
            return
        if now_s - self._read_s > self.timing.reading_timeout_s:
            self.fail(Reason.NO_READING, now_s)
            return
        if self.state is State.OFF:
            try:
                self.guard.restart(self._measured)
            except ValueError as error:
                self.fail(Reason.OUT_OF_RANGE, now_s, str(error))
                return
        self.guard.aim(pose)
        self._enter(State.RAMP, now_s, Reason.NONE)

    def _follow(self, now_s: float, pose: Array) -> None:
        leaps = self.guard.leaps(pose)
        good = not leaps and self.guard.accept(pose)
        self.guard.rejected += leaps
        self._bad_poses = 0 if good else self._bad_poses + 1
        if self._bad_poses >= self.timing.max_bad_actions:
            self.fail(Reason.BAD_ACTIONS, now_s, f"the last pose was {np.round(pose, 3).tolist()}")
        elif self.state is State.READY:
            self._enter(State.FOLLOW, now_s, Reason.NONE)

    def _hold(self, now_s: float) -> None:
        self.guard.stop()
        self._enter(State.HOLD, now_s, Reason.ASKED)
