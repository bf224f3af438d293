"""The likelihood's budget: λ follows the distance from held-out data, and nothing else changes."""

import copy
import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from tiny_offline import episode

from sernf_isaac.config import ImprovementConfig, LearnerConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.normalizer import Normalizer
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.leash import EVERY, PAUSE, RATE, Leash
from sernf_isaac.learning.offline.config import OfflineStages
from sernf_isaac.learning.offline.data import OfflineSampler, fit_normalizer, held_out_names
from sernf_isaac.learning.stages import IMITATION, OFFLINE
from sernf_isaac.models.actor_critic import Actor
from sernf_isaac.models.baselines.gaussian import GaussianPolicy
from sernf_isaac.models.flow import FlowPolicy


class FlatEncoder(torch.nn.Module):
    """One token of one number."""

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return observation["state"][:, None]


MakeLearner = Callable[..., Learner]
MakeBatch = Callable[..., ChunkBatch]


def with_budget(budget: float | None = 0.1, weight: float = 1.0) -> LearnerConfig:
    improvement = ImprovementConfig(budget=budget, imitation_weight=weight, candidates=2)
    return LearnerConfig(improvement=improvement)


def moved_away(learner: Learner, nats: float) -> None:
    """As if the policy had gone so many nats per number since it began."""
    learner.leash._first = learner.leash._first + nats


def test_lambda_rises_beyond_the_budget_and_falls_within_it(make_learner, make_batch) -> None:
    for nats, sign in ((0.5, 1), (0.0, -1)):
        learner = make_learner(with_budget())
        learner.hold_out(make_batch(16, seed=1))
        leash = learner.leash
        leash.follow(learner.actor)
        moved_away(learner, nats)
        before = float(torch.as_tensor(leash.weight))
        for _ in range(EVERY):
            metrics = leash.follow(learner.actor)
        assert float(metrics["actor/drift"]) == pytest.approx(nats, abs=1e-5)
        ratio = float(torch.as_tensor(leash.weight)) / before
        assert ratio == pytest.approx(torch.tensor(sign * RATE).exp().item(), rel=1e-4)
        assert metrics["actor/lambda"] == leash.weight


def test_the_distance_is_the_divergence_from_the_first_policy() -> None:
    """Two Gaussians of known means and widths, of which the divergence is known."""
    policy = GaussianPolicy(1, 1, token_dim=1, width=4, dropout=0, noise_std=0)
    torch.nn.init.zeros_(policy.moments.net[-1].weight)
    bias = policy.moments.net[-1].bias
    actor = Actor(FlatEncoder(), cast("FlowPolicy", policy))
    nothing = torch.zeros(4096, 1, 1)
    rows = ChunkBatch.for_imitation({"state": nothing[:, 0]}, nothing, ChunkSpec(1, 0, 1, 1.0, ()))
    leash = Leash(1.0, None)
    leash.hold(rows)
    with torch.no_grad():
        bias.copy_(torch.tensor([0.1, -2.0]))
        leash.follow(actor)
        bias.copy_(torch.tensor([0.2, -1.5]))
    for _ in range(EVERY):
        metrics = leash.follow(actor)
    expected = 0.5 + (math.exp(-4.0) + 0.1**2) / (2 * math.exp(-3.0)) - 0.5
    assert float(metrics["actor/drift"]) == pytest.approx(expected, rel=0.05)


def test_at_the_budget_lambda_stays(make_learner, make_batch) -> None:
    learner = make_learner(with_budget(0.25))
    learner.hold_out(make_batch(16, seed=1))
    learner.leash.follow(learner.actor)
    moved_away(learner, 0.25)
    before = float(torch.as_tensor(learner.leash.weight))
    for _ in range(3 * EVERY):
        learner.leash.follow(learner.actor)
    assert float(torch.as_tensor(learner.leash.weight)) == pytest.approx(before, rel=1e-4)


def test_far_beyond_the_budget_the_policy_only_imitates(make_learner, make_batch) -> None:
    learner, batch = make_learner(with_budget()), make_batch()
    learner.hold_out(make_batch(16, seed=1))
    learner.update_policy(batch)
    assert learner.leash.seeks_value == 1
    moved_away(learner, 10 * PAUSE * 0.1)
    for _ in range(EVERY):
        learner.leash.follow(learner.actor)
    assert learner.leash.seeks_value == 0
    actors = []
    for reward in (0.0, 5.0):  # the same policy, other critics
        other = make_learner(with_budget())
        other.hold_out(make_batch(16, seed=1))
        other.load_state_dict(copy.deepcopy(learner.state_dict()))
        with torch.no_grad():
            other.critics.critic.head.weight.mul_(1 + reward)
        other.update_policy(batch)
        actors.append(other.actor.state_dict())
    assert all(torch.equal(actors[0][name], actors[1][name]) for name in actors[0])


