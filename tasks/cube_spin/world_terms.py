"""What a teacher may be told about its world: the parameters in force, scaled to [-1, 1]."""

import math

import torch
from torch import Tensor

from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import KINDS, Physics

RANGES = {
    "contact_friction": (0.4, 1.3),  # mean of hand and cube
    "cube_mass_kg": (0.02, 0.15),
    "cube_size_m": (0.043, 0.048),
    "cube_centre_offset_m": (-0.0045, 0.0045),  # three numbers
    "stiffness_scale": (0.6, 1.6),  # of joints, the mean
    "damping_scale": (0.3, 3.0),
    "motor_strength_scale": (0.6, 1.4),
    "joint_friction_nm": (0.001, 0.03),
    "joint_play_rad": (0.0, 0.04),
    "action_delay_steps": (0.0, 3.0),
    "action_delay_jitter": (0.0, 0.2),
    "impratio": (1.0, 100.0),
    "contact_time_constant_s": (0.017, 0.04),
    "contact_damping_ratio": (0.7, 1.3),
    "torsional_friction_m": (0.001, 0.01),
    "elliptic_cone": (0.0, 1.0),  # whether this world has it
    "hull_collisions": (0.0, 1.0),
}
"""What is told, in order, and the values told as -1 and 1. Trained teachers rely on these numbers,
so they do not follow the presets."""
SIZE = len(RANGES) + 2


def world_terms(
    drawn: dict[str, Tensor],
    count: int,
    device: torch.device | str = "cpu",
    held: HeldObject | None = None,
) -> Tensor:
    """Parameters of N worlds (N, SIZE), float32, each over its range in `RANGES`.

    What lies outside is told as the nearest end: a policy cannot know what it never met.

    Args:
        drawn: Values by parameter name (N,) or (N, k); a missing one is told as nominal.
        count: N.
        device: Of the result.
        held: Sizes and masses are told relative to its own, as if it were the paper's cube.
    """
    drawn = _of_first(drawn, held or HeldObject())
    columns = []
    for name, (low, high) in RANGES.items():
        value = _value(drawn, name, count, device)
        if KINDS.get(name) == "log_uniform":
            value, low, high = value.log(), math.log(low), math.log(high)
        columns.append(((2.0 * value - low - high) / (high - low)).clamp(-1.0, 1.0))
    return torch.cat(columns, dim=1)


def _of_first(drawn: dict[str, Tensor], held: HeldObject) -> dict[str, Tensor]:
    ratios = {"cube_size_m": held.ratio, "cube_centre_offset_m": held.ratio}
    ratios["cube_mass_kg"] = held.mass_ratio
    return drawn | {name: drawn[name] / ratio for name, ratio in ratios.items() if name in drawn}


def _value(drawn: dict[str, Tensor], name: str, count: int, device: torch.device | str) -> Tensor:
    """(N, 1), or (N, 3) for the centre of mass."""
    if name == "contact_friction":
        cube, hand = (_value(drawn, f"{of}_friction", count, device) for of in ("cube", "link"))
        return (cube + hand) / 2
    width = 3 if name == "cube_centre_offset_m" else 1
    if name not in drawn:
        nominal = getattr(Physics(), name)
        value = nominal[0] if name in KINDS else nominal
        return torch.full((count, width), value, device=device)
    value = drawn[name].reshape(count, -1).to(device, torch.float32)
    return value if width == 3 else value.mean(dim=1, keepdim=True)
