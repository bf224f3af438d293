"""A learner small enough for a test, on observations of three numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.models.actor_critic import Actor, Critics
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.flow import FlowPolicy

STATE, ACTION, HORIZON, PREFIX, WIDTH = 3, 2, 4, 1, 16


class TinyEncoder(nn.Module):
    """One token from the state, one from the prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.state = nn.Linear(STATE, WIDTH)
        self.prefix = nn.Linear(PREFIX * ACTION, WIDTH)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        queued = self.prefix(observation["prefix"].flatten(1))
        return torch.stack([self.state(observation["state"]), queued], dim=1)


@pytest.fixture
def make_learner() -> Callable[..., Learner]:
    def make(config: LearnerConfig | None = None, *, seed: int = 0) -> Learner:
        config = config or LearnerConfig()
        torch.manual_seed(seed)
        flow = FlowPolicy(ACTION, HORIZON, WIDTH, WIDTH, num_couplings=4, num_heads=2)
        critic = ChunkCritic(
            ACTION,
            HORIZON,
            support=(0.0, 1.0),
            num_bins=21,
            token_dim=WIDTH,
            num_heads=2,
            num_layers=1,
            feedforward=16,
        )
        actor, critics = Actor(TinyEncoder(), flow), Critics(TinyEncoder(), critic)
        return Learner(actor, critics, config, seed=seed)

    return make


@pytest.fixture
def make_batch() -> Callable[..., ChunkBatch]:
    def make(size: int = 8, *, seed: int = 0, offline: bool = True) -> ChunkBatch:
        draw = torch.Generator().manual_seed(seed)

        def uniform(*shape: int) -> Tensor:
            return 2 * torch.rand(shape, generator=draw) - 1

        return ChunkBatch(
            observation={"state": uniform(size, STATE)},
            prefix=uniform(size, PREFIX, ACTION),
            chunk=uniform(size, HORIZON, ACTION),
            reward=uniform(size).abs(),
            discount=torch.full((size,), 0.5),
            next_observation={"state": uniform(size, STATE)},
            next_prefix=uniform(size, PREFIX, ACTION),
            imitate=torch.ones(size, dtype=torch.bool),
            is_offline=torch.full((size,), offline),
            succeeded=torch.full((size,), offline),
        )

    return make
