"""The left hand is the mirror of the right one: mirrored worlds give the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tasks.cube_spin import terms
from tasks.cube_spin.config import CommandConfig, TaskConfig, tuned_rewards
from tasks.cube_spin.grasps import load_grasps, task_constants
from tasks.cube_spin.observations import teacher_observations
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.orca.hands import load_hand

RIGHT, LEFT = "orca_v2_right", "orca_v2_left"
MIRROR = {
    "cube_pos": (-1.0, 1.0, 1.0),
    "cube_lin_vel": (-1.0, 1.0, 1.0),
    "tip_pos": (-1.0, 1.0, 1.0),
    "cube_quat": (1.0, -1.0, -1.0, 1.0),
    "cube_ang_vel": (1.0, -1.0, -1.0),
    "spin": (1.0, -1.0, -1.0),
    "previous_spin": (1.0, -1.0, -1.0),
    "command": (-1.0,),
    "mean_spin": (-1.0,),
}
"""Signs that take a state of the right hand to the left one; joints and actions keep theirs."""


def mirrored(name: str, value: torch.Tensor) -> torch.Tensor:
    sign = MIRROR.get(name)
    if sign is None:
        return value
    return value * (torch.tensor(sign) if len(sign) > 1 else sign[0])


def twins(bank_size: int = 6) -> tuple[CubeSpinTwin, CubeSpinTwin]:
    """Both hands, in mirrored states, told to turn in mirrored directions."""
    task = TaskConfig(hand=RIGHT, command=CommandConfig.fixed(1.0), reward=tuned_rewards())
    right_bank = load_grasps(load_hand(RIGHT)).first(bank_size)
    right = CubeSpinTwin(4, task, NOMINAL, threads=1, bank=right_bank)
    opposite = replace(task, hand=LEFT, command=CommandConfig.fixed(-1.0))
    left_bank = load_grasps(load_hand(LEFT)).first(bank_size)
    left = CubeSpinTwin(4, opposite, NOMINAL, threads=1, bank=left_bank)
    now = right.world.read()
    left.world.write(
        np.arange(4),
        joint_pos=now["joint_pos"],
        cube_pos=mirrored("cube_pos", now["cube_pos"]),
        cube_quat=mirrored("cube_quat", now["cube_quat"]),
        cube_vel=mirrored("cube_lin_vel", now["cube_lin_vel"]),
    )
    left.joint_target[:] = right.joint_target
    left._actuation.reset(torch.arange(4), left.joint_target, NOMINAL)
    left.support_left_s[:] = right.support_left_s
    left.state = left._resting_state()
    return right, left


def test_mirrored_states_and_equal_actions_give_equal_rewards() -> None:
    right, left = twins()
    generator = torch.Generator().manual_seed(0)
    for step in range(6):
        actions = 0.3 * torch.randn(4, 17, generator=generator)
        results = [twin.step(actions) for twin in (right, left)]
        for name, value in vars(right.state).items():
            if name == "world":
                continue  # parameters, drawn anew by each
            torch.testing.assert_close(
                mirrored(name, value),
                vars(left.state)[name],
                atol=1e-4,
                rtol=1e-3,
                msg=lambda text, name=name, step=step: f"{name} in step {step}: {text}",
            )
        torch.testing.assert_close(results[0][1], results[1][1], atol=1e-4, rtol=1e-3)


def test_a_state_that_is_not_mirrored_gives_another_reward() -> None:
    right, left = twins()
    left.command = -left.command
    left.state = replace(left.state, command=left.command)
    actions = torch.zeros(4, 17)
    rewards = [twin.step(actions)[1] for twin in (right, left)]
    assert (rewards[0] - rewards[1]).abs().max() > 1e-3


def test_every_reward_term_is_blind_to_the_mirror() -> None:
    right, left = twins()
    state = right.state
    draw = torch.Generator().manual_seed(1)
    moving = replace(
        state,
        **{
            name: vars(state)[name] + 0.1 * torch.randn(vars(state)[name].shape, generator=draw)
            for name in ("spin", "previous_spin", "mean_spin", "tip_pos", "cube_pos", "joint_vel")
        },
    )
    other = replace(moving, **{name: mirrored(name, vars(moving)[name]) for name in MIRROR})
    for name, term in terms.REWARD_TERMS.items():
        ours = term(moving, right.constants, right.task.reward)
        torch.testing.assert_close(ours, term(other, left.constants, left.task.reward), msg=name)
    lost = [
        terms.cube_lost(pose, twin.constants, twin.task.episode)
        for pose, twin in ((moving.cube_pos, right), (other.cube_pos, left))
    ]
    assert torch.equal(*lost)


def test_both_hands_have_the_same_action_and_observe_mirrored_numbers() -> None:
    task = TaskConfig(hand=RIGHT)
    right, left = (
        task_constants(replace(task, hand=name), load_grasps(load_hand(name)))
        for name in (RIGHT, LEFT)
    )
    for name in ("joint_lower", "joint_upper", "action_centre", "action_scale"):
        assert torch.equal(vars(right)[name], vars(left)[name]), name
    twin_of_right, twin_of_left = twins()
    ours = teacher_observations(twin_of_right.state, right, task.observation)
    theirs = teacher_observations(twin_of_left.state, left, task.observation)
    for name in ("joint_pos", "joint_vel", "joint_command", "support_left"):
        torch.testing.assert_close(ours[name], theirs[name], msg=name)
    for name in ("cube_pos", "command"):
        torch.testing.assert_close(mirrored(name, ours[name]), theirs[name], msg=name)


def test_a_grasp_of_the_right_holds_in_the_left_too() -> None:
    pytest.importorskip("mujoco")
    right, left = twins()
    for _ in range(20):
        for twin in (right, left):
            twin.step(torch.zeros(4, 17))
    held = [twin.state.cube_pos[:, 2] - twin.hand.grasp_point_m[2] for twin in (right, left)]
    torch.testing.assert_close(*held, atol=2e-3, rtol=0.0)
