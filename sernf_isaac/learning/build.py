"""A learner with fresh networks."""

from collections.abc import Callable, Mapping

import torch

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.windows import ChunkBatch, ChunkSpec
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.per_step import PerStepLearner
from sernf_isaac.models.actor_critic import Actor, Judge
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.models.build import build_any_actor, build_any_judge

DrawSteps = Callable[[int], ChunkBatch]
"""So many single steps, scaled for the networks."""


def build_learner(
    config: LearnerConfig,
    spec: ChunkSpec,
    *,
    features: Mapping[str, int],
    action_dim: int,
    architecture: Architecture | None = None,
    draw_steps: DrawSteps | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Learner:
    """A learner with fresh networks; the same seed gives the same weights.

    Args:
        config: Sizes and hyperparameters.
        spec: How decisions are cut out of time.
        features: F of each observation group, (B, O, F) or (B, F).
        action_dim: A.
        architecture: Kind of the policy, and its cameras; by default a flow without cameras.
        draw_steps: What critics of the kind "per_step" learn from.
        seed: Seed of weights, partitions and candidates.
        device: Where to train.

    Raises:
        ValueError: As `learner_of`.
    """
    architecture = architecture or Architecture()
    torch.manual_seed(seed)
    sizes = (spec, features, action_dim)
    actor = build_any_actor(architecture, config.policy, *sizes, seed=seed)
    judge = build_any_judge(config.critic, *sizes, vision=architecture.vision, lender=actor)
    return learner_of(actor, judge, config, draw_steps, seed=seed, device=device)


def learner_of(
    actor: Actor,
    judge: Judge,
    config: LearnerConfig,
    draw_steps: DrawSteps | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Learner:
    """The learner of these networks; arguments as for `build_learner`.

    Raises:
        ValueError: If critics of the kind "per_step" have no single steps to learn from.
    """
    if config.critic.kind == "chunk":
        return Learner(actor, judge, config, seed=seed, device=device)
    if draw_steps is None:
        raise ValueError(
            f"critic.kind = {config.critic.kind!r} learns from single steps, which this data "
            "source does not offer; take 'chunk'"
        )
    return PerStepLearner(actor, judge, config, draw_steps, seed=seed, device=device)
