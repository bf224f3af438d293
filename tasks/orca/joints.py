"""First stop of every joint value: names, order, limits, gains, and the map to the real hand.

Simulation angles are radians about the MJCF axes with the MJCF's `ref` removed, so that zero is the
pose the hand is drawn in. The real hand's driver (orca_core) counts degrees, names its joints
without a side prefix and puts the wrist last; one sign per joint is all that separates the two.
Always map by name: Isaac Lab orders joints alphabetically, MuJoCo as below, orca_core wrist-last.
"""

from dataclasses import dataclass
from math import radians

import numpy as np

SIDE = "right"


@dataclass(frozen=True)
class Joint:
    """One row of the joint table."""

    orca_name: str
    """Name in orca_core."""
    rom_deg: tuple[float, float]
    """Range of motion of the real joint in orca_core degrees (v1 right hand)."""
    stiffness: float = 2.0
    """Position gain of the simulated servo [N m/rad]."""
    damping: float = 0.1
    """Velocity gain of the simulated servo [N m s/rad]."""
    effort_limit: float = 1.0
    """Largest servo torque [N m]."""
    sign: int = 1
    """Simulation angle = sign * radians(orca degrees)."""
    upper_stop_rad: float | None = None
    """Mechanical stop of the MJCF where it is tighter than the range of motion [rad]."""

    @property
    def name(self) -> str:
        """Name in both simulators."""
        return f"{SIDE}_{self.orca_name}"

    @property
    def limits_rad(self) -> tuple[float, float]:
        """Joint limits both machines can reach, in simulation angles (lower, upper) [rad]."""
        lower, upper = sorted(radians(self.sign * end) for end in self.rom_deg)
        return lower, upper if self.upper_stop_rad is None else min(upper, self.upper_stop_rad)


# Gains of the package's MJCF, but for the wrist: 2 N m/rad lets a horizontal hand sag by 5 degrees.
JOINTS: tuple[Joint, ...] = (
    Joint("wrist", (-50, 30), stiffness=20.0, damping=0.5, sign=-1),
    Joint("thumb_mcp", (-50, 50)),
    Joint("thumb_abd", (-20, 42)),
    Joint("thumb_pip", (-12, 108), upper_stop_rad=1.81496),
    Joint("thumb_dip", (-20, 112)),
    Joint("index_abd", (-37, 37)),
    Joint("index_mcp", (-20, 95)),
    Joint("index_pip", (-20, 108)),
    Joint("middle_abd", (-37, 37)),
    Joint("middle_mcp", (-20, 91)),
    Joint("middle_pip", (-20, 107)),
    Joint("ring_abd", (-37, 37), upper_stop_rad=0.63577),
    Joint("ring_mcp", (-20, 91)),
    Joint("ring_pip", (-20, 107)),
    Joint("pinky_abd", (-37, 37)),
    Joint("pinky_mcp", (-20, 98)),
    Joint("pinky_pip", (-20, 108)),
)
ARMATURE = 1e-3
"""Reflected rotor inertia of every joint [kg m^2]."""
FRICTION_LOSS = 1e-3
"""Dry friction of every joint [N m]."""

JOINT_NAMES: tuple[str, ...] = tuple(joint.name for joint in JOINTS)
"""The order of every joint vector in this project (A = 17)."""
NUM_JOINTS = len(JOINT_NAMES)
"""A."""
JOINT_LOWER = np.array([joint.limits_rad[0] for joint in JOINTS])
JOINT_UPPER = np.array([joint.limits_rad[1] for joint in JOINTS])

FINGERTIP_BODIES: tuple[str, ...] = tuple(
    f"{SIDE}_{body}" for body in ("thumb_dp", "index_ip", "middle_ip", "ring_ip", "pinky_ip")
)
"""Bodies that carry the fingertips, thumb first."""
FINGERTIP_OFFSETS = np.array([[0.002, 0.0, 0.021]] + [[-0.003, 0.0, 0.032]] * 4)
"""Centre of each fingertip's rounding in its body's frame (5, 3) [m]."""
ROOT_BODY = f"{SIDE}_tower"
PALM_BODY = f"{SIDE}_palm"


def index_of_names(names: list[str] | tuple[str, ...]) -> list[int]:
    """Positions in `names` of this project's joints, so that `values[index]` is in our order.

    Raises:
        ValueError: If a joint is missing, doubled or unknown; the message lists which.
    """
    missing = sorted(set(JOINT_NAMES) - set(names))
    unknown = sorted(set(names) - set(JOINT_NAMES))
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if missing or unknown or doubled:
        raise ValueError(
            f"joint names do not match the ORCA {SIDE} hand: missing {missing}, "
            f"unknown {unknown}, doubled {doubled}"
        )
    return [list(names).index(name) for name in JOINT_NAMES]
