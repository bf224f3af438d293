"""Baselines learn from the same data, behind the same interface, and come back from their files."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.config import CriticConfig, LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.acting import TemporalAggregation, every_step
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.offline.config import as_baseline
from sernf_isaac.metrics import read_metrics
from sernf_isaac.models.architecture import KINDS, ActConfig, Architecture, FlowMatchingConfig
from sernf_isaac.models.build import build_actor
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import load_policy

LEARNER = LearnerConfig(
    policy=PolicyConfig(token_dim=16, width=16, num_couplings=4, num_heads=2),
    critic=CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=21),
)
SMALL = Architecture(
    act=ActConfig(num_heads=2, num_layers=1, feedforward=16, style_dim=4),
    flow_matching=FlowMatchingConfig(num_heads=2, num_layers=1, feedforward=16),
)
SPEC = ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("state",))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("store") / "run"
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for seed in range(3):
            draw = np.random.default_rng(seed)
            state = draw.normal(size=(30, 3))
            writer.commit(Episode({"state": state}, np.tanh(state[:, :2]), np.zeros(30)))
    return run


def run_of(store: Path, kind: str) -> offline.OfflineRun:
    run = offline.OfflineRun(
        data=[str(store)],
        control_rate_hz=10.0,
        batch_size=32,
        rl_batch_size=8,
        imitation_steps=60,
        spec=SPEC,
        learner=LEARNER,
        architecture=SMALL,
        log_every=5,
        save_every=60,
    )
    rates = replace(LEARNER.optimizer, imitation_learning_rate=5e-3)
    return replace(
        as_baseline(run, kind),
        learner=replace(as_baseline(run, kind).learner, optimizer=rates),
        warm_up_steps=2,
        offline_steps=0,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_meets_critics_and_comes_back_from_its_file(
    store: Path, tmp_path: Path, kind: str
) -> None:
    run = run_of(store, kind)
    path = offline.train(run, tmp_path)
    losses = [value for _, value in read_metrics(tmp_path, "actor/bc")]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    policy, contract = load_policy(path)
    again, _ = load_policy(path)
    assert policy.layout.architecture.kind == kind
    assert contract.action["horizon"] == (20 if kind == "act" else 4)
    observation = {"state": torch.randn(5, 2, 3)}
    prefix = torch.zeros(5, run.spec.prefix, 2)
    for rank in ("likelihood", "value"):
        chunks = [
            p.decide(
                *(observation, prefix),
                candidates=3,
                rank=rank,
                generator=torch.Generator().manual_seed(0),
            )
            for p in (policy, again)
        ]
        assert chunks[0].shape == (5, run.spec.horizon, 2) and torch.equal(*chunks)


@pytest.mark.parametrize("kind", ["act", "flow_matching"])
def test_stage_three_is_refused_before_anything_starts(store: Path, tmp_path: Path, kind) -> None:
    run = replace(run_of(store, kind), offline_steps=10)
    with pytest.raises(ValueError, match=f"kind '{kind}' has no likelihood.*offline_steps=0"):
        offline.train(run, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_paper_changes_this_for_its_baselines_and_nothing_else() -> None:
    run = offline.OfflineRun(spec=SPEC, batch_size=7)
    act, matching = as_baseline(run, "act"), as_baseline(run, "flow_matching")
    assert (act.spec.horizon, act.spec.prefix, act.spec.history) == (20, 0, 2)
    assert matching.spec == SPEC and matching.learner.improvement.sigma == 1.0
    for changed in (act, matching):
        assert changed.learner.policy.imitation_dropout == 0.1
        assert changed.learner.optimizer == run.learner.optimizer and changed.batch_size == 7
        assert changed.offline_steps == changed.warm_up_steps == 0
    assert as_baseline(run, "flow") == run


def test_the_gaussian_is_as_large_as_the_flow() -> None:
    flow, gaussian = (
        build_actor(
            PolicyLayout(
                *({"state": 3}, 2, SPEC, LEARNER.policy, LEARNER.critic, 0),
                architecture=Architecture(kind=kind),
            )
        )
        for kind in ("flow", "gaussian")
    )
    sizes = [sum(p.numel() for p in actor.parameters()) for actor in (flow, gaussian)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"architecture.kind \('diffusion'\) must be one of"):
        Architecture(kind="diffusion")


def test_a_trained_act_policy_acts_at_every_step(store: Path, tmp_path: Path) -> None:
    run = replace(run_of(store, "act"), imitation_steps=2)
    policy, _ = load_policy(offline.train(run, tmp_path))
    aggregate = TemporalAggregation(partial(policy.decide, candidates=1, rank="likelihood"))
    states = torch.randn(3, 4, 2, 3)
    queue = torch.zeros(4, 0, 2)
    actions: list[Tensor] = [aggregate({"state": state}, queue) for state in states]
    assert every_step(run.spec).horizon == actions[0].shape[1] == 1
    first = policy.decide({"state": states[0]}, queue, candidates=1, rank="likelihood")
    second = policy.decide({"state": states[1]}, queue, candidates=1, rank="likelihood")
    torch.testing.assert_close(actions[0][:, 0], first[:, 0])
    weight = 1 / (1 + np.exp(-0.01))
    expected = weight * first[:, 1] + (1 - weight) * second[:, 0]
    torch.testing.assert_close(actions[1][:, 0], expected)
