"""Simulated hands that start together: the robot's reward, and seeds that say all that comes."""

import math

import pytest
import torch

from tasks.cube_spin.config import CommandConfig, EpisodeConfig, TaskConfig
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.physics import WIDE_DISTILLATION
from tasks.cube_spin.student.environment import StudentObservationConfig, radian_constants
from tasks.cube_spin.student.lockstep import LockstepHands
from tasks.cube_spin.twin.environment import CubeSpinTwin

STEPS = 8


@pytest.fixture
def hands() -> LockstepHands:
    task = TaskConfig(
        command=CommandConfig(both_directions=True),
        episode=EpisodeConfig(length_s=10.0, support_s=(0.0, 0.0), finite_horizon=False),
    )
    constants = radian_constants(task_constants(task))
    twin = CubeSpinTwin(
        4, task, WIDE_DISTILLATION, seed=3, threads=1, student=True, constants=constants,
        auto_reset=False,
    )  # fmt: skip
    return LockstepHands(twin, StudentObservationConfig(), seed=3)


def played(hands: LockstepHands, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards (T, N) and joint angles (T + 1, N, 17) of an episode that wriggles."""
    hands.seed(seed)
    seen = [hands.reset()["history"]]
    rewards = []
    for step in range(STEPS):
        action = hands.hold + 0.3 * math.sin(step) * torch.ones_like(hands.hold)
        observation, reward, _, _ = hands.step(action)
        rewards.append(reward)
        seen.append(observation["history"])
    return torch.stack(rewards), torch.stack(seen)


def test_reward_is_quarter_turns_in_the_commanded_direction(hands: LockstepHands) -> None:
    rewards, _ = played(hands, 5)
    accounts = hands._inner.recorder._running
    turned = torch.where(accounts.airborne_s > 0, accounts.turned_rad, 0.0)
    there = accounts.dropped == 0
    assert there.any() and turned.abs().max() > 1e-3
    quarters = rewards.sum(dim=0) * math.pi / 2
    torch.testing.assert_close(quarters[there], turned[there], atol=1e-5, rtol=1e-4)


def test_a_seed_says_all_that_comes(hands: LockstepHands) -> None:
    first, seen = played(hands, 5)
    other, _ = played(hands, 6)
    again, seen_again = played(hands, 5)
    assert torch.equal(first, again) and torch.equal(seen, seen_again)
    assert not torch.equal(first, other)


def test_it_holds_the_pose_that_the_episode_began_with(hands: LockstepHands) -> None:
    hands.seed(1)
    hands.reset()
    assert torch.equal(hands.hold, hands._inner.joint_target)
