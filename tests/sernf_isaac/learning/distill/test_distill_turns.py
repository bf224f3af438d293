"""Whose step it is: prefixes stay the student's, chunks are one person's, windows start between."""

import pytest
import torch
from torch import Tensor

from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.learning.distill.turns import Turns

ENVS, PREFIX, HORIZON, STEPS = 64, 2, 6, 60


def play(turns: Turns, share: float, steps: int = STEPS) -> tuple[Tensor, Tensor, Tensor]:
    """Decisions, drivers and starts (T, N) of machines that begin together."""
    rows = []
    for step in range(steps):
        decided = torch.full((ENVS,), step % HORIZON == 0)
        fresh = torch.full((ENVS,), step == 0)
        rows.append((decided, *turns(decided, fresh, share)))
    decided, by_teacher, starts = (torch.stack(column) for column in zip(*rows, strict=True))
    return decided, by_teacher, starts


def chunks(mode: str = "chunks", seed: int = 0) -> Turns:
    return Turns(mode, PREFIX, torch.Generator().manual_seed(seed))


def test_a_chunk_is_executed_by_one() -> None:
    decided, by_teacher, _ = play(chunks(), share=0.5)
    for env in range(ENVS):
        for start in decided[HORIZON:-8, env].nonzero()[:, 0] + HORIZON:
            chunk = by_teacher[start + PREFIX : start + PREFIX + HORIZON, env]
            assert chunk.all() or not chunk.any()
    assert 0.35 < by_teacher[PREFIX:].float().mean() < 0.65


def test_windows_start_at_decisions_whose_chunk_is_the_teachers_behind_the_students_prefix() -> (
    None
):
    decided, by_teacher, starts = play(chunks(), share=0.5)
    steps, envs = starts[: STEPS - 8].nonzero(as_tuple=True)
    assert len(steps) > 50 and decided[steps, envs].all()
    for ahead in range(PREFIX):
        assert not by_teacher[steps + ahead, envs].any()
    for ahead in range(PREFIX, PREFIX + HORIZON):
        assert by_teacher[steps + ahead, envs].all()


def test_an_episode_begins_with_actions_that_keep_still() -> None:
    turns = chunks()
    play(turns, share=1.0)
    everybody = torch.ones(ENVS, dtype=torch.bool)
    for _ in range(PREFIX):
        by_teacher, _ = turns(everybody, everybody, 1.0)
        everybody = torch.zeros_like(everybody)
        assert not by_teacher.any()
    assert turns(everybody, everybody, 1.0)[0].all()


def test_while_hardly_anybody_else_acts_the_teachers_prefixes_will_do() -> None:
    decided, _, starts = play(chunks(), share=1.0)
    assert torch.equal(decided, starts)


def test_single_steps_are_drawn_singly_and_windows_start_anywhere() -> None:
    _, by_teacher, starts = play(chunks("steps"), share=0.3)
    assert starts.all() and 0.25 < by_teacher.float().mean() < 0.35
    assert (by_teacher[1:] != by_teacher[:-1]).float().mean() > 0.3


@pytest.mark.parametrize("mode", ["steps", "chunks"])
def test_turns_go_on_as_if_nothing_had_happened(mode: str) -> None:
    whole, parts = chunks(mode), chunks(mode)
    for turns in (whole, parts):
        play(turns, share=0.5, steps=7)
    again = chunks(mode)
    again._draw.set_state(parts._draw.get_state())
    again.load_state_dict(parts.state_dict())
    decided, fresh = torch.arange(ENVS) % 3 == 0, torch.zeros(ENVS, dtype=torch.bool)
    for _ in range(5):
        for mine, other in zip(whole(decided, fresh, 0.5), again(decided, fresh, 0.5), strict=True):
            assert torch.equal(mine, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"turns": "days"}, r"turns must be one of"),
        ({"turns": "chunks"}, r"least_teacher_share \(0.0\) must be between 0 and 1"),
        ({"least_teacher_share": 1.5}, r"least_teacher_share \(1.5\) must be in 0..1"),
    ],
)
def test_turns_that_leave_nothing_to_imitate_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistillConfig(**settings)


def test_the_share_falls_no_further_than_asked_for() -> None:
    config = DistillConfig(teacher_decay=0.5, turns="chunks", least_teacher_share=0.3)
    assert [config.teacher_share_at(i) for i in range(4)] == [1.0, 0.5, 0.3, 0.3]
