"""Any kind of policy and critics: the method's own, or what they are compared with."""

from collections.abc import Mapping
from typing import cast

from torch import nn

from sernf_isaac.baselines.act import ActPolicy
from sernf_isaac.baselines.flow_matching import FlowMatchingPolicy, PrefixApart
from sernf_isaac.baselines.gaussian import build_gaussian_actor
from sernf_isaac.baselines.per_step import judge_first_actions, single_steps
from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.models.actor_critic import PREFIX, Actor, Judge
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.models.build import build_actor, build_encoder, build_judge, token_groups
from sernf_isaac.models.flow import FlowPolicy


def build_any_actor(
    architecture: Architecture,
    config: PolicyConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
    *,
    seed: int,
) -> Actor:
    """A fresh policy of the kind asked for, all with the same encoder and behind one interface.

    Args:
        architecture: Kind, sizes of the baselines, cameras.
        config: Width of the tokens, dropout, and the flow's sizes.
        spec: How decisions fall in time.
        features: F of each observation group that is no camera.
        action_dim: A.
        seed: Of the flow's partitions; weights come from torch's generator.
    """
    if architecture.kind == "act":
        return build_act_actor(architecture, config, spec, features, action_dim)
    if architecture.kind == "flow_matching":
        return build_flow_matching_actor(architecture, config, spec, features, action_dim)
    flow = build_actor(config, spec, features, action_dim, seed, vision=architecture.vision)
    if architecture.kind == "flow":
        return flow
    size = sum(parameter.numel() for parameter in flow.flow.parameters())
    sizes = (config, spec, features, action_dim)
    return build_gaussian_actor(*sizes, parameters=size, vision=architecture.vision)


def build_any_judge(
    config: CriticConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
    *,
    vision: VisionConfig | None = None,
    lender: Actor | None = None,
) -> Judge:
    """Fresh critics of the kind asked for; arguments are `build_judge`'s."""
    cut = spec if config.kind == "chunk" else single_steps(spec)
    judge = build_judge(config, cut, features, action_dim, vision=vision, lender=lender)
    return judge if config.kind == "chunk" else judge_first_actions(judge)


def build_act_actor(
    architecture: Architecture,
    config: PolicyConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
) -> Actor:
    """A fresh ACT policy with the flow's encoder."""
    groups, sizes = token_groups(features, spec, action_dim), architecture.act
    policy = ActPolicy(
        action_dim,
        spec.horizon,
        config.token_dim,
        state_tokens=sum(group.steps or 1 for group in groups.values()),
        num_heads=sizes.num_heads,
        num_layers=sizes.num_layers,
        feedforward=sizes.feedforward,
        style_dim=sizes.style_dim,
        kl_weight=sizes.kl_weight,
        dropout=config.imitation_dropout,
    )
    encoder = build_encoder(groups, config.token_dim, architecture.vision)
    return _actor(encoder, policy)


def build_flow_matching_actor(
    architecture: Architecture,
    config: PolicyConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
) -> Actor:
    """A fresh flow-matching policy; its encoder leaves queued actions to the network itself."""
    groups, sizes = token_groups(features, spec, action_dim), architecture.flow_matching
    groups.pop(PREFIX, None)
    policy = FlowMatchingPolicy(
        action_dim,
        spec.horizon,
        spec.prefix,
        config.token_dim,
        num_heads=sizes.num_heads,
        num_layers=sizes.num_layers,
        feedforward=sizes.feedforward,
        steps=sizes.steps,
        dropout=config.imitation_dropout,
    )
    encoder = PrefixApart(build_encoder(groups, config.token_dim, architecture.vision))
    return _actor(encoder, policy)


def _actor(encoder: nn.Module, policy: nn.Module) -> Actor:
    return Actor(encoder, cast("FlowPolicy", policy))  # it has all of the flow that is used
