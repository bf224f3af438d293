"""What is imitated: executed prefixes, the teacher's chunks, never across an episode's end."""

import pytest
import torch

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.learning.distill.memory import RolloutMemory

SPEC = ChunkSpec(prefix=2, horizon=6)
ENVS, STEPS = 3, 20
LABEL = 0.5
"""Labels are told from executed actions by this."""


def remember(memory: RolloutMemory, ends: set[tuple[int, int]], first: int = 0) -> None:
    """One rollout in which every number tells its environment (hundreds) and its step."""
    for step in range(first, first + STEPS):
        when = 1000.0 * torch.arange(ENVS) + step
        done = torch.tensor([(env, step) in ends for env in range(ENVS)])
        seen = {"state": when[:, None], "history": when[:, None, None].expand(-1, 4, 1)}
        memory.add(seen, when[:, None], when[:, None] + LABEL, done)


def everything(memory: RolloutMemory) -> ChunkBatch:
    return memory.gather(torch.cat(memory._starts))


def starts_of(batch: ChunkBatch) -> set[tuple[int, int]]:
    numbers = batch.observation["state"][:, 0].long()
    return {(int(n) // 1000, int(n) % 1000) for n in numbers}


def test_the_prefix_was_executed_and_the_chunk_was_wanted() -> None:
    memory = RolloutMemory(SPEC, STEPS)
    remember(memory, ends=set())
    batch = everything(memory)
    now = batch.observation["state"][:, 0]
    assert torch.equal(batch.prefix[..., 0], now[:, None] + torch.arange(2.0))
    assert torch.equal(batch.chunk[..., 0], now[:, None] + torch.arange(2.0, 8.0) + LABEL)
    assert torch.equal(batch.observation["history"][:, 3, 0], now)
    assert batch.imitate.all() and batch.is_offline.all() and not batch.discount.any()


def test_a_rollout_gives_a_window_per_step_that_has_the_future_it_needs() -> None:
    memory = RolloutMemory(SPEC, STEPS)
    remember(memory, ends=set())
    assert len(memory) == ENVS * (STEPS - 8 + 1)
    assert starts_of(everything(memory)) == {(e, t) for e in range(ENVS) for t in range(13)}


def test_no_window_reaches_into_another_episode() -> None:
    """Environment 1 ends with step 9: the label of step 10 belongs to the next episode."""
    memory = RolloutMemory(SPEC, STEPS)
    remember(memory, ends={(1, 9)})
    found = starts_of(everything(memory))
    assert {t for e, t in found if e == 1} == {0, 1, 2, 10, 11, 12}
    assert {t for e, t in found if e != 1} == set(range(13))


def test_the_oldest_rollout_makes_room() -> None:
    memory = RolloutMemory(SPEC, STEPS, rollouts=2)
    for number in range(3):
        remember(memory, ends={(0, 5 + 20 * number)}, first=20 * number)
        assert len(memory) == min(number + 1, 2) * (13 * ENVS - 7 + 1)
    assert {t // 20 for _, t in starts_of(everything(memory))} == {1, 2}


def test_the_same_generator_draws_the_same_batches_after_a_resume() -> None:
    memory, other = (RolloutMemory(SPEC, STEPS, rollouts=2) for _ in range(2))
    remember(memory, ends={(0, 5)})
    other.load_state_dict(memory.state_dict())
    for each in (memory, other):
        remember(each, ends=set(), first=20)
    batches = [each.sample(64, torch.Generator().manual_seed(3)) for each in (memory, other)]
    assert torch.equal(batches[0].chunk, batches[1].chunk)
    assert len(starts_of(batches[0])) > 20, "windows are drawn from all over the memory"


def test_what_cannot_be_imitated_is_said() -> None:
    memory = RolloutMemory(SPEC, STEPS)
    remember(memory, ends={(e, t) for e in range(ENVS) for t in range(STEPS)})
    with pytest.raises(ValueError, match="no episode of the rollout lasted 8 steps"):
        memory.sample(4, torch.Generator())
    with pytest.raises(ValueError, match=r"rollout_steps \(7\) must be >= prefix \+ horizon \(8\)"):
        RolloutMemory(SPEC, 7)
