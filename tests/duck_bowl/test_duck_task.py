"""The simulated duck: rules, test configurations, the table's physics, demonstrations."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from tiny_table import perform

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.sources import load_episodes
from sernf_isaac.data.windows import make_batch
from tasks.duck_bowl.configurations import APART_M, TEST_DUCKS, Configuration, draw, evaluation_set
from tasks.duck_bowl.demonstrator import CAREFUL, QUICK, DuckOperator
from tasks.duck_bowl.environment import FEATURES, MAX_STEPS, DuckBowl
from tasks.duck_bowl.scene import scene_model
from tasks.duck_bowl.table_task import DUCK_BOWL, place
from tasks.duck_bowl.task import judge
from tasks.manipulation.actions import POSE_GROUP
from tasks.manipulation.settings import SPEC
from tasks.table.demonstrations import record_demonstrations
from tasks.table.environment import HOME, WORKSPACE_LOWER_M
from tasks.table.poses import seen_from

MIDDLE = Configuration((-0.11, 0.02), 0.1, (0.13, 0.0))
BOWL = np.array([[0.13, 0.0, 0.0]])


def pose(x: float, y: float, z: float) -> np.ndarray:
    return np.array([[x, y, z, 0, 0, 0, 1.0]])


def verdict(duck: np.ndarray, grip: np.ndarray, *, lifted: bool = False, speed: float = 0.0):
    return judge(duck, grip, BOWL, np.array([speed]), np.array([lifted]))


@pytest.fixture(scope="module")
def env() -> DuckBowl:
    return DuckBowl(4, seed=0, starts=lambda _: [MIDDLE] * 4, threads=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(DUCK_BOWL, tmp_path_factory.mktemp("duck") / "run", 2, seed=3)


# Rules --------------------------------------------------------------------------------------------


def test_lifting_pays_once_and_only_in_the_hand() -> None:
    held = verdict(pose(0, 0, 0.1), pose(0, 0, 0.1))
    assert held.reward == 1 and held.lifted.all() and not held.terminated.any()
    assert verdict(pose(0, 0, 0.1), pose(0, 0, 0.1), lifted=True).reward == 0
    thrown = verdict(pose(0, 0, 0.1), pose(0, 0, 0.2))
    assert thrown.reward == 0 and not thrown.lifted.any()


def test_success_needs_the_bowl_an_open_hand_rest_and_a_lift_before() -> None:
    inside, away = pose(0.14, 0.01, 0.026), pose(0.13, 0.0, 0.14)
    good = verdict(inside, away, lifted=True)
    assert good.reward == 1 and good.terminated.all() and good.succeeded.all()
    for other in (
        verdict(inside, pose(0.14, 0.01, 0.05), lifted=True),  # still in the hand
        verdict(inside, away, lifted=True, speed=0.3),
        verdict(inside, away, lifted=False),
        verdict(pose(0.13, 0.01, 0.09), away, lifted=True),  # above the bowl
    ):
        assert other.reward == 0 and not other.terminated.any()


def test_a_dropped_duck_and_one_that_leaves_the_table_end_the_episode_without_reward() -> None:
    away = pose(0, 0, 0.15)
    dropped = verdict(pose(0, 0, 0.022), away, lifted=True)
    gone = verdict(pose(0.39, 0, 0.022), away)
    fallen = verdict(pose(0.3, 0, -0.1), away)
    for end in (dropped, gone, fallen):
        assert end.terminated.all() and end.reward == 0 and not end.succeeded.any()
    assert not verdict(pose(0, 0, 0.022), away).terminated.any()  # not lifted yet


def test_what_is_seen_from_the_grip_moves_with_it() -> None:
    turned = np.array([[0.1, 0.2, 0.3, 0, 0, np.sin(0.4), np.cos(0.4)]])
    ahead = seen_from(turned, seen_from(pose(0, 0, 0), turned))
    np.testing.assert_allclose(ahead, pose(0, 0, 0), atol=1e-12)


# Configurations -----------------------------------------------------------------------------------


def test_tests_are_two_by_five_and_practice_keeps_away_from_them() -> None:
    grid = evaluation_set(10)
    assert len(set(grid)) == 10 and len({c.bowl_xy_m for c in grid}) == 2
    assert (
        evaluation_set(16)[:10] == grid
        and evaluation_set(16) == evaluation_set(16)
        and len(set(evaluation_set(16))) == 16
    )
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, y = draw(rng).duck_xy_m
        assert min(np.hypot(x - a, y - b) for a, b, _ in TEST_DUCKS) >= APART_M
    with pytest.raises(ValueError, match="at least 1"):
        evaluation_set(0)


def test_another_draw_of_the_tests_has_the_same_places_and_no_test_of_the_first() -> None:
    chosen, reported = evaluation_set(30), evaluation_set(30, draw=1)
    assert reported == evaluation_set(30, draw=1) and not set(chosen) & set(reported)
    for one, other in zip(chosen, reported, strict=True):
        assert one.bowl_xy_m == other.bowl_xy_m
        assert np.hypot(*np.subtract(one.duck_xy_m, other.duck_xy_m)) < 0.015


# The table ----------------------------------------------------------------------------------------


def test_holding_still_changes_nothing_and_is_cut_off(env: DuckBowl) -> None:
    first = env.reset()
    for _ in range(MAX_STEPS):
        seen, reward, terminated, truncated = env.step(env.hold.expand(4, -1))
        assert not reward.any() and not terminated.any()
    assert truncated.all() and not env.succeeded.any()
    assert {name: value.shape[1] for name, value in seen.items()} == FEATURES
    torch.testing.assert_close(seen[POSE_GROUP], first[POSE_GROUP], atol=2e-3, rtol=0)
    torch.testing.assert_close(seen["duck"], first["duck"], atol=5e-3, rtol=0)


def aim(std_m: float) -> dict[str, float]:
    """How badly an operator aims, as habits."""
    return {"aim_std_m": std_m, "aim_std_rad": 0.0}


def test_both_operators_bring_the_duck_home_when_they_aim_well(env: DuckBowl) -> None:
    aiming_well = [replace(habits, **aim(0.0)) for habits in (QUICK, CAREFUL)]
    operators = [DuckOperator(np.random.default_rng(i), aiming_well[i % 2]) for i in range(4)]
    rewards, _ = perform(env, operators)
    assert env.succeeded.all()
    assert rewards.sum(axis=0).tolist() == [2] * 4 and rewards.max() == 1
    ends = [np.flatnonzero(column)[-1] for column in rewards.T]
    assert max(ends[::2]) < min(ends[1::2])  # the quick one is quicker


def test_an_operator_who_aims_beside_the_duck_fails(env: DuckBowl) -> None:
    beside = replace(CAREFUL, **aim(0.3))
    operators = [DuckOperator(np.random.default_rng(i), beside) for i in range(4)]
    rewards, _ = perform(env, operators)
    assert not rewards.any() and not env.succeeded.any()


def test_an_operator_who_missed_tries_again(env: DuckBowl) -> None:
    class Learns(DuckOperator):
        """Aims well from the second time on."""

        def _begin(self, observation: dict[str, np.ndarray]) -> None:
            super()._begin(observation)
            self.habits = replace(self.habits, **aim(0.0))

    operators = [Learns(np.random.default_rng(i), replace(QUICK, **aim(0.3))) for i in range(4)]
    rewards, _ = perform(env, operators)
    assert env.succeeded.all()
    assert np.flatnonzero(rewards.any(axis=1))[0] > 40  # not at once


def test_the_same_start_and_actions_give_the_same_episode(env: DuckBowl) -> None:
    runs = [
        perform(env, [DuckOperator(np.random.default_rng(7)) for _ in range(4)])[1] for _ in "ab"
    ]
    for one, other in zip(*runs, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in FEATURES)


def test_the_hand_cannot_be_led_into_the_table_or_by_numbers_that_are_none(env: DuckBowl) -> None:
    env.reset()
    down = env.hold.expand(4, -1).clone()
    down[:, 2] = -1.0
    down[2] = torch.nan
    for _ in range(20):
        seen, *_ = env.step(down)
    assert torch.isfinite(seen[POSE_GROUP]).all()
    low = seen[POSE_GROUP][:2, 2]
    assert (low > WORKSPACE_LOWER_M[2] - 5e-3).all() and (low < 0.05).all()
    assert abs(float(seen[POSE_GROUP][2, 2]) - HOME[2]) < 2e-3  # it stayed
    with pytest.raises(ValueError, match=r"actions must be \(4, 24\)"):
        env.step(down[:2])


def test_a_run_goes_on_with_the_starts_it_would_have_had() -> None:
    env = DuckBowl(1, seed=5, threads=1)
    env.reset()
    state = env.state_dict()
    first = env.reset()["duck"]
    env.load_state_dict(state)
    assert torch.equal(env.reset()["duck"], first)


def test_a_picture_is_of_the_state_that_was_observed(env: DuckBowl) -> None:
    operator, seen = DuckOperator(np.random.default_rng(0)), env.reset()
    for _ in range(15):  # on the way down, turned
        now = {name: value[0].numpy() for name, value in seen.items()}
        seen, *_ = env.step(torch.from_numpy(operator(now)).expand(4, -1))
    model, state = scene_model(), env.physics.state
    data = mujoco.MjData(model)
    for world in range(4):
        place(model, data, {name: value[world].numpy() for name, value in seen.items()})
        wanted = state[world, 1 : 1 + model.nq]
        np.testing.assert_allclose(data.qpos[:3], wanted[:3], atol=1e-6)
        np.testing.assert_allclose(data.body("duck").xpos, env.duck[world, :3], atol=1e-6)
        np.testing.assert_allclose(data.body("bowl").xpos, env.bowl[world], atol=1e-6)


# Demonstrations -----------------------------------------------------------------------------------


def test_demonstrations_are_episodes_of_the_store_with_absolute_poses(store: Path) -> None:
    shown = load_episodes([str(store)], [])
    assert len(shown) == 2
    for episode in shown.values():
        assert {name: value.shape[1] for name, value in episode.observation.items()} == FEATURES
        assert episode.is_offline and episode.policy in ("quick", "careful")
        assert episode.reward.sum() == 2 if episode.outcome == "success" else 1
        assert np.abs(episode.action[0, :3] - HOME[:3]).max() < 0.05
        batch = make_batch(episode, SPEC)
        assert batch.chunk[..., :3].abs().max() < 0.4 and (batch.chunk[..., 6] > 0.5).all()


def test_recording_goes_on_where_it_stopped(store: Path) -> None:
    def contents() -> list[Episode]:
        return list(load_episodes([str(store)], []).values())

    before = contents()
    record_demonstrations(DUCK_BOWL, store, 3, seed=3)
    after = contents()
    assert len(after) == 3
    for one, other in zip(before, after, strict=False):
        np.testing.assert_array_equal(one.action, other.action)
    record_demonstrations(DUCK_BOWL, store, 3, seed=3)
    assert len(contents()) == 3
    with pytest.raises(ValueError, match="is another run: seed differ"):
        record_demonstrations(DUCK_BOWL, store, 3, seed=4)
