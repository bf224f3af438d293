"""Puts policy and critics together from configuration and the sizes found in the data."""

from collections.abc import Mapping
from typing import cast

from torch import nn

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.models.actor_critic import PREFIX, Actor, Judge
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.models.baselines.act import ActPolicy
from sernf_isaac.models.baselines.flow_matching import FlowMatchingPolicy, PrefixApart
from sernf_isaac.models.baselines.gaussian import GaussianPolicy, width_for
from sernf_isaac.models.baselines.per_step import judge_first_actions, single_steps
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.encoders import ObservationEncoder, TokenGroup
from sernf_isaac.models.eyes import build_eyes, eye_of
from sernf_isaac.models.flow import FlowPolicy


def token_groups(
    features: Mapping[str, int], spec: ChunkSpec, action_dim: int
) -> dict[str, TokenGroup]:
    """The encoder's groups: what is observed, as history or as of now, then the queued actions.

    Args:
        features: F of each observation group.
        spec: Says which groups are histories, and how many actions are queued.
        action_dim: A.
    """
    groups = {
        name: TokenGroup(size, steps=spec.history, first_step=1 - spec.history)
        if name in spec.history_keys
        else TokenGroup(size)
        for name, size in features.items()
    }
    if spec.prefix:
        groups[PREFIX] = TokenGroup(action_dim, steps=spec.prefix)
    return groups


def build_encoder(
    groups: Mapping[str, TokenGroup],
    token_dim: int,
    vision: VisionConfig | None = None,
    lender: ObservationEncoder | None = None,
) -> ObservationEncoder:
    """A fresh encoder of numbers, and of the cameras if there are any.

    Args:
        groups: From `token_groups`.
        token_dim: D.
        vision: The cameras and what reads them; None: no cameras.
        lender: The policy's encoder, from which critics borrow frozen backbones.
    """
    if vision is None or not vision.cameras:
        return ObservationEncoder(groups, token_dim=token_dim)
    eyes = build_eyes(vision, token_dim, lender.backbones if lender else None)
    return ObservationEncoder(groups, token_dim=token_dim, backbones=eyes, cameras=eye_of(vision))


def build_actor(
    config: PolicyConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
    seed: int,
    *,
    vision: VisionConfig | None = None,
) -> Actor:
    """A fresh policy; weights come from torch's generator, partitions from `seed`."""
    flow = FlowPolicy(
        action_dim,
        spec.horizon,
        config.token_dim,
        config.width,
        num_couplings=config.num_couplings,
        num_heads=config.num_heads,
        dropout=config.imitation_dropout,
        noise_std=config.noise_std,
        bound_margin=config.bound_margin,
        clamp=config.clamp,
        seed=seed,
    )
    groups = token_groups(features, spec, action_dim)
    return Actor(build_encoder(groups, config.token_dim, vision), flow)


def build_judge(
    config: CriticConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
    *,
    vision: VisionConfig | None = None,
    lender: Actor | None = None,
) -> Judge:
    """Fresh critics; weights come from torch's generator, frozen backbones from `lender`."""
    critic = ChunkCritic(
        action_dim,
        spec.horizon,
        support=config.support,
        ensemble=config.ensemble,
        num_bins=config.num_bins,
        token_dim=config.token_dim,
        num_heads=config.num_heads,
        num_layers=config.num_layers,
        feedforward=config.feedforward,
        dropout=config.dropout,
        head=config.head,
        padding=config.padding,
        padding_bins=config.padding_bins,
    )
    groups = token_groups(features, spec, action_dim)
    owner = encoder_of(lender) if lender else None
    return Judge(build_encoder(groups, config.token_dim, vision, owner), critic)


def encoder_of(actor: Actor) -> ObservationEncoder:
    """The encoder of observations inside a policy, whatever is around it."""
    inner = getattr(actor.encoder, "encoder", actor.encoder)
    return cast("ObservationEncoder", inner)


def build_gaussian_actor(
    config: PolicyConfig,
    spec: ChunkSpec,
    features: Mapping[str, int],
    action_dim: int,
    *,
    parameters: int,
    vision: VisionConfig | None = None,
) -> Actor:
    """A fresh Gaussian policy with the flow's encoder and about `parameters` weights beside it."""
    groups = token_groups(features, spec, action_dim)
    encoder = build_encoder(groups, config.token_dim, vision)
    policy = GaussianPolicy(
        action_dim,
        spec.horizon,
        config.token_dim,
        width_for(parameters, config.token_dim, 2 * spec.horizon * action_dim),
        dropout=config.imitation_dropout,
        noise_std=config.noise_std,
    )
    return Actor(encoder, cast("FlowPolicy", policy))  # it has all of the flow that is used


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
