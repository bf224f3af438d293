"""What the parts of the robot side expect of each other; no simulator, no hardware, no torch.

Joint vectors are (A,) float64 in radians, in the order of the description. Times are seconds of a
monotonic clock that all processes of a machine share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Array = np.ndarray


_WORDS = ("model", "side")


@dataclass(frozen=True)
class HandDescription:
    """A hand's joints: names, the range that may be commanded, and how its driver counts them."""

    joint_names: tuple[str, ...]
    """Order of every joint vector."""
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    driver_names: tuple[str, ...]
    """What the driver calls the same joints."""
    signs: tuple[int, ...]
    """Angle = sign * radians(driver's degrees)."""
    model: str = ""
    """Version of the hand as its driver knows it, where there are several."""
    side: str = ""
    """"left" or "right", where it matters to the driver."""

    def __post_init__(self) -> None:
        sizes = {name: len(value) for name, value in vars(self).items() if name not in _WORDS}
        if len(set(sizes.values())) != 1 or not self.joint_names:
            raise ValueError(f"a hand's description needs one entry per joint, got {sizes}")
        for name, low, high in zip(self.joint_names, self.lower_rad, self.upper_rad, strict=True):
            if not -np.inf < low < high < np.inf:
                raise ValueError(f"{name} has the impossible range {low} to {high} rad")
        if odd := sorted(set(self.signs) - {-1, 1}):
            raise ValueError(f"signs must be 1 or -1, not {odd}")

    @property
    def num_joints(self) -> int:
        """A."""
        return len(self.joint_names)


@dataclass(frozen=True)
class HandReading:
    """What a driver knows about the hand now."""

    joint_pos: Array
    joint_vel: Array
    """[rad/s]"""
    fresh: bool = True
    """False: the bus did not answer, these are older values."""
    cube: Array | None = None
    """(7,) true position [m] and rotation xyzw in the hand's frame; only a simulated hand knows."""
    sensors: Mapping[str, Array] = field(default_factory=dict)
    """What else was measured, by name: vectors as in `sernf_isaac.deploy.hand.sensors`."""
    warning: str = ""
    """What a person should know of the hand's health; of no consequence yet."""
    fault: str = ""
    """What ends whatever goes on: a lost sensor, or a motor or tendon that is unwell. The angles
    are the best that is known, so that the hand can still be opened by them."""


class HandDriver(Protocol):
    """One hand, used by one thread of one process.

    Any method may raise OSError or RuntimeError; whoever calls takes that as a fault.
    """

    def connect(self) -> None:
        """Open the bus; the hand stays without torque.

        Raises:
            RuntimeError: If there is no hand, or it is another one or not calibrated.
        """
        ...

    def read(self) -> HandReading:
        """What the sensors say."""
        ...

    def command(self, joint_target: Array) -> None:
        """Send servo targets (A,); called once per period, also while nothing changes."""
        ...

    def set_strength(self, share: float) -> None:
        """Share of the full servo current: 0 switches the torque off, 1 is normal operation."""
        ...

    def check(self) -> None:
        """Look for faults that a tick has no time to look for; called when a move begins.

        Raises:
            RuntimeError: If there is one; names it.
        """
        ...

    def place(self) -> bool:
        """Put the object into the hand, where the machine can; False: a person has to."""
        ...

    def rearm(self) -> None:
        """Forget tripped protections; only ever called because a person asked for it."""
        ...

    def close(self) -> None:
        """Torque off, bus closed; harmless when closed."""
        ...


@dataclass(frozen=True)
class PoseReading:
    """Where the object was seen."""

    time_s: float
    """When it was there (capture, not arrival)."""
    position_m: Array
    """(3,) in the hand's frame: its root as origin, axes of the world, z up."""
    quaternion: Array
    """(4,) xyzw, object to hand frame."""


class PoseSource(Protocol):
    """Estimates the object's pose; its rate and delay are its own affair."""

    def latest(self) -> PoseReading | None:
        """The newest estimate; None before the first one of an episode."""
        ...

    def reset(self) -> None:
        """A new episode begins: forget what was seen."""
        ...


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Seconds, monotonic."""
        ...

    def sleep_until(self, time_s: float) -> None:
        """Return at that time, or at once if it has passed."""
        ...


class Operator(Protocol):
    """The person beside the hand, or what stands in for one in simulation. Never blocks."""

    def tell(self, message: str) -> None:
        """Say something."""
        ...

    def ask(self, question: str) -> None:
        """Say what to do, and that an answer is awaited."""
        ...

    def answered(self) -> bool:
        """Whether the answer to the last question has come."""
        ...

    def ends_episode(self) -> str | None:
        """An outcome such as "stopped" or "failure", once, if the person ended the episode."""
        ...

    def quits(self) -> bool:
        """Whether the person wants to end the session; asked at every step.

        Raises:
            RuntimeError: If the person cannot stop the machine any more: nothing must go on.
        """
        ...


class Task(Protocol):
    """What a policy sees on this machine, and when an episode is over."""

    features: Mapping[str, int]
    """F of each observation group."""

    def observe(
        self, joint_pos: Array, sent: Array, previous_action: Array, pose: PoseReading, goal: float
    ) -> dict[str, Array]:
        """Groups (F,) of one step: measured joints, last command sent, last action, pose, goal."""
        ...

    def lost(self, pose: PoseReading) -> bool:
        """Whether the object has left the hand."""
        ...
