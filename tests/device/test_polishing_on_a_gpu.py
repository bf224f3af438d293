"""RL in simulation and the reflex on a GPU that is pretended: what waits, and what does not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_gpu import pretend_gpu
from tiny_polisher import Line, tiny_polisher

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.distill.memory import RolloutMemory
from sernf_isaac.learning.distill.reflex import ReflexLearner
from sernf_isaac.learning.workers import Workers
from sernf_isaac.models.build import build_actor, build_reflex
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import ChunkPolicy

FEATURES = {"history": 2, "goal": 1}
SPEC = ChunkSpec(history=2, prefix=1, horizon=4)
LOGGED = {
    # Whether all steps were finite, once a round; then the means of what is logged.
    "sernf_isaac/learning/descent.py:GuardedAdamW.skipped",
    "sernf_isaac/learning/online/polishing.py:Polisher._learn",
}


def played(steps: int = 30) -> Episode:
    place = np.linspace(-1, 1, steps, dtype=np.float32)[:, None]
    return Episode(
        observation={"place": place},
        final_observation={"place": place[-1]},
        action=place,
        reward=place[:, 0],
        is_offline=True,
    )


@pytest.mark.parametrize("stage", ["warm-up", "online"])
def test_updates_wait_for_nothing_but_logged_numbers(stage: str, tmp_path: Path) -> None:
    with pretend_gpu() as gpu:
        waits = []
        for updates in (1, 2):
            polisher = tiny_polisher(
                tmp_path, Line(1), device="cuda", updates_per_round=updates, warm_up_rounds=1
            )
            polisher.round = ("warm-up", "online").index(stage)
            polisher._remember("played", [played()])
            gpu.forget()
            polisher._learn()
            waits.append(dict(gpu.waits))
        assert waits[0] == waits[1], "as many for one update as for two"
        assert set(waits[0]) == LOGGED


def test_the_reflex_corrects_and_learns_where_the_policy_is() -> None:
    small = PolicyConfig(token_dim=8, width=8, num_couplings=2, num_heads=2)
    reflex = ReflexConfig(bound=0.1, width=8)
    layout = PolicyLayout(FEATURES, 2, SPEC, small, CriticConfig(), 0, reflex=reflex)
    ends = {name: (-torch.ones(n).numpy(), torch.ones(n).numpy()) for name, n in FEATURES.items()}
    scale = Normalizer(ends | {ACTION: ends["history"]})
    with pretend_gpu() as gpu:
        made = build_reflex(layout)
        assert made is not None
        actor = gpu.moved(build_actor(layout))
        policy = ChunkPolicy(layout, actor, None, scale.to("cuda"), reflex=gpu.moved(made))
        seen = {"history": torch.zeros(3, 2, 2, device="cuda")}
        seen["goal"] = torch.zeros(3, 1, device="cuda")
        action, done = torch.zeros(3, 2, device="cuda"), torch.zeros(3, device="cuda") > 0
        gpu.forget()
        assert policy.correct(seen, action).device.type == "cuda"
        assert not gpu.waits
        memory = RolloutMemory(SPEC, 6)
        for _ in range(6):
            memory.add(seen, action, action, done, queued=action)
        learner = ReflexLearner(policy, Workers())
        gpu.forget()
        told = learner.update(memory, 4, torch.Generator(), 1.0)
        assert told["reflex/loss"].device.type == "cuda"
        assert not gpu.waits
