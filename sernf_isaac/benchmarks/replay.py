"""How fast replay gives batches of the cube task."""

import time

import numpy as np
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Replay

GROUPS = {"history": 24, "command": 34, "goal": 1}
"""Observations of the cube task's student."""
EPISODES, STEPS, ACTIONS = 12, 1200, 17


def replay_speed(batch_size: int = 512, batches: int = 40) -> float:
    """Batches of cube windows per second of one processor, from 12 minutes of robot data.

    Args:
        batch_size: Windows per batch.
        batches: How many to time.
    """
    replay = full_replay()
    replay.sample(batch_size)
    started = time.process_time()  # of this process, whatever else runs on the machine
    for _ in range(batches):
        replay.sample(batch_size)
    return batches / (time.process_time() - started)


def full_replay() -> Replay:
    """12 minutes of robot data, half of them offline."""
    rng, replay = np.random.default_rng(0), Replay(ChunkSpec(), torch.Generator().manual_seed(0))
    for number in range(EPISODES):
        replay.add(_episode(rng, is_offline=number % 2 == 0), str(number))
    return replay


def _episode(rng: np.random.Generator, *, is_offline: bool) -> Episode:
    return Episode(
        observation={name: rng.normal(size=(STEPS, size)) for name, size in GROUPS.items()},
        action=rng.uniform(-1, 1, (STEPS, ACTIONS)),
        reward=rng.integers(0, 2, STEPS).astype(float),
        terminated=np.arange(STEPS) == STEPS - 1,
        is_offline=is_offline,
    )
