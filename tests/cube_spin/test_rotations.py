"""Rotations of a cube: turns that telescope, symmetries that do not show, tilt."""

from collections.abc import Iterator
from math import pi, radians

import pytest
import roma
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.rotations import (
    random_symmetry,
    reduced_rotation,
    rotate,
    spin_between,
    tilt_rad,
)

N = 64
MAX_REDUCED_ANGLE_RAD = radians(62.8)
"""No rotation is farther than this from one of the cube's 24 symmetries."""


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_rotations(count: int = N) -> Tensor:
    return roma.random_unitquat(count, dtype=torch.float64)


def symmetries() -> Tensor:
    return torch.from_numpy(Rotation.create_group("O").as_quat())


def test_rotating_a_vector_is_what_scipy_does() -> None:
    quat, vector = random_rotations(), torch.randn(N, 3)
    expected = torch.from_numpy(Rotation.from_quat(quat.numpy()).apply(vector.numpy()))
    torch.testing.assert_close(rotate(quat, vector), expected)


def test_spin_inverts_a_known_rotation() -> None:
    start, velocity = random_rotations(), 4.0 * torch.randn(N, 3)
    end = roma.quat_product(roma.rotvec_to_unitquat(velocity * CONTROL_DT_S), start)
    torch.testing.assert_close(spin_between(start, end), velocity)
    torch.testing.assert_close(spin_between(start, -end), velocity)


def test_spin_is_in_world_axes() -> None:
    lying = torch.from_numpy(Rotation.from_euler("x", 90, degrees=True).as_quat())[None]
    turn = torch.tensor([[0.0, 0.0, 0.1]])
    end = roma.quat_product(roma.rotvec_to_unitquat(turn), lying)
    torch.testing.assert_close(spin_between(lying, end, dt_s=0.1), turn / 0.1)


def test_rocking_back_and_forth_sums_to_zero() -> None:
    yaw = torch.cumsum(torch.randn(30), dim=0) * 0.1
    yaw = torch.cat([yaw, yaw.flip(0)])
    quat = roma.rotvec_to_unitquat(torch.stack([0 * yaw, 0 * yaw, yaw], dim=1))
    spin = spin_between(quat[:-1], quat[1:])
    assert spin[:, 2].abs().max() > 1.0
    assert abs(float(spin[:, 2].sum())) < 1e-9


def test_reduced_rotations_do_not_depend_on_which_face_is_where() -> None:
    quat = random_rotations()
    expected = reduced_rotation(quat)
    for symmetry in symmetries():
        alike = roma.quat_product(quat, symmetry.expand(N, -1))
        torch.testing.assert_close(reduced_rotation(alike), expected)


def test_reduced_rotations_look_the_same_on_an_unmarked_cube() -> None:
    quat = random_rotations()
    apart = roma.quat_product(roma.quat_conjugation(quat), reduced_rotation(quat))
    overlap = (apart[:, None] * symmetries()[None]).sum(-1).abs().amax(1)
    torch.testing.assert_close(overlap, torch.ones(N))


def test_reduced_rotations_are_small_and_have_a_positive_w() -> None:
    reduced = reduced_rotation(random_rotations(5000))
    angle = roma.unitquat_to_rotvec(reduced).norm(dim=1)
    assert (reduced[:, 3] >= 0).all()
    assert 1.0 < angle.max() <= MAX_REDUCED_ANGLE_RAD
    assert roma.unitquat_to_rotvec(random_rotations(500)).norm(dim=1).max() > 2.0  # before


def test_random_symmetries_draw_all_24_and_nothing_else() -> None:
    drawn = random_symmetry(2000, torch.Generator().manual_seed(0)).double()
    overlap = (drawn[:, None] * symmetries()[None]).sum(-1).abs()
    nearest = overlap.max(dim=1)
    torch.testing.assert_close(nearest.values, torch.ones(2000), atol=1e-6, rtol=0.0)
    assert nearest.indices.unique().numel() == 24


def test_tilt_is_the_angle_of_the_nearest_face() -> None:
    about = torch.from_numpy(
        Rotation.from_rotvec([[d, 0, 0] for d in (0, 10, 45, 80, 90, 190)], degrees=True).as_quat()
    )
    expected = torch.tensor([0.0, 10.0, 45.0, 10.0, 0.0, 10.0])
    tilt = torch.rad2deg(tilt_rad(about))
    torch.testing.assert_close(tilt, expected, atol=1e-5, rtol=0.0)


def test_tilt_ignores_yaw_and_which_face_is_up() -> None:
    quat = random_rotations()
    expected = tilt_rad(quat)
    yaw = roma.rotvec_to_unitquat(torch.tensor([0.0, 0.0, 1.0]) * torch.rand(N, 1) * 2 * pi)
    torch.testing.assert_close(tilt_rad(roma.quat_product(yaw, quat)), expected)
    for symmetry in symmetries():
        other_face_up = roma.quat_product(quat, symmetry.expand(N, -1))
        torch.testing.assert_close(tilt_rad(other_face_up), expected)
