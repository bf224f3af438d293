"""One joint of a hand: its name, range, gains, and how the real hand's driver counts it.

Simulation angles are radians about a hand's own axes, zero in the pose it is drawn in. The driver
(orca_core) counts degrees, names joints without a side and has its own order; one sign per joint is
all that separates the two. Always map by name: Isaac Lab orders joints alphabetically, MuJoCo as in
a hand's description, orca_core v1 with the wrist last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, radians

NUM_JOINTS = 17
"""A of the ORCA hands: a wrist, four joints in the thumb and three in each finger."""
ARMATURE = 1e-3
"""Reflected rotor inertia of every joint [kg m^2]."""
FRICTION_LOSS = 1e-3
"""Dry friction of every joint [N m]."""


@dataclass(frozen=True)
class Joint:
    """One row of a hand's joint table."""

    name: str
    """Name in both simulators: the side and `driver_name`."""
    driver_name: str
    """Name in orca_core."""
    rom_deg: tuple[float, float]
    """Range of motion of the real joint in orca_core degrees."""
    stiffness: float = 2.0
    """Position gain of the simulated servo [N m/rad]."""
    damping: float = 0.1
    """Velocity gain of the simulated servo [N m s/rad]."""
    effort_limit: float = 1.0
    """Largest servo torque [N m]."""
    sign: int = 1
    """Simulation angle = sign * radians(orca degrees)."""
    stops_rad: tuple[float, float] = (-inf, inf)
    """Mechanical stops of the model where they are tighter than the range of motion [rad]."""
    opens: bool = False
    """Whether the joint is a little less bent before a grasp than in it."""
    wrist: bool = field(default=False, repr=False)
    """Whether it carries the whole hand: actions and searches move it less than a finger."""

    @property
    def limits_rad(self) -> tuple[float, float]:
        """Joint limits both machines can reach, in simulation angles (lower, upper) [rad]."""
        lower, upper = sorted(radians(self.sign * end) for end in self.rom_deg)
        return max(lower, self.stops_rad[0]), min(upper, self.stops_rad[1])


def index_of_names(wanted: Sequence[str], names: Sequence[str], hand: str) -> list[int]:
    """Positions in `names` of the joints `wanted`, so that `values[index]` is in their order.

    Args:
        wanted: A hand's joints, in its order.
        names: What a machine calls them, in its order.
        hand: The hand's name, for the message.

    Raises:
        ValueError: If a joint is missing, doubled or unknown; the message lists which.
    """
    names = list(names)
    missing, unknown = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    doubled = sorted({name for name in names if names.count(name) > 1})
    if missing or unknown or doubled:
        raise ValueError(
            f"joint names do not match the hand {hand}: missing {missing}, unknown {unknown}, "
            f"doubled {doubled}"
        )
    return [names.index(name) for name in wanted]
