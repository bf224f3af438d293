"""The simulated scissors: rules, configurations, the table's physics, operators, pictures."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from tiny_table import perform

from sernf_isaac.data.sources import load_episodes
from tasks.scissors_tape.configurations import (
    APART_M,
    FIXED,
    TEST_TAPES,
    Configuration,
    draw,
    evaluation_set,
)
from tasks.scissors_tape.demonstrator import CAREFUL, DIPPING, QUICK, Habits, ScissorsOperator
from tasks.scissors_tape.environment import FEATURES, ScissorsTape
from tasks.scissors_tape.scene import OPEN_RAD, TOOL_REST_M, scene_model
from tasks.scissors_tape.table_task import SCISSORS_TAPE, place
from tasks.scissors_tape.task import FALLEN_M, judge
from tasks.table.demonstrations import record_demonstrations

MIDDLE = Configuration((0.14, 0.0), 0.1, (-0.08, 0.01), -0.1)
HABITS = (QUICK, CAREFUL, DIPPING)


def steady(habits: Habits) -> Habits:
    """The same operator with a good aim and a steady hand."""
    return replace(habits, aim_std_m=0.0, aim_std_rad=0.0, unsteady_m=0.0)


def pose(x: float, y: float, z: float) -> np.ndarray:
    return np.array([[x, y, z, 0, 0, 0, 1.0]])


def verdict(tool: np.ndarray, grip: np.ndarray, cut: float = 0.0, *, grasped: bool = False):
    return judge(tool, grip, np.array([cut]), np.array([grasped]))


# Rules --------------------------------------------------------------------------------------------


def test_taking_the_scissors_pays_once_and_only_in_the_hand() -> None:
    held = verdict(pose(0, 0, 0.1), pose(0, 0, 0.1))
    assert held.reward == 1 and held.grasped.all() and not held.terminated.any()
    assert verdict(pose(0, 0, 0.1), pose(0, 0, 0.1), grasped=True).reward == 0
    thrown = verdict(pose(0, 0, 0.1), pose(0, 0, 0.2))
    assert thrown.reward == 0 and not thrown.grasped.any()


def test_success_needs_the_whole_width() -> None:
    there = pose(0, 0, 0.1)
    cut = verdict(there, there, 1.0, grasped=True)
    assert cut.reward == 1 and cut.terminated.all() and cut.succeeded.all()
    nearly = verdict(there, there, 0.95, grasped=True)
    assert nearly.reward == 0 and not nearly.terminated.any()


def test_scissors_that_fall_end_the_episode_without_reward() -> None:
    for tool in (pose(0.1, 0, FALLEN_M - 0.001), pose(0.4, 0, 0.1)):
        for grasped in (False, True):
            end = verdict(tool, pose(0, 0, 0.16), 0.5, grasped=grasped)
            assert end.terminated.all() and end.reward == 0 and not end.succeeded.any()
    assert not verdict(pose(0.1, 0, TOOL_REST_M), pose(0, 0, 0.16)).terminated.any()


def test_tests_are_two_by_five_then_others_and_practice_keeps_away_from_them() -> None:
    tests = evaluation_set(60)
    assert len(set(tests)) == 60 and tests == evaluation_set(60)
    fixed = tests[:FIXED]
    assert FIXED == 10 and len({c.tool_xy_m for c in fixed}) == 2
    assert len({c.tape_xy_m for c in fixed}) == 5
    other = evaluation_set(60, 1)
    assert other[:FIXED] == fixed and not set(other[FIXED:]) & set(tests)
    rng = np.random.default_rng(0)
    for _ in range(100):
        x, y = draw(rng).tape_xy_m
        assert min(np.hypot(x - a, y - b) for a, b, _ in TEST_TAPES) >= APART_M
    with pytest.raises(ValueError, match="at least 1"):
        evaluation_set(0)


# The table ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> tuple[ScissorsTape, np.ndarray, list[dict]]:
    """Each of the operators at its best, one per table: the tables, rewards, observations."""
    env = ScissorsTape(3, starts=lambda _: [MIDDLE] * 3, threads=1)
    operators = [
        ScissorsOperator(np.random.default_rng(i), steady(h)) for i, h in enumerate(HABITS)
    ]
    return env, *perform(env, operators)


def test_every_operator_cuts_the_tape_when_aim_and_hand_are_steady(shown) -> None:
    env, rewards, seen = shown
    assert env.succeeded.all()
    assert rewards.sum(axis=0).tolist() == [2] * 3 and rewards.max() == 1
    assert {name: value.shape[1] for name, value in seen[-1].items()} == FEATURES
    share = np.array([step["tape"][:, 4].numpy() for step in seen])
    assert (np.diff(share, axis=0) >= 0).all() and (share[-1] == 1).all()
    assert all(len(np.unique(column)) > 2 for column in share.T)  # in several bites


def test_a_picture_is_of_the_state_that_was_observed(shown) -> None:
    env, rewards, seen = shown
    last = int(np.argmax([np.flatnonzero(column)[-1] for column in rewards.T]))  # seen to its end
    model, wanted = scene_model(), env.physics.state[last, 1:]
    data = mujoco.MjData(model)
    place(model, data, {name: value[last].numpy() for name, value in seen[-1].items()})
    np.testing.assert_allclose(data.qpos[24:27], wanted[24:27], atol=1e-6)
    assert abs(np.dot(data.qpos[27:31], wanted[27:31])) == pytest.approx(1, abs=1e-6)
    assert data.qpos[31] == pytest.approx(wanted[31], abs=1e-6)
    for index, fixture in enumerate(env.physics.fixtures[last], start=1):
        np.testing.assert_allclose(data.mocap_pos[index], fixture[:3], atol=1e-6)
        turn = data.mocap_quat[index]
        assert abs(np.dot(turn, fixture[[6, 3, 4, 5]])) == pytest.approx(1, abs=1e-6)


def test_several_tables_are_as_many_single_ones(shown) -> None:
    _, _, seen = shown
    alone = ScissorsTape(1, starts=lambda _: [MIDDLE], threads=1)
    _, found = perform(alone, [ScissorsOperator(np.random.default_rng(0), steady(QUICK))])
    for one, many in zip(found, seen, strict=False):
        assert all(torch.equal(one[name][0], many[name][0]) for name in FEATURES)


def test_scissors_that_nobody_holds_lie_still_and_open() -> None:
    env = ScissorsTape(1, seed=2, threads=1)
    first = env.reset()
    for _ in range(10):
        seen, reward, terminated, _ = env.step(env.hold[None])
        assert not reward.any() and not terminated.any()
    torch.testing.assert_close(seen["tool"], first["tool"], atol=0.01, rtol=0)
    assert float(seen["tool"][0, 7]) == pytest.approx(OPEN_RAD, abs=0.01)


def test_letting_go_in_the_air_ends_the_episode_as_a_failure() -> None:
    class Tired(ScissorsOperator):
        """Opens the hand beside the stand."""

        def _check(self, observation: dict[str, np.ndarray]) -> None:
            self._legs = [
                replace(self._last, place=self._last.place + np.array([-0.05, 0.15, 0.0]))
            ]
            self._legs.append(replace(self._legs[0], grasp=0.0, wait_s=0.5))

        def _begin(self, observation: dict[str, np.ndarray]) -> None:
            super()._begin(observation)
            self._last = replace((self._legs or [])[-1], check=False)

    env = ScissorsTape(1, starts=lambda _: [MIDDLE], threads=1)
    rewards, seen = perform(env, [Tired(np.random.default_rng(0), steady(QUICK))])
    assert rewards.sum() == 1 and not env.succeeded.any()
    assert len(seen) < 100 and float(seen[-1]["tape"][0, 4]) == 0


def test_a_run_goes_on_with_the_starts_it_would_have_had() -> None:
    env = ScissorsTape(1, seed=5, threads=1)
    env.reset()
    state = env.state_dict()
    first = env.reset()["tool"]
    env.load_state_dict(state)
    assert torch.equal(env.reset()["tool"], first)


def test_a_demonstration_is_the_same_whenever_it_is_recorded(tmp_path: Path) -> None:
    stores = [tmp_path / name for name in ("once", "twice")]
    record_demonstrations(SCISSORS_TAPE, stores[0], 1, seed=3)
    record_demonstrations(SCISSORS_TAPE, stores[0], 2, seed=3)
    record_demonstrations(SCISSORS_TAPE, stores[1], 2, seed=3)
    one, other = (list(load_episodes([str(store)], []).values()) for store in stores)
    assert len(one) == len(other) == 2
    for a, b in zip(one, other, strict=True):
        assert a.is_offline and a.policy in ("quick", "careful", "dipping")
        np.testing.assert_array_equal(a.action, b.action)
