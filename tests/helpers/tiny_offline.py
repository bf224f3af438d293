"""An offline training small enough for a test, and episodes for it."""

import numpy as np

from sernf_isaac.config import CriticConfig, LearnerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.learning.offline import run as offline

STEPS = 6
"""Updates of each stage."""
TINY = LearnerConfig(
    policy=PolicyConfig(token_dim=16, width=16, num_couplings=4, num_heads=2),
    critic=CriticConfig(
        support=None, token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=21
    ),
)


def tiny_run(data: str) -> offline.OfflineRun:
    return offline.OfflineRun(
        data=[data],
        control_rate_hz=20.0,
        batch_size=8,
        rl_batch_size=8,
        imitation_steps=STEPS,
        warm_up_steps=STEPS,
        offline_steps=STEPS,
        spec=ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("state",)),
        learner=TINY,
        log_every=2,
        save_every=4,
    )


def episode(seed: int, *, outcome: str = "success", steps: int = 20) -> Episode:
    draw = np.random.default_rng(seed)
    return Episode(
        observation={"state": draw.normal(size=(steps, 3)), "goal": draw.normal(size=(steps, 1))},
        action=draw.uniform(-2, 5, (steps, 2)),
        reward=np.arange(steps) == steps - 1,
        terminated=np.arange(steps) == steps - 1,
        outcome=outcome,
    )
