"""The states of a hand: what it does when commands come, stop coming, or something breaks.

    OFF -> RAMP -> READY -> FOLLOW
             ^       |        |      no command in time, bad actions, bus or joints at fault
             |       +------> HOLD -> RELAX -> OFF

HOLD keeps the last command, so that an object stays in the hand; RELAX opens the hand with little
current. An actor that only was late may ramp again from HOLD. After a fault, and always after
RELAX, a person has to clear it first. Nothing here waits or reads a clock.
"""

import numpy as np

from sernf_isaac.deploy.hand.guard import Guard
from sernf_isaac.deploy.loop.controller import Controller
from sernf_isaac.deploy.loop.states import FAULTS, Command, Reason, SafetyTiming, State
from sernf_isaac.deploy.loop.vectors import as_vector
from sernf_isaac.deploy.protocols import Array, HandReading

DUE_RAD, MOVED = 0.1, 0.1
"""A ramp over more than this, of which the joints did less than this part, moved nothing."""


class HandController(Controller[Guard]):
    """Decides once per period what the hand does.

    Args:
        guard: Whose commands are sent.
        timing: Time limits.
        open_pose: (A,) where RELAX goes [rad].
    """

    can_hold = (State.FOLLOW,)

    def __init__(self, guard: Guard, timing: SafetyTiming, open_pose: Array) -> None:
        super().__init__(guard, timing)
        self._open_pose = np.asarray(open_pose, np.float64)
        self._measured: Array | None = None
        self._ramp_from: tuple[Array, Array] | None = None  # command and joints when a ramp began
        self._read_s = self._free_s = -np.inf  # last fresh reading, last time no joint was blocked
        self._bad_actions = 0

    @property
    def strength(self) -> float:
        """Share of the full current the motors get in this state."""
        if self.state is State.OFF:
            return 0.0
        return self.timing.relaxed_strength if self.state is State.RELAX else 1.0

    @property
    def faulty(self) -> bool:
        """Whether a person has to look first."""
        relaxed = self.reason is not Reason.NONE and self.state in (State.RELAX, State.OFF)
        return self.reason in FAULTS or (relaxed and self.reason is not Reason.ASKED)

    def fail(self, reason: Reason, now_s: float) -> None:
        """Something broke: hold, unless there is nothing to hold."""
        if self.state in (State.RAMP, State.READY, State.FOLLOW, State.HOLD):
            self.guard.stop()
            since_s = self.since_s if self.state is State.HOLD else now_s
            self._enter(State.HOLD, since_s, reason)
        elif not self.faulty:
            self.reason = reason

    def clear(self, now_s: float) -> None:
        """A person looked: whatever it was may be forgotten; the hand stays without torque."""
        self._enter(State.OFF, now_s, Reason.NONE)
        self._bad_actions = 0

    def placed(self, now_s: float, reading: HandReading) -> None:
        """A simulated hand was put somewhere else, with an object in it: rest there.

        A reading that cannot be is no place to rest: the hand then holds, or stays off.
        """
        if not reading.fresh or self._out_of_range(reading.joint_pos):
            self.fail(Reason.NO_READING, now_s)
            return
        self._look_at(now_s, reading)
        self.guard.restart(reading.joint_pos)
        self._enter(State.READY, now_s, Reason.NONE)

    def tick(self, now_s: float, reading: HandReading, command: Command | None) -> Array | None:
        """The next servo targets (A,), or None for no torque."""
        self._look_at(now_s, reading)
        silent_s = now_s - self._read_s
        on = self.state is not State.OFF
        if on and silent_s > self.timing.reading_timeout_s and not self.faulty:
            self.fail(Reason.NO_READING, now_s)
        self._obey(now_s, command)
        self._wear_on(now_s)
        if self.state is State.OFF or self._measured is None:
            return None
        slow = self.state in (State.RAMP, State.RELAX)
        sent = self.guard.step(self._measured, self.guard.limits.ramp_speed_rad_s if slow else None)
        if self.state is State.RAMP and self.guard.arrived and not self._unmoved:
            self._enter(State.READY, now_s, Reason.NONE)
        return sent

    def _look_at(self, now_s: float, reading: HandReading) -> None:
        if reading.fresh and self._possible(reading.joint_pos):
            self._measured, self._read_s = np.array(reading.joint_pos, np.float64), now_s
        if self.state is State.OFF or self._measured is None:
            self._free_s = now_s
            return
        if not (self.guard.strained or self._unmoved):
            self._free_s = now_s
        if now_s - self._free_s > self.timing.blocked_s and self.state is not State.RELAX:
            self.fail(Reason.BLOCKED, now_s)

    def _possible(self, joint_pos: Array) -> bool:
        """Whether joints can be there. Without torque a hand may be found anywhere."""
        if self.state is State.OFF:
            return as_vector(joint_pos, len(self._open_pose)) is not None
        return not self._out_of_range(joint_pos)

    def _out_of_range(self, joint_pos: Array) -> bool:
        if as_vector(joint_pos, len(self._open_pose)) is None:
            return True
        slack = self.timing.start_tolerance_rad
        below, above = self.guard.lower - slack, self.guard.upper + slack
        return not ((joint_pos >= below) & (joint_pos <= above)).all()

    @property
    def _unmoved(self) -> bool:
        """Whether a ramp's commands are there and no joint followed: nothing drives the hand."""
        if self.state is not State.RAMP or not self.guard.arrived:
            return False
        assert self._ramp_from is not None and self._measured is not None, "as a ramp begins"
        told, was = self._ramp_from
        now = self.guard.command
        due = min(np.linalg.norm(now - told), np.linalg.norm(now - was))
        return bool(due > DUE_RAD and np.linalg.norm(self._measured - was) < MOVED * due)

    def _ramp(self, now_s: float, pose: Array) -> None:
        if self._measured is None or as_vector(pose, len(self._open_pose)) is None:
            return
        if self.state is State.OFF:
            if now_s - self._read_s > self.timing.reading_timeout_s:
                self.reason = Reason.NO_READING  # it may be somewhere else by now
                return
            if self._out_of_range(self._measured):
                self.reason = Reason.OUT_OF_RANGE
                return
            self.guard.restart(self._measured)
        self.guard.aim(pose)
        self._ramp_from = self.guard.command, self._measured
        self._enter(State.RAMP, now_s, Reason.NONE)

    def _follow(self, now_s: float, action: Array) -> None:
        self._bad_actions = 0 if self.guard.accept(action) else self._bad_actions + 1
        if self._bad_actions >= self.timing.max_bad_actions:
            self.fail(Reason.BAD_ACTIONS, now_s)
        elif self.state is State.READY:
            self._enter(State.FOLLOW, now_s, Reason.NONE)

    def _hold(self, now_s: float) -> None:
        self.guard.stop()
        self._enter(State.HOLD, now_s, Reason.ASKED)

    def _wear_on(self, now_s: float) -> None:
        """HOLD becomes RELAX becomes OFF, whoever asked for HOLD."""
        lasted_s = now_s - self.since_s
        if self.state is State.HOLD and lasted_s > self.timing.hold_s:
            self.guard.aim(self._open_pose)
            self._enter(State.RELAX, now_s, self.reason)
        elif self.state is State.RELAX and lasted_s > self.timing.relax_s:
            self._enter(State.OFF, now_s, self.reason)
