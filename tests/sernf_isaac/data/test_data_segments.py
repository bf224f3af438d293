"""Ways to success: cut where a goal is reached for the first time, and never across another one."""

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.segments import ways_to_success

STEPS = 60
SOLVED = (*range(20, 25), *range(30, 32), *range(50, 60))


@pytest.fixture
def play() -> Episode:
    numbers = np.arange(STEPS, dtype=np.float32)
    solved = np.isin(numbers, SOLVED)
    return Episode(
        observation={"state": numbers[:, None]},
        action=numbers[:, None],
        reward=solved - 1.0,
        terminated=solved,
        final_observation={"state": np.array([STEPS])},
        is_offline=True,
    )


def test_each_way_ends_with_the_first_step_that_earns(play: Episode) -> None:
    ways = ways_to_success(play, before=15, shortest=1)
    seen = [(int(way.action[0, 0]), int(way.action[-1, 0])) for way in ways]
    assert seen == [(5, 20), (25, 30), (35, 50)]
    for way in ways:
        assert way.outcome == "success" and way.is_offline
        assert way.reward.tolist() == [-1.0] * (len(way) - 1) + [0.0]
        assert way.terminated.tolist() == [False] * (len(way) - 1) + [True]
        assert not way.truncated.any()
        assert way.final_observation["state"][0] == way.observation["state"][-1, 0] + 1


def test_short_ways_are_left_out(play: Episode) -> None:
    assert [len(way) for way in ways_to_success(play, before=15, shortest=7)] == [16, 16]


def test_the_last_step_of_an_episode_may_be_the_goal(play: Episode) -> None:
    play.terminated[:] = np.arange(STEPS) == STEPS - 1
    (way,) = ways_to_success(play, before=9, shortest=1)
    assert way.final_observation["state"][0] == STEPS and len(way) == 10


def test_without_success_there_is_no_way(play: Episode) -> None:
    play.terminated[:] = False
    assert ways_to_success(play, before=15) == []
