"""What the states of hand and arm have in common: which commands are obeyed, and silence."""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np

from sernf_isaac.deploy.loop.states import Command, Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import Array

DRIVEN = (State.RAMP, State.READY, State.FOLLOW)
"""An actor leads: its silence, or a request that nobody knows, is noticed."""


class Guarding(Protocol):
    """What is known of a guard without knowing its machine."""

    rejected: int
    limited: int

    @property
    def command(self) -> Array: ...
    @property
    def goal(self) -> Array: ...


class Controller[G: Guarding](ABC):
    """Decides once per period what a machine does; subclasses know the machine.

    Args:
        guard: Whose commands are sent.
        timing: Time limits.
    """

    can_hold: ClassVar[tuple[State, ...]]
    """States in which an actor may ask for HOLD."""

    def __init__(self, guard: G, timing: SafetyTiming) -> None:
        self.guard, self.timing = guard, timing
        self.state, self.reason = State.OFF, Reason.NONE
        self.since_s = -np.inf
        """When this state began."""
        self.sequence = -1
        """Of the newest command that was looked at."""

    @property
    @abstractmethod
    def faulty(self) -> bool:
        """Whether a person has to look first."""

    @abstractmethod
    def fail(self, reason: Reason, now_s: float) -> None:
        """Something broke."""

    @abstractmethod
    def clear(self, now_s: float) -> None:
        """A person looked: whatever it was may be forgotten."""

    def stop(self, now_s: float) -> None:
        """A person pressed the stop key: nobody leads from now on."""
        self._enter(State.OFF, now_s, Reason.STOPPED)

    def hears(self, now_s: float, command: Command | None) -> bool:
        """Whether somebody leads: a command that is neither too old nor of another clock."""
        return command is not None and command.is_fresh(now_s, self.timing.command_timeout_s)

    def _obey(self, now_s: float, command: Command | None) -> None:
        if command is None or not self.hears(now_s, command):
            if self.state in DRIVEN:
                self.fail(Reason.SILENT, now_s)
            return
        if command.sequence == self.sequence:
            return
        self.sequence = command.sequence
        if command.request is Request.OFF:
            self._enter(State.OFF, now_s, self.reason if self.faulty else Reason.ASKED)
        elif command.request is Request.RAMP and not self.faulty:
            self._ramp(now_s, command.target)
        elif command.request is Request.FOLLOW and self.state in (State.READY, State.FOLLOW):
            self._follow(now_s, command.target)
        elif command.request is Request.HOLD and self.state in self.can_hold:
            self._hold(now_s)
        elif command.request is Request.UNKNOWN and self.state in DRIVEN:
            self.fail(Reason.BAD_ACTIONS, now_s)

    @abstractmethod
    def _ramp(self, now_s: float, pose: Array) -> None: ...

    @abstractmethod
    def _follow(self, now_s: float, action: Array) -> None: ...

    @abstractmethod
    def _hold(self, now_s: float) -> None: ...

    def _enter(self, state: State, now_s: float, reason: Reason) -> None:
        self.state, self.reason, self.since_s = state, reason, now_s
