"""A robot's run with a first policy, and a learner that is done in a moment."""

import numpy as np
import torch

from sernf_isaac.config import CriticConfig, ImprovementConfig, LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.store.channel import publish_checkpoint
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning.finetune.run import FinetuneRun
from sernf_isaac.models.build import build_actor
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import KIND, ChunkPolicy
from sernf_isaac.spec import Contract

SPEC = ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("state",))
FEATURES = {"state": 3, "goal": 1}
STEPS = 30
MINUTES = STEPS / 20 / 60
CRITIC = CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=11)


def commit(run, number: int, *, is_offline: bool) -> str:
    """An episode of which every number tells where it comes from."""
    rng = np.random.default_rng(number)
    state = rng.normal(0, 0.3, (STEPS, 3))
    episode = Episode(
        observation={"state": state, "goal": np.ones((STEPS, 1)), "log_pose": np.ones((STEPS, 7))},
        action=rng.uniform(-0.9, 0.9, (STEPS, 2)),
        reward=(rng.random(STEPS) < 0.2).astype(float),
        terminated=np.arange(STEPS) == STEPS - 1,
        is_offline=is_offline,
        outcome="failure",
    )
    with RunWriter(run, f"robot{number}") as writer:
        return writer.commit(episode)


def begin(folder):
    """A run with a first policy and three episodes of it."""
    run = folder / "run"
    create_run(run, {"task": "test", "control_rate_hz": 20.0})
    torch.manual_seed(1)
    size = PolicyConfig(16, 16, 2, 2, imitation_dropout=0.0, rl_dropout=0.0)
    layout = PolicyLayout(FEATURES, 2, SPEC, size, CRITIC, 0)
    ones = {name: (-np.ones(n), np.ones(n)) for name, n in FEATURES.items()}
    normalizer = Normalizer(ones | {ACTION: (-np.ones(2), np.ones(2))})
    actor = build_actor(layout)
    contract = Contract(KIND, "test", ("a", "b"), (-1, -1), (1, 1), 20.0, "xyzw", FEATURES, {})
    first = ChunkPolicy(layout, actor, None, normalizer, sigma=0.3)
    first.save(folder / "first.pt", contract, {})
    publish_checkpoint(run, folder / "first.pt", 0)
    for number in range(3):
        commit(run, number, is_offline=True)
    return run


def quick():
    """Settings of a learner that is done in a moment."""
    return FinetuneRun(
        minutes_per_iteration=MINUTES,
        updates_per_iteration=4,
        warm_up_iterations=1,
        offline_iterations=1,
        online_iterations=1,
        rl_batch_size=8,
        learner=LearnerConfig(critic=CRITIC, improvement=ImprovementConfig(sigma=None)),
        log_every=2,
        save_every=2,
    )
