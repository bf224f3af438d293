"""Chunks come out in time, whoever is late, and windows cut from a log see the same prefixes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.chunk_queue import ChunkActor, ChunkQueue
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.windows import make_batch

ACTIONS = 3
HOLD = -1.0
SPECS = [
    ChunkSpec(prefix=2, horizon=6),
    ChunkSpec(prefix=0, horizon=4),
    ChunkSpec(prefix=3, horizon=3),
]


def planned_at(step: int, spec: ChunkSpec, decision: int = 0) -> Tensor:
    """The chunk (1, H, A) decided at a step: each action tells the step it is meant for."""
    meant_for = torch.arange(step + spec.prefix, step + spec.prefix + spec.horizon)
    return (meant_for + 0.001 * decision).float().view(1, -1, 1).expand(1, -1, ACTIONS)


def queue_of(spec: ChunkSpec, count: int = 1) -> ChunkQueue:
    return ChunkQueue(spec, torch.full((count, ACTIONS), HOLD))


@pytest.mark.parametrize("spec", SPECS)
def test_every_action_is_executed_at_the_step_it_was_planned_for(spec: ChunkSpec) -> None:
    queue = queue_of(spec)
    for step in range(5 * spec.horizon):
        assert bool(queue.due) == (step % spec.horizon == 0)
        if queue.due:
            prefix = queue.begin()
            expected = [max(step + i, 0) if step else HOLD for i in range(spec.prefix)]
            assert prefix[0, :, 0].tolist() == expected
            queue.push(planned_at(step, spec))
        assert queue.pop()[0, 0] == (HOLD if step < spec.prefix else step)


@pytest.mark.parametrize("late", range(10))
def test_a_late_chunk_is_joined_at_its_own_time(late: int) -> None:
    """Up to P steps cost nothing; then the last action is repeated, the chunk's start lost."""
    spec = ChunkSpec(prefix=2, horizon=6)
    queue = queue_of(spec)
    queue.begin()
    queue.push(planned_at(0, spec))
    executed = [float(queue.pop()[0, 0]) for _ in range(6)]
    prefix = queue.begin()
    assert prefix[0, :, 0].tolist() == [6, 7]
    for count in range(late):
        assert not queue.due and bool(queue.starved) == (count >= spec.prefix)
        executed.append(float(queue.pop()[0, 0]))
    queue.push(planned_at(6, spec))
    assert bool(queue.due) == (late >= spec.horizon)
    while not queue.starved:
        executed.append(float(queue.pop()[0, 0]))
    on_time = torch.tensor([HOLD, HOLD, *range(2, 14)])
    missed = range(8, min(6 + late, 14))
    expected = [7.0 if step in missed else float(on_time[step]) for step in range(14)]
    assert executed[:14] == expected
    assert executed[14:] == [7.0] * max(0, late - 8)


def test_a_late_decision_sees_what_will_be_executed_as_its_prefix() -> None:
    spec = ChunkSpec(prefix=2, horizon=6)
    queue = queue_of(spec)
    queue.begin()
    queue.push(planned_at(0, spec))
    for _ in range(7):
        queue.pop()
    assert queue.due and queue.begin()[0, :, 0].tolist() == [7.0, 7.0]
    queue.push(planned_at(7, spec))
    assert [float(queue.pop()[0, 0]) for _ in range(4)] == [7.0, 7.0, 9.0, 10.0]


def test_windows_of_the_executed_episode_are_the_decisions_that_were_made() -> None:
    """Training on a log of the queue sees prefixes and chunks of acting, bit for bit."""
    spec = ChunkSpec(history=1, prefix=2, horizon=6, history_keys=(), align_to_decisions=True)
    queue, made, actions, decided = queue_of(spec), [], [], []
    for _ in range(29):
        decided.append(bool(queue.due))
        if queue.due:
            prefix, chunk = queue.begin(), torch.randn(1, spec.horizon, ACTIONS)
            queue.push(chunk)
            made.append((prefix, chunk))
        actions.append(queue.pop()[0])
    steps = len(actions)
    episode = Episode(
        observation={"state": np.zeros((steps, 1))},
        action=torch.stack(actions).numpy(),
        reward=np.zeros(steps),
        decision=np.array(decided),
        final_observation={"state": np.zeros(1)},
        planned=queue.planned(0).numpy(),
    )
    batch = make_batch(episode, spec)
    assert len(batch) == 4 and len(made) == 5  # what the last decision was worth is not known
    for index, (prefix, chunk) in enumerate(made[:4]):
        assert torch.equal(batch.prefix[index], prefix[0])
        assert torch.equal(batch.chunk[index], chunk[0])
        assert torch.equal(batch.next_prefix[index], made[index + 1][0][0])


