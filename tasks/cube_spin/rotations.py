"""Rotations of a cube in batched torch: turns, symmetries, tilt. Unit quaternions xyzw."""

from functools import cache

import roma
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin.config import CONTROL_DT_S


def rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors (N, 3) by unit quaternions (N, 4)."""
    axis, w = quat[:, :3], quat[:, 3:]
    cross = 2.0 * torch.linalg.cross(axis, vector)
    return vector + w * cross + torch.linalg.cross(axis, cross)


def spin_between(previous_quat: Tensor, quat: Tensor, dt_s: float = CONTROL_DT_S) -> Tensor:
    """Mean angular velocity (N, 3) [rad/s] in world axes that turns one rotation into the next.

    Unlike the instantaneous velocity it telescopes: rocking back and forth sums to zero.
    """
    turn = roma.quat_product(quat, roma.quat_conjugation(previous_quat))
    return roma.unitquat_to_rotvec(turn) / dt_s


@cache
def _cube_symmetries(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The 24 rotations (24, 4) that map a cube onto itself; a GPU gets them once."""
    return torch.from_numpy(Rotation.create_group("O").as_quat()).to(device, dtype)


def random_symmetry(count: int, generator: torch.Generator) -> Tensor:
    """Random members (count, 4) of the cube's 24 symmetries: which face is where."""
    index = torch.randint(24, (count,), generator=generator, device=generator.device)
    return _cube_symmetries(generator.device, torch.float32)[index]


def reduced_rotation(quat: Tensor) -> Tensor:
    """The smallest rotation (N, 4), w >= 0, that looks like `quat` (N, 4) on an unmarked cube."""
    symmetries = _cube_symmetries(quat.device, quat.dtype)
    alike = roma.quat_product(quat[:, None], symmetries[None])  # (N, 24, 4)
    nearest = alike[..., 3].abs().argmax(dim=1)
    chosen = alike[torch.arange(len(quat), device=quat.device), nearest]
    return chosen * torch.where(chosen[:, 3:] < 0, -1.0, 1.0)


def cube_tilt_rad(quat: Tensor) -> Tensor:
    """Angle (N,) between the vertical and the nearest face normal of a cube turned by (N, 4)."""
    x, y, z, w = quat.unbind(dim=1)
    up = torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1)
    return up.abs().amax(dim=1).clamp(max=1.0).acos()
