"""Distillation: the teacher sees the truth, the student noise, offsets and a short history."""

from collections.abc import Iterator

import pytest
import torch
from first_hand import JOINT_LOWER, JOINT_UPPER
from torch import Tensor

from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.cube_spin.physics import DISTILLATION

pytestmark = pytest.mark.sim
COUNT, STEPS = 64, 20


@pytest.fixture(scope="module")
def rollout() -> Iterator[dict[str, Tensor]]:
    """Teacher and student groups (STEPS, N, ...) while the hand just holds the cube."""
    env: IsaacCubeSpin = make_isaac_env("Sernf-Orca-CubeSpin-Distill", COUNT, seed=5)
    steps = [env.step(torch.zeros(COUNT, 17)) for _ in range(STEPS)]
    assert not any(done.any() for _, _, done, _ in steps), "an episode ended on the platform"
    groups = ("teacher", "student_history", "student_current")
    yield {name: torch.stack([seen[name] for seen, *_ in steps]) for name in groups}
    env.close()


def test_history_is_four_steps_oldest_first(rollout: dict[str, Tensor]) -> None:
    history = rollout["student_history"]
    assert history.shape == (STEPS, COUNT, 4, 24)
    torch.testing.assert_close(history[1:, :, :3], history[:-1, :, 1:])


def test_current_group_holds_action_joint_command_and_goal(rollout: dict[str, Tensor]) -> None:
    current, teacher = rollout["student_current"], rollout["teacher"]
    assert current.shape == (STEPS, COUNT, 35)
    torch.testing.assert_close(current[..., :17], teacher[..., 48:65])
    lower, upper = (torch.tensor(end, dtype=torch.float32) for end in (JOINT_LOWER, JOINT_UPPER))
    target = lower + (teacher[..., 65:82] + 1.0) / 2.0 * (upper - lower)  # the teacher's is scaled
    torch.testing.assert_close(current[..., 17:34], target, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(current[..., 34], teacher[..., 47])


def test_student_has_noise_and_an_offset_per_episode(rollout: dict[str, Tensor]) -> None:
    error = rollout["student_history"][:, :, -1, 17:20] - rollout["teacher"][..., 34:37]
    offset = error.mean(dim=0)
    noise = (error - offset).std()
    assert noise == pytest.approx(DISTILLATION.cube_position_noise_m[0], rel=0.15)
    assert offset.std() == pytest.approx(DISTILLATION.cube_position_bias_m[0], rel=0.25)


def test_noisy_rotations_stay_unit_quaternions(rollout: dict[str, Tensor]) -> None:
    length = rollout["student_history"][..., 20:24].norm(dim=-1)
    torch.testing.assert_close(length, torch.ones_like(length))


def test_teacher_sees_a_resting_cube_without_noise(rollout: dict[str, Tensor]) -> None:
    jitter = rollout["teacher"][10:, :, 34:37].diff(dim=0).abs()
    assert jitter.median() < 5e-5
