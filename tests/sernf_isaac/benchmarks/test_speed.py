"""The benchmark compares like with like: the plain paths compute what the fast ones compute."""

from collections.abc import Callable

import pytest
import torch

from sernf_isaac.benchmarks import learner as speed
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.models.selection import choose_by_value

MakeLearner = Callable[..., Learner]
MakeBatch = Callable[..., ChunkBatch]


@pytest.fixture
def learner(make_learner: MakeLearner) -> Learner:
    made = make_learner()
    with torch.no_grad():
        for parameter in made.actor.flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    made.actor.eval()
    made.critics.eval()
    return made


@torch.no_grad()
def test_the_plain_decision_is_the_fast_one(learner: Learner, make_batch: MakeBatch) -> None:
    batch = make_batch(1)
    observation = seen(batch.observation, batch.prefix)
    fast = choose_by_value(
        learner.actor.flow,
        learner.critics.critic,
        learner.actor.flow.context(learner.actor.encoder(observation)),
        learner.critics.encoder(observation),
        candidates=16,
        sigma=learner.config.improvement.sigma,
        generator=torch.Generator().manual_seed(3),
    )
    plain = speed.choose_plainly(learner, observation, 16, torch.Generator().manual_seed(3))
    torch.testing.assert_close(plain, fast.chunk, rtol=0, atol=1e-5)
    assert learner.critics.critic.prune


def test_gradients_through_all_candidates_move_the_policy_alone(
    learner: Learner, make_batch: MakeBatch
) -> None:
    before = [parameter.clone() for parameter in learner.actor.parameters()]
    speed.improve_through_all(learner, make_batch(), 4)
    moved = [not torch.equal(a, b) for a, b in zip(before, learner.actor.parameters(), strict=True)]
    assert any(moved)
    assert all(parameter.requires_grad for parameter in learner.critics.parameters())


def test_the_table_gives_ratios_of_the_least_times() -> None:
    times = {"decision_64_plain_ms": 200.0, "decision_64_fast_ms": 130.0}
    steps = {"rl_1_fast_ms": 100.0, "rl_24_fast_ms": 400.0, "rl_24_plain_ms": 1000.0}
    steps["replay_batches_per_s"] = 50.0
    shown = speed.speed_table(times | steps)
    assert "0.65" in shown and "24 candidates over 1: 4.00; naively 10.00" in shown
    assert "50 batches of 512" in shown
