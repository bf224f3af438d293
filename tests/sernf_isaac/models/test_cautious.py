"""Critics that foresee failure: what they veto, what they learn, and how they travel."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_offline import episode, tiny_run
from torch import Tensor

from sernf_isaac.config import CriticConfig, LearnerConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import failure_target
from sernf_isaac.learning.offline.run import train
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.models.cautious import CautiousCritic, with_caution
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.policy import load_policy

A, H, S, D = 2, 4, 2, 16


def critic(support: tuple[float, float]) -> ChunkCritic:
    sizes = {"token_dim": D, "num_heads": 2, "num_layers": 1, "feedforward": 16, "num_bins": 21}
    return ChunkCritic(A, H, support=support, **sizes)


class Told(CautiousCritic):
    """Values and risks that are told by the first number of each chunk's two first steps."""

    def __init__(self, margin: float) -> None:
        super().__init__(critic((0, 1)), critic((0, 1)), margin)
        self.critic.value_of_candidates = lambda c, _: c[None, :, :, 0, 0]  # type: ignore
        self.risk.value_of_candidates = lambda c, _: c[None, :, :, 1, 0]  # type: ignore


def candidates(values: list[float], risks: list[float]) -> Tensor:
    chunks = torch.zeros(1, len(values), H, A)
    chunks[0, :, 0, 0], chunks[0, :, 1, 0] = torch.tensor(values), torch.tensor(risks)
    return chunks


@pytest.mark.parametrize(
    ("risks", "best"),
    [
        ([0.1, 0.1, 0.1], 2),  # alike: the value decides
        ([0.1, 0.1, 0.5], 1),  # the best is too risky
        ([0.1, 0.35, 0.5], 0),  # so is the second
        ([0.8, 0.9, 0.9], 2),  # all are risky: none is riskier than others by the margin
    ],
)
def test_a_veto_is_for_what_is_riskier_than_the_surest(risks: list[float], best: int) -> None:
    values = Told(0.2).value_of_candidates(candidates([1.0, 2.0, 3.0], risks), torch.empty(0))
    assert values.isfinite().all()
    assert values[0, 0].argmax() == best


def test_values_of_chunks_that_are_not_rivals_stay_as_they_are() -> None:
    plain, tokens = critic((0, 1)).eval(), torch.randn(3, S, D)
    cautious = CautiousCritic(plain, critic((0, 1)), 0.1).eval()
    chunk = torch.rand(3, H, A)
    assert torch.equal(cautious.value(chunk, tokens), plain.value(chunk, tokens))


def test_failures_are_ends_without_success() -> None:
    target = failure_target(
        torch.tensor([0.0, 0.0, 0.9]),
        torch.tensor([True, False, False]),
        torch.tensor([0.7, 0.7, 0.7]),
    )
    assert target.tolist() == pytest.approx([0.0, 1.0, 0.7])


def cautious_learner(make_learner) -> Learner:
    config = LearnerConfig(critic=CriticConfig(veto=0.1))
    plain = make_learner(config)
    cautious = with_caution(plain.critics, critic((0.0, 1.0)), 0.1)
    return Learner(plain.actor, cautious, config)


def test_risk_is_learned_from_outcomes(make_learner, make_batch) -> None:
    """Chunks that begin upwards fail, others succeed; both end their episode."""
    learner = cautious_learner(make_learner)
    for group in learner.critic_optimizer.param_groups:
        group["lr"] = 3e-3
    for seed in range(150):
        batch: ChunkBatch = make_batch(64, seed=seed)
        batch.discount[:] = 0.0
        batch.succeeded = batch.chunk[:, 0, 0] < 0
        metrics = learner.update_critic(batch)
    assert {"risk/loss", "risk/mean", "critic/loss"} <= metrics.keys()
    batch = make_batch(256, seed=999)
    learner.critics.eval()
    tokens = learner.critics.encoder(seen(batch.observation, batch.prefix))
    risk = learner.critics.critic.risk_of_candidates(batch.chunk[:, None], tokens)[:, 0]
    fails = batch.chunk[:, 0, 0] > 0
    assert risk[fails].mean() > 0.75 and risk[~fails].mean() < 0.35
    assert bool(((risk >= 0) & (risk <= 1)).all())


def test_the_targets_of_risk_follow_the_critics(make_learner, make_batch) -> None:
    learner = cautious_learner(make_learner)
    risk = learner.target.critic.risk
    before = {name: weight.clone() for name, weight in risk.named_parameters()}
    learner.update_critic(make_batch())
    assert any(not torch.equal(before[name], now) for name, now in risk.named_parameters())


def test_a_policy_with_a_veto_travels_in_its_file(tmp_path: Path) -> None:
    create_run(tmp_path / "store", {"task": "test"})
    with RunWriter(tmp_path / "store", "robot") as writer:
        for seed in range(4):
            writer.commit(episode(seed, outcome="success" if seed % 2 else "failure"))
    run = tiny_run(str(tmp_path / "store"))
    run = replace(run, learner=replace(run.learner, critic=replace(run.learner.critic, veto=0.2)))
    policy, _ = load_policy(train(run, tmp_path / "run"))
    assert isinstance(policy.critics.critic, CautiousCritic)
    assert policy.critics.critic.margin == 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"veto": 1.0}, "critic.veto"), ({"veto": 0.1, "kind": "per_step"}, "critic.kind = 'chunk'")],
)
def test_vetoes_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CriticConfig(**settings)
