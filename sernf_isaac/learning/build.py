"""A learner with fresh networks."""

from collections.abc import Mapping

import torch

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.learning.learner import Learner
from sernf_isaac.models.build import build_actor, build_judge


def build_learner(
    config: LearnerConfig,
    spec: ChunkSpec,
    *,
    features: Mapping[str, int],
    action_dim: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Learner:
    """A learner with fresh networks; the same seed gives the same weights.

    Args:
        config: Sizes and hyperparameters.
        spec: How decisions are cut out of time.
        features: F of each observation group, (B, O, F) or (B, F).
        action_dim: A.
        seed: Seed of weights, partitions and candidates.
        device: Where to train.
    """
    torch.manual_seed(seed)
    actor = build_actor(config.policy, spec, features, action_dim, seed)
    judge = build_judge(config.critic, spec, features, action_dim)
    return Learner(actor, judge, config, seed=seed, device=device)
