"""The twin as a plain Gymnasium environment."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tasks.cube_spin.physics import RANDOMIZED
from tasks.cube_spin.twin.gym_env import ACTION_BOUND, CubeSpinEnv


@pytest.fixture(scope="module")
def env():
    made = CubeSpinEnv()
    yield made
    made.close()


def trajectory(env: CubeSpinEnv, seed: int, steps: int = 20) -> list[tuple]:
    rng = np.random.default_rng(0)
    rows = [(env.reset(seed=seed)[0],)]
    for _ in range(steps):
        action = 0.3 * rng.standard_normal(env.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        rows.append((observation, reward, terminated, truncated))
    return rows


def test_gymnasiums_own_checker_passes(env: CubeSpinEnv) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)
        # Neither has natural bounds of one, and pictures have a test of their own.
        advice = "infinity|normalized space|alternative render modes"
        warnings.filterwarnings("ignore", message=f".*({advice}).*")
        check_env(env, skip_render_check=True)


def test_same_seed_same_trajectory_bit_for_bit(env: CubeSpinEnv) -> None:
    first, again, other = (trajectory(env, seed) for seed in (5, 5, 6))
    for one, two in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(first[-1][0], other[-1][0])


def test_a_new_environment_replays_a_seed(env: CubeSpinEnv) -> None:
    fresh = CubeSpinEnv(physics=RANDOMIZED)
    for one, two in zip(trajectory(env, 9), trajectory(fresh, 9), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_spaces_are_those_of_the_task(env: CubeSpinEnv) -> None:
    observation, _ = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape == (99,)
    assert env.action_space.shape == (17,) and env.action_space.high.max() == ACTION_BOUND


def test_info_carries_the_parts_of_the_reward(env: CubeSpinEnv) -> None:
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros(17, np.float32))
    parts = [value for name, value in info.items() if name.startswith("Reward/")]
    assert sum(parts) * 0.05 == pytest.approx(reward, rel=1e-4)


def test_a_dropped_cube_terminates_and_the_horizon_truncates(env: CubeSpinEnv) -> None:
    env.reset(seed=0)
    opening = np.full(17, -ACTION_BOUND, np.float32)
    for _ in range(400):
        _, _, terminated, truncated, _ = env.step(opening)
        if terminated or truncated:
            break
    assert terminated and not truncated
    env.reset(seed=0)
    env._twin.episode_length_buf[:] = env._twin.max_episode_length - 1
    *_, terminated, truncated, _ = env.step(np.zeros(17, np.float32))
    assert truncated and not terminated


def test_an_episode_is_not_restarted_behind_the_users_back(env: CubeSpinEnv) -> None:
    env.reset(seed=0)
    env._twin.episode_length_buf[:] = env._twin.max_episode_length - 1
    observation, *_ = env.step(np.zeros(17, np.float32))
    assert np.array_equal(observation, env._twin.get_observations()["teacher"][0].numpy())
    assert env._twin.episode_length_buf[0] == env._twin.max_episode_length


def test_an_action_that_is_not_finite_is_refused(env: CubeSpinEnv) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match="right_wrist is not finite"):
        env.step(np.full(17, np.nan, np.float32))


def test_an_unknown_render_mode_is_refused_and_none_draws_nothing(env: CubeSpinEnv) -> None:
    with pytest.raises(ValueError, match="'human'"):
        CubeSpinEnv(render_mode="human")
    assert env.render() is None
