"""What a machine's control loop is doing and why, what may be asked of it, and its patience.

Hand and arm share these words; what they do with them is in their controllers.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sernf_isaac.deploy.protocols import Array


class State(IntEnum):
    """What the hand is doing."""

    OFF = 0
    """No torque."""
    RAMP = 1
    """Moves slowly to a pose."""
    READY = 2
    """Rests at that pose."""
    FOLLOW = 3
    """Follows actions."""
    HOLD = 4
    """Keeps its last command."""
    RELAX = 5
    """Opens with little current."""


class Reason(IntEnum):
    """Why the hand holds, relaxed or is off; `FAULTS` says which of them are faults."""

    NONE = 0
    ASKED = 1
    """The actor ended the episode."""
    SILENT = 2
    """No command came in time."""
    BAD_ACTIONS = 3
    """Several actions in a row were no finite vectors, or a request was none."""
    NO_READING = 4
    """The sensors did not answer, or with what cannot be."""
    BLOCKED = 5
    """A joint stayed too far from its command, or no joint did what a ramp told it to."""
    OUT_OF_RANGE = 6
    """A joint was outside its range when it should have moved."""
    DRIVER = 7
    """The driver raised an error."""
    STOPPED = 8
    """A person pressed the stop key."""
    HEALTH = 9
    """A sensor was lost, or a motor or tendon is unwell."""


FAULTS = frozenset(Reason) - {Reason.NONE, Reason.ASKED, Reason.SILENT}
"""Cleared by a person only."""


class Request(IntEnum):
    """What an actor may ask for."""

    NOTHING = 0
    RAMP = 1
    FOLLOW = 2
    HOLD = 3
    PLACE = 4
    """Have the object placed, where the machine can; leaves the hand READY."""
    OFF = 5
    UNKNOWN = -1
    """Any other number: whoever sent it speaks another language, and must not lead."""

    @classmethod
    def _missing_(cls, value: object) -> "Request":
        return cls.UNKNOWN


TIMING_CEILINGS = {
    "command_timeout_s": 1.0,
    "reading_timeout_s": 1.0,
    "blocked_s": 10.0,
    "max_bad_actions": 40,
    "hold_s": 60.0,
    "relax_s": 60.0,
    "relaxed_strength": 1.0,
    "start_tolerance_rad": 1.0,
}
"""Ceilings of `SafetyTiming`; a longer wait would not notice a dead actor or sensor."""


@dataclass
class SafetyTiming:
    """How long each kind of silence is tolerated; none of it can be switched off."""

    command_timeout_s: float = 0.1
    """Two missing actions at 20 Hz."""
    reading_timeout_s: float = 0.1
    """Without a reading for this long, the bus counts as lost."""
    blocked_s: float = 1.0
    """A joint at the largest allowed distance from its command for this long is blocked."""
    max_bad_actions: int = 3
    """In a row."""
    hold_s: float = 2.0
    """HOLD becomes RELAX after this."""
    relax_s: float = 4.0
    """RELAX becomes OFF after this."""
    relaxed_strength: float = 0.25
    """Share of the current while relaxing."""
    start_tolerance_rad: float = 0.2
    """A joint further outside its range than this is not moved, and while the hand has torque such
    a reading is none."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value < np.inf:
                raise ValueError(f"safety.{name} ({value}) must be positive and finite")
            if value > TIMING_CEILINGS[name]:
                raise ValueError(
                    f"safety.{name} ({value}) must be at most {TIMING_CEILINGS[name]:g}"
                )


@dataclass(frozen=True)
class Command:
    """The newest message of an actor."""

    sequence: int
    """Grows by one per message."""
    time_s: float
    """When it was sent; its age is the actor's silence."""
    request: Request
    target: Array
    """(A,) action or pose [rad]."""

    def is_fresh(self, now_s: float, limit_s: float) -> bool:
        """Whether its age is one: not negative, not over the limit, and no nan.

        A time in the future is of another clock, and says nothing about who lives now.
        """
        return 0.0 <= now_s - self.time_s <= limit_s


ERRORS = (OSError, RuntimeError)
"""What a driver may raise; anything else is a bug and ends the process, torque off."""
