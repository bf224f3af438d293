"""Rotations of an object in batched torch: turns, symmetries, tilt. Unit quaternions xyzw."""

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


def random_symmetry(count: int, generator: torch.Generator, shape: str = "cube") -> Tensor:
    """Random rotations (count, 4) that an unmarked object does not show.

    One of a cube's 24: which face is where; a turn about a cylinder's axis, and which end is up;
    any of a sphere.
    """
    if shape == "sphere":
        quat = torch.randn((count, 4), generator=generator, device=generator.device)
        return torch.nn.functional.normalize(quat, dim=1)
    if shape == "cylinder":
        uniform = torch.rand((count, 2), generator=generator, device=generator.device)
        angle, zero = torch.pi * uniform[:, 0], torch.zeros_like(uniform[:, 0])
        upright = torch.stack([zero, zero, angle.sin(), angle.cos()], dim=1)
        on_its_head = torch.stack([angle.cos(), angle.sin(), zero, zero], dim=1)
        return torch.where(uniform[:, 1:] < 0.5, upright, on_its_head)
    index = torch.randint(24, (count,), generator=generator, device=generator.device)
    return _cube_symmetries(generator.device, torch.float32)[index]


def reduced_rotation(quat: Tensor, shape: str = "cube") -> Tensor:
    """The smallest rotation (N, 4), w >= 0, that looks like `quat` (N, 4) on an unmarked object."""
    if shape == "sphere":
        return torch.zeros_like(quat).index_fill(1, torch.tensor([3], device=quat.device), 1.0)
    if shape == "cylinder":
        axis = upright_axis(quat)
        axis = axis * torch.where(axis[:, 2:] < 0, -1.0, 1.0)
        x, y, z = axis.unbind(dim=1)
        tilt = torch.stack([-y, x, torch.zeros_like(z), 1.0 + z], dim=1)  # z axis to axis
        return torch.nn.functional.normalize(tilt, dim=1)
    symmetries = _cube_symmetries(quat.device, quat.dtype)
    alike = roma.quat_product(quat[:, None], symmetries[None])  # (N, 24, 4)
    nearest = alike[..., 3].abs().argmax(dim=1)
    chosen = alike[torch.arange(len(quat), device=quat.device), nearest]
    return chosen * torch.where(chosen[:, 3:] < 0, -1.0, 1.0)


def upright_axis(quat: Tensor) -> Tensor:
    """The object's own z axis (N, 3) in the world."""
    x, y, z, w = quat.unbind(dim=1)
    return torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], dim=1)


def tilt_rad(quat: Tensor, shape: str = "cube") -> Tensor:
    """Angle (N,) between the vertical and the nearest face normal of a cube turned by (N, 4), or a
    cylinder's axis; 0 for a sphere."""
    if shape == "sphere":
        return torch.zeros_like(quat[:, 0])
    if shape == "cylinder":
        return upright_axis(quat)[:, 2].abs().clamp(max=1.0).acos()
    x, y, z, w = quat.unbind(dim=1)
    up = torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1)
    return up.abs().amax(dim=1).clamp(max=1.0).acos()