def test_machines_have_clocks_of_their_own() -> None:
    spec = ChunkSpec(prefix=2, horizon=6)
    queue = queue_of(spec, 3)
    queue.begin()
    queue.push(planned_at(0, spec).expand(3, -1, -1))
    for _ in range(4):
        queue.pop()
    queue.reset(torch.full((1, ACTIONS), 50.0), torch.tensor([1]))
    assert queue.due.tolist() == [False, True, False]
    assert queue.begin(torch.tensor([1]))[0, :, 0].tolist() == [50.0, 50.0]
    queue.push(planned_at(100, spec), torch.tensor([1]))
    rows = torch.stack([queue.pop()[:, 0] for _ in range(4)])
    assert rows[:, 0].tolist() == rows[:, 2].tolist() == [4, 5, 6, 7]
    assert rows[:, 1].tolist() == [50, 50, 102, 103]
    assert queue.planned(1)[:, 0].tolist() == [104, 105, 106, 107]


def test_a_reset_forgets_a_decision_under_way() -> None:
    queue = queue_of(SPECS[0])
    queue.begin()
    queue.reset(torch.zeros(1, ACTIONS))
    with pytest.raises(ValueError, match=r"no decision was begun for \[0\]"):
        queue.push(planned_at(0, SPECS[0]))


def test_the_state_is_all_that_later_actions_depend_on() -> None:
    spec = ChunkSpec(prefix=2, horizon=6)
    queue, other = queue_of(spec, 2), queue_of(spec, 2)
    queue.begin()
    queue.push(torch.randn(2, 6, ACTIONS))
    queue.pop()
    queue.reset(torch.zeros(1, ACTIONS), torch.tensor([1]))
    queue.begin(torch.tensor([1]))
    other.load_state_dict(queue.state_dict())
    chunk = torch.randn(1, 6, ACTIONS)
    for each in (queue, other):
        each.push(chunk, torch.tensor([1]))
    for _ in range(7):
        assert torch.equal(queue.pop(), other.pop())
    with pytest.raises(ValueError, match="plan has shape"):
        queue_of(spec, 3).load_state_dict(queue.state_dict())


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (torch.zeros(1, 5, ACTIONS), r"\(1, 5, 3\), expected \(1, 6, 3\)"),
        (torch.full((1, 6, ACTIONS), torch.nan), r"chunk for \[0\] is not finite"),
    ],
)
def test_a_bad_chunk_is_refused(chunk: Tensor, message: str) -> None:
    queue = queue_of(SPECS[0])
    queue.begin()
    with pytest.raises(ValueError, match=message):
        queue.push(chunk)


def test_the_actor_decides_for_those_that_are_due_and_only_for_them() -> None:
    spec = ChunkSpec(prefix=2, horizon=6)
    asked: list[list[float]] = []

    def decide(observation: dict[str, Tensor], prefix: Tensor) -> Tensor:
        asked.append(observation["name"][:, 0].tolist())
        assert prefix.shape == (len(observation["name"]), 2, ACTIONS)
        return torch.zeros(len(prefix), 6, ACTIONS)

    actor = ChunkActor(decide, spec)
    names = {"name": torch.arange(3.0)[:, None]}
    for step in range(13):
        hold = torch.full((3, ACTIONS), float(step))
        fresh = torch.tensor([step == 0, step == 4, step == 0])
        actions = actor(names, hold, fresh)
        held = actions[:, 0] == step
        assert held.tolist() == [step == 0, step in (0, 4), step == 0]
    assert asked == [[0, 1, 2], [1], [0, 2], [1], [0, 2]]


def test_a_correction_is_executed_and_the_plan_stays() -> None:
    spec = ChunkSpec(prefix=2, horizon=6)
    prefixes: list[Tensor] = []

    def decide(observation: dict[str, Tensor], prefix: Tensor) -> Tensor:
        prefixes.append(prefix.clone())
        return torch.arange(6.0)[None, :, None].expand(len(prefix), -1, ACTIONS)

    def correct(observation: dict[str, Tensor], action: Tensor) -> Tensor:
        return action + observation["push"]

    actor = ChunkActor(decide, spec, correct)
    hold, fresh = torch.zeros(1, ACTIONS), torch.ones(1, dtype=torch.bool)
    for step in range(8):
        push = torch.full((1, 1), 0.1 * step)
        action = actor({"push": push}, hold, fresh if step == 0 else ~fresh)
        planned = 0.0 if step < 2 else step - 2.0
        torch.testing.assert_close(actor.queued, torch.full((1, ACTIONS), planned))
        torch.testing.assert_close(action, actor.queued + push)
    assert torch.equal(prefixes[1][0, :, 0], torch.tensor([4.0, 5.0])), "as planned"