def test_measuring_changes_neither_networks_nor_random_numbers(make_learner, make_batch) -> None:
    with_rows, without = make_learner(with_budget(None)), make_learner(with_budget(None))
    with_rows.hold_out(make_batch(16, seed=1))
    for learner in (with_rows, without):
        torch.manual_seed(3)
        for _ in range(EVERY + 1):
            OFFLINE.update(learner, make_batch())
    ours, theirs = with_rows.actor.state_dict(), without.actor.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_without_a_budget_lambda_is_what_was_set(make_learner, make_batch) -> None:
    learner = make_learner(with_budget(None, weight=0.3))
    learner.hold_out(make_batch(16, seed=1))
    metrics = learner.update_policy(make_batch())
    assert learner.leash.weight == 0.3
    assert "actor/drift" in metrics and "actor/lambda" not in metrics


def test_a_learner_goes_on_where_its_lambda_stood(make_learner, make_batch) -> None:
    one, other = (make_learner(with_budget(0.01)) for _ in range(2))
    for learner in (one, other):
        learner.hold_out(make_batch(16, seed=1))
    for _ in range(EVERY + 2):
        OFFLINE.update(one, make_batch())
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for learner in (one, other):
        torch.manual_seed(5)
        for _ in range(EVERY + 1):
            OFFLINE.update(learner, make_batch())
    assert one.leash.weight == other.leash.weight != 1.0
    ours, theirs = one.actor.state_dict(), other.actor.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_budget_without_held_out_data_is_refused(make_learner, make_batch) -> None:
    with pytest.raises(ValueError, match="held_out_share"):
        make_learner(with_budget()).update_policy(make_batch())
    with pytest.raises(ValueError, match="set held_out_share too"):
        OfflineStages(learner=with_budget()).check()


def test_the_likelihood_is_told_per_number_and_for_flows_and_gaussians_only(
    make_learner, make_batch
) -> None:
    learner, rows = make_learner(), make_batch(16, seed=1)
    assert learner.leash.likelihood(learner.actor) == {}
    learner.hold_out(rows)
    (value,) = learner.leash.likelihood(learner.actor).values()
    assert -20 < value < 20
    learner.actor.flow = torch.nn.Identity()
    assert learner.leash.likelihood(learner.actor) == {}


def test_a_fresh_leash_without_rows_has_nothing_to_tell(make_learner) -> None:
    assert Leash(0.1, None).follow(make_learner().actor) == {}


# What is held out ---------------------------------------------------------------------------------


def episodes() -> dict:
    outcomes = ("success", "failure") * 6
    return {str(number): episode(number, outcome=o) for number, o in enumerate(outcomes)}


def stages(**settings: object) -> OfflineStages:
    spec = ChunkSpec(history=1, prefix=1, horizon=4, history_keys=())
    return OfflineStages(batch_size=64, rl_batch_size=64, spec=spec, **settings)


def sampler_of(run: OfflineStages) -> OfflineSampler:
    found = episodes()
    scale: Normalizer = fit_normalizer(found.values(), {"state": 3, "goal": 1}, 1e-3, run.spec)
    return OfflineSampler(run, found, scale)


def test_held_out_episodes_are_successes_where_only_those_are_imitated() -> None:
    found = episodes()
    names = held_out_names(stages(successes_only=True, held_out_share=0.34), found)
    assert len(names) == 2 and all(found[name].outcome == "success" for name in names)
    assert names == held_out_names(stages(successes_only=True, held_out_share=0.34), found)
    assert len(held_out_names(stages(held_out_share=0.01), found)) == 1
    drawn = {held_out_names(stages(seed=s, held_out_share=0.2), found) for s in range(8)}
    assert len(drawn) > 1, "another seed holds other episodes out"


def test_nothing_is_held_out_by_default() -> None:
    assert held_out_names(stages(), episodes()) == frozenset()
    assert sampler_of(stages()).held_out() is None


def test_nobody_imitates_what_is_held_out() -> None:
    sampler = sampler_of(stages(held_out_share=0.25))
    rows = sampler.held_out()
    assert rows is not None and bool(rows.imitate.all())
    kept = {tuple(chunk.flatten().tolist()) for chunk in rows.chunk}
    for stage in (IMITATION, OFFLINE):
        imitated, seen = set(), set()
        for _ in range(8):
            batch = sampler.draw(stage)
            for row, chunk in enumerate(batch.chunk):
                number = tuple(chunk.flatten().tolist())
                seen.add(number)
                if batch.imitate[row]:
                    imitated.add(number)
        assert not imitated & kept
        assert seen & kept, "critics learn from them"


def test_a_share_that_leaves_nothing_is_refused() -> None:
    one = {"0": episode(0)}
    with pytest.raises(ValueError, match="leaves none of 1 episodes"):
        held_out_names(stages(held_out_share=0.5), one)
    with pytest.raises(ValueError, match="held_out_share"):
        stages(held_out_share=1.0)
