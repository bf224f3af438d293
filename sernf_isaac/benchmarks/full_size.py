"""Networks and batches of the paper's size, or small ones to try a measurement with."""

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.config import CriticConfig, LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.learner import Learner
from sernf_isaac.models.actor_critic import Observation
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

FEATURES, ACTION_DIM = {"history": 48, "last_action": 17, "goal": 4}, 17
"""Sizes that give the paper's cube task: 17 joints, and 8 tokens with the default `ChunkSpec`."""
SMALL = (
    PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2),
    CriticConfig(token_dim=16, num_heads=2, num_layers=2, feedforward=16),
)


def full_size(device: str, *, small: bool = False, bf16: bool = False) -> Learner:
    """The paper's networks, moved away from their start: fresh couplings are the identity.

    Args:
        device: Where they are.
        small: Tiny networks instead.
        bf16: As `OptimizerConfig.bf16`.
    """
    policy, critic = SMALL if small else (PolicyConfig(), CriticConfig())
    config = LearnerConfig(policy, critic, OptimizerConfig(bf16=bf16))
    learner = build_learner(_layout(config), config, device=device)
    with torch.no_grad():
        for parameter in learner.actor.flow.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return learner


def policy_of(learner: Learner) -> ChunkPolicy:
    """The learner's networks as a machine runs them; units are those of the networks."""
    sizes = FEATURES | {ACTION: ACTION_DIM}
    ends = {name: (-np.ones(size), np.ones(size)) for name, size in sizes.items()}
    normalizer, config = Normalizer(ends).to(learner.device), learner.config
    return ChunkPolicy(
        _layout(config), learner.actor, learner.critics, normalizer, sigma=sigma_of(config)
    )


def random_batch(size: int, device: str) -> ChunkBatch:
    """A batch of so many rows; the same numbers each time."""
    spec, draw = ChunkSpec(), torch.Generator().manual_seed(size)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(size, *shape, generator=draw) - 1

    def observation() -> Observation:
        steps = {name: (spec.history,) if name in spec.history_keys else () for name in FEATURES}
        return {name: uniform(*steps[name], count) for name, count in FEATURES.items()}

    return ChunkBatch(
        observation=observation(),
        prefix=uniform(spec.prefix, ACTION_DIM),
        chunk=uniform(spec.horizon, ACTION_DIM),
        reward=uniform(),
        discount=torch.full((size,), spec.discount**spec.horizon),
        next_observation=observation(),
        next_prefix=uniform(spec.prefix, ACTION_DIM),
        imitate=torch.ones(size, dtype=torch.bool),
        is_offline=torch.ones(size, dtype=torch.bool),
        succeeded=torch.ones(size, dtype=torch.bool),
    ).to(device)


def sigma_of(config: LearnerConfig) -> float:
    """The sigma of the default settings."""
    sigma = config.improvement.sigma
    assert sigma is not None, "the default settings have one"
    return sigma


def _layout(config: LearnerConfig) -> PolicyLayout:
    return PolicyLayout(FEATURES, ACTION_DIM, ChunkSpec(), config.policy, config.critic, seed=0)
