"""Where a search for grasps begins: a rough closure, bent until the fingertips reach the cube."""

import torch
from torch import Tensor

from tasks.orca.kinematics import FingertipKinematics

STEPS, RATE_RAD = 300, 0.02
PRESS_M = 0.01
"""Fingertips aim this deep into the cube, as servos that press do."""
HEIGHT_WEIGHT, NEARNESS_WEIGHT = 0.3, 2e-4


def reached(
    tips_of: FingertipKinematics,
    begin: Tensor,
    limits: tuple[Tensor, Tensor],
    *,
    origin_m: Tensor,
    half_size_m: float,
    radius_m: Tensor,
    still: Tensor,
) -> Tensor:
    """Joint angles (A,) near `begin` whose fingertips touch a cube at its origin, at mid-height.

    Args:
        tips_of: Kinematics of the hand.
        begin: Angles (A,) [rad] of a rough closure.
        limits: Lower and upper ends (A,) [rad].
        origin_m: Centre (3,) of the cube.
        half_size_m: Half its edge.
        radius_m: Radius (F,) of each fingertip.
        still: (A,) bool: joints that stay.
    """
    angles = begin.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([angles], lr=RATE_RAD)
    for _ in range(STEPS):
        inside = torch.where(still, begin, angles.clamp(*limits))
        away = tips_of(inside[None])[0] - origin_m  # (F, 3)
        gap = (away.abs() - half_size_m).clamp_min(0.0).norm(dim=1) - radius_m + PRESS_M
        loss = gap.square().sum() + HEIGHT_WEIGHT * away[:, 2].square().sum()
        loss = loss + NEARNESS_WEIGHT * (inside - begin).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            angles.clamp_(*limits)
    return torch.where(still, begin, angles.detach())
