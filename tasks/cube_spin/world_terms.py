"""What a teacher may be told about its world: the parameters in force, scaled to [-1, 1]."""

import torch
from torch import Tensor

from tasks.cube_spin.physics import KINDS, WIDE, Physics

SHARES = ("elliptic_cone", "hull_collisions")
"""Told as 0 or 1: whether the world is one of that share."""
NAMES = (
    *("contact_friction", "cube_mass_kg", "cube_size_m", "cube_centre_offset_m"),
    *("stiffness_scale", "damping_scale", "motor_strength_scale"),
    *("joint_friction_nm", "joint_play_rad", "action_delay_steps", "action_delay_jitter"),
    *("impratio", "contact_time_constant_s", "contact_damping_ratio", "torsional_friction_m"),
    *SHARES,
)
"""In order. Contact friction is the mean of hand and cube; joints tell their mean."""
SIZE = len(NAMES) + 2  # the centre of mass has three numbers


def world_terms(drawn: dict[str, Tensor], count: int, device: torch.device | str = "cpu") -> Tensor:
    """Parameters of N worlds (N, SIZE), float32, each over its range in the preset `wide`.

    What lies outside is told as the nearest value inside: a policy cannot know what it never met.

    Args:
        drawn: Values by parameter name (N,) or (N, k); a missing one is told as nominal.
        count: N.
        device: Of the result.
    """
    columns = []
    for name in NAMES:
        value = _value(drawn, name, count).to(device, torch.float32)
        low, high = _range(name)
        if KINDS.get(name) == "log_uniform":
            value, low, high = value.log(), *torch.tensor([low, high]).log().tolist()
        columns.append(((2.0 * value - low - high) / (high - low)).clamp(-1.0, 1.0))
    return torch.cat(columns, dim=1)


def _value(drawn: dict[str, Tensor], name: str, count: int) -> Tensor:
    """(N, 1), or (N, 3) for the centre of mass."""
    if name == "contact_friction":
        both = _value(drawn, "cube_friction", count) + _value(drawn, "link_friction", count)
        return both / 2
    width = 3 if name == "cube_centre_offset_m" else 1
    if name not in drawn:
        nominal = getattr(Physics(), name)
        return torch.full((count, width), nominal if name in SHARES else nominal[0])
    value = drawn[name].reshape(count, -1)
    return value if width == 3 else value.mean(dim=1, keepdim=True)


def _range(name: str) -> tuple[float, float]:
    if name in SHARES:
        return 0.0, 1.0
    if name == "contact_friction":
        return WIDE.cube_friction
    low, high = getattr(WIDE, name)
    return (low - 3.0 * high, low + 3.0 * high) if KINDS[name] == "gaussian" else (low, high)
