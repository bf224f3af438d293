"""Acting chunk by chunk: what is recorded is what happened, and stage IV learns from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.windows import make_batch
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.learning.online.training import OnlineSchedule, without_future

LENGTHS = (3, 7, 12)
"""Steps of each environment's episode; the last one is cut off."""


class Counting:
    """Observes the number of steps so far; environment i ends after `LENGTHS[i]` of them."""

    num_envs = len(LENGTHS)

    def __init__(self) -> None:
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        self.actions: list[Tensor] = []

    def reset(self) -> dict[str, Tensor]:
        self.step_count = 0
        return self._observe()

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        self.actions.append(action)
        self.step_count += 1
        ends = torch.tensor(LENGTHS) == self.step_count
        cut = torch.tensor([False, False, True])
        self.succeeded = self.succeeded | (ends & torch.tensor([True, False, False]))
        reward = torch.full((self.num_envs,), float(self.step_count))
        return self._observe(), reward, ends & ~cut, ends & cut

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass

    def _observe(self) -> dict[str, Tensor]:
        count = torch.full((self.num_envs, 1), float(self.step_count))
        return {"count": count, "now": -count}


class Numbering:
    """Chunks whose actions count on from the last one queued, in all environments alike."""

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.seen: list[tuple[dict[str, Tensor], Tensor]] = []

    def __call__(self, observation: dict[str, Tensor], queue: Tensor) -> Tensor:
        start = len(self.seen) * self.horizon + 1
        self.seen.append((observation, queue))
        numbers = torch.arange(start, start + self.horizon, dtype=torch.float32)
        return numbers[None, :, None].expand(Counting.num_envs, -1, -1)


@pytest.fixture
def spec() -> ChunkSpec:
    return ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("count",))


def test_every_step_is_recorded_until_its_own_episode_ends(spec: ChunkSpec) -> None:
    episodes = collect(Counting(), Numbering(4), spec, hold=torch.zeros(3, 1), name="me")
    assert tuple(map(len, episodes)) == LENGTHS
    assert [episode.outcome for episode in episodes] == ["success", "failure", "timeout"]
    assert [bool(episode.terminated[-1]) for episode in episodes] == [True, True, False]
    assert [bool(episode.truncated[-1]) for episode in episodes] == [False, False, True]
    for episode, length in zip(episodes, LENGTHS, strict=True):
        assert episode.policy == "me" and not episode.is_offline
        assert episode.observation["count"][:, 0].tolist() == list(range(length))
        assert episode.final_observation["count"] == length
        assert episode.reward.tolist() == list(range(1, length + 1))


def test_the_queue_is_held_first_then_always_the_end_of_the_last_chunk(spec: ChunkSpec) -> None:
    env, decide = Counting(), Numbering(4)
    episode = collect(env, decide, spec, hold=torch.zeros(3, 1))[2]
    assert [queue[0, :, 0].tolist() for _, queue in decide.seen] == [[0.0], [4.0], [8.0]]
    assert episode.action[:, 0].tolist() == list(range(12))
    assert np.flatnonzero(episode.decision).tolist() == [0, 4, 8]


def test_histories_repeat_the_first_observation_and_then_follow(spec: ChunkSpec) -> None:
    decide = Numbering(4)
    collect(Counting(), decide, spec, hold=torch.zeros(3, 1))
    seen = [observation for observation, _ in decide.seen]
    assert [step["count"][0, :, 0].tolist() for step in seen] == [[0, 0], [3, 4], [7, 8]]
    assert [step["now"][0].tolist() for step in seen] == [[0], [-4], [-8]]


def test_what_was_still_queued_is_kept(spec: ChunkSpec) -> None:
    short = collect(Counting(), Numbering(4), spec, hold=torch.zeros(3, 1))[0]
    assert short.planned[:, 0].tolist() == [3.0, 4.0]


def test_training_sees_the_decisions_as_they_were_made(spec: ChunkSpec) -> None:
    decide = Numbering(4)
    episode = collect(Counting(), decide, spec, hold=torch.zeros(3, 1))[1]
    batch = make_batch(episode, ChunkSpec(**vars(spec) | {"align_to_decisions": True}))
    for row, (observation, queue) in enumerate(decide.seen[: len(batch)]):
        torch.testing.assert_close(batch.observation["count"][row], observation["count"][1])
        torch.testing.assert_close(batch.prefix[row], queue[1])
        expected = torch.arange(4.0 * row + 1, 4.0 * row + 5)
        torch.testing.assert_close(batch.chunk[row, :, 0], expected)


def test_episodes_longer_than_allowed_are_stopped_and_not_terminated(spec: ChunkSpec) -> None:
    episodes = collect(Counting(), Numbering(4), spec, hold=torch.zeros(3, 1), max_steps=5)
    assert tuple(map(len, episodes)) == (3, 5, 5)
    assert [episode.outcome for episode in episodes] == ["success", "stopped", "stopped"]
    assert [bool(episode.truncated[-1]) for episode in episodes] == [False, True, True]
    assert episodes[1].final_observation["count"] == 5


@pytest.mark.parametrize("name", ["env_steps", "candidates"])
def test_an_empty_schedule_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(OnlineSchedule(), **{name: 0})


def test_where_timeouts_fail_nothing_is_earned_after_them(spec: ChunkSpec) -> None:
    won, lost, late = collect(Counting(), Numbering(4), spec, hold=torch.zeros(3, 1))
    assert without_future(won) is won and without_future(lost) is lost
    over = without_future(late)
    assert over.outcome == "timeout" and over.terminated[-1] and not over.truncated.any()
    looking_ahead, ending = make_batch(late, spec).discount, make_batch(over, spec).discount
    assert (looking_ahead > 0).all() and ending[-1] == 0 and (ending[0] > 0)


def test_negative_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"online\.updates_per_step \(-1\) must be >= 0"):
        OnlineSchedule(updates_per_step=-1)
