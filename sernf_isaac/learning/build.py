"""A learner around fresh networks, or around networks that are there already."""

from collections.abc import Callable
from dataclasses import replace

import torch

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.per_step import PerStepLearner
from sernf_isaac.models.actor_critic import Actor, Critics
from sernf_isaac.models.build import build_actor, build_critics
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

DrawSteps = Callable[[int], ChunkBatch]
"""So many single steps, scaled for the networks."""


def build_learner(
    layout: PolicyLayout,
    config: LearnerConfig,
    draw_steps: DrawSteps | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Learner:
    """A learner with fresh networks; the same layout gives the same weights.

    Args:
        layout: What the networks are built from; its seed is also that of weights and candidates.
        config: Hyperparameters; its `policy` and `critic` are the layout's.
        draw_steps: What critics of the kind "per_step" learn from.
        device: Where to train.

    Raises:
        ValueError: As `learner_of`.
    """
    torch.manual_seed(layout.seed)
    actor = build_actor(layout)
    critics = build_critics(layout, actor)
    return learner_of(actor, critics, config, draw_steps, seed=layout.seed, device=device)


def learner_of(
    actor: Actor,
    critics: Critics,
    config: LearnerConfig,
    draw_steps: DrawSteps | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Learner:
    """The learner of these networks; other arguments as for `build_learner`.

    Raises:
        ValueError: If critics of the kind "per_step" have no single steps to learn from.
    """
    if config.critic.kind == "chunk":
        return Learner(actor, critics, config, seed=seed, device=device)
    if draw_steps is None:
        raise ValueError(
            f"critic.kind = {config.critic.kind!r} learns from single steps, which this data "
            "source does not offer; take 'chunk'"
        )
    return PerStepLearner(actor, critics, config, draw_steps, seed=seed, device=device)


def learner_from(
    first: ChunkPolicy,
    config: LearnerConfig,
    draw_steps: DrawSteps | None = None,
    *,
    fresh_critics: bool,
    noise_std: float,
    seed: int,
    device: torch.device | str = "cpu",
) -> tuple[Learner, ChunkPolicy]:
    """The learner that goes on with a policy, and the policy that shares its networks.

    Args:
        first: Its networks are changed, its scaling and reflex stay.
        config: Hyperparameters; `policy` is the policy's, and so is a sigma that is null.
        draw_steps: As for `build_learner`.
        fresh_critics: Make critics as `config.critic` says; else those of the policy are kept,
            whatever their size, where it has any.
        noise_std: Noise on imitated actions.
        seed: Of fresh critics, candidates and noise.
        device: Where to train.

    Raises:
        ValueError: As `learner_of`.
    """
    kept = None if fresh_critics else first.critics
    critic = config.critic if kept is None else first.layout.critic
    sigma = first.sigma if config.improvement.sigma is None else config.improvement.sigma
    layout = replace(first.layout, critic=critic)
    config = replace(
        config,
        policy=layout.policy,
        critic=critic,
        improvement=replace(config.improvement, sigma=sigma),
    )
    first.actor.flow.noise_std = noise_std
    torch.manual_seed(seed)
    critics = build_critics(layout, first.actor) if kept is None else kept
    learner = learner_of(first.actor, critics, config, draw_steps, seed=seed, device=device)
    return learner, first.with_networks(layout, learner.acting, learner.critics, sigma)
