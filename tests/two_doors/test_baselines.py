"""Baselines on two doors: through `FourStages`, and acting the way each of them acts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_two_doors import problem, tiny_run  # noqa: F401  (a fixture)

from sernf_isaac.learning.acting import acting
from sernf_isaac.learning.offline.config import as_baseline
from sernf_isaac.learning.online.in_memory import FourStages, Milestone, Problem
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.models.architecture import ActConfig, Architecture, FlowMatchingConfig
from tasks.two_doors.environment import ACTION_DIM, TwoDoors

SMALL = Architecture(
    act=ActConfig(num_heads=2, num_layers=1, feedforward=32, style_dim=4),
    flow_matching=FlowMatchingConfig(num_heads=2, num_layers=1, feedforward=32),
)


@pytest.mark.parametrize("kind", ["act", "flow_matching"])
def test_baselines_imitate_and_act(kind: str, problem: Problem, tmp_path: Path) -> None:  # noqa: F811
    run = as_baseline(replace(tiny_run(), architecture=SMALL), kind)
    run = replace(run, imitation_steps=10, warm_up_steps=3)
    seen: dict[str, Milestone] = {}
    stages = FourStages(run, problem, tmp_path, lambda at: seen.update({at.stage: at}))
    stages.train_offline()
    assert list(seen) == ["imitation", "warm_up"]
    policy, env = seen["imitation"].policy, TwoDoors(3, seed=0, max_steps=30)
    decide, spec = acting(policy, 1, seed=0)
    episodes = collect(env, decide, spec, hold=torch.zeros(ACTION_DIM))
    expected = 1 if kind == "act" else tiny_run().spec.horizon
    for episode in episodes:
        assert episode.decision.nonzero()[0].tolist() == list(range(0, len(episode), expected))
    judged = seen["warm_up"].policy.decide(
        env.reset(), torch.zeros(3, 0, ACTION_DIM), candidates=4, rank="value"
    )
    assert judged.shape == (3, run.spec.horizon, ACTION_DIM)
    with pytest.raises(ValueError, match="has no likelihood"):
        stages.train_online(env, hold=torch.zeros(ACTION_DIM))
