"""The builder of all networks: a layout in, a policy or its critics out.

Nothing else in the project makes a network from settings.
"""

from dataclasses import replace
from typing import cast

from torch import nn

from sernf_isaac.models.actor_critic import PREFIX, Actor, Critics
from sernf_isaac.models.baselines.act import ActPolicy
from sernf_isaac.models.baselines.flow_matching import FlowMatchingPolicy, PrefixApart
from sernf_isaac.models.baselines.gaussian import GaussianPolicy, width_for
from sernf_isaac.models.baselines.per_step import critics_of_first_actions, single_steps
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.encoders import ObservationEncoder, TokenGroup
from sernf_isaac.models.eyes import build_eyes, eye_of
from sernf_isaac.models.flow import FlowPolicy
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import Reflex


def build_actor(layout: PolicyLayout) -> Actor:
    """A fresh policy of the layout's kind; all kinds have the same encoder and one interface.

    Weights come from torch's generator, the flow's partitions from the layout's seed.
    """
    return _BUILD[layout.architecture.kind](layout)


def build_critics(layout: PolicyLayout, lender: Actor | None = None) -> Critics:
    """Fresh critics of the layout's kind; weights come from torch's generator.

    Args:
        layout: Sizes, support and kind.
        lender: The policy, from whose encoder frozen backbones are borrowed.

    Raises:
        ValueError: If the layout does not say which returns can occur.
    """
    config = layout.critic
    if config.support is None:
        raise ValueError("critic.support is not given: which returns can occur?")
    if config.kind == "per_step":
        layout = replace(layout, spec=single_steps(layout.spec))
    critics = Critics(
        _build_encoder(layout, config.token_dim, lender), _critic(layout, config.support)
    )
    return critics if config.kind == "chunk" else critics_of_first_actions(critics)


def _critic(layout: PolicyLayout, support: tuple[float, float]) -> ChunkCritic:
    config = layout.critic
    return ChunkCritic(
        layout.action_dim,
        layout.spec.horizon,
        support=support,
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


def build_reflex(layout: PolicyLayout) -> Reflex | None:
    """A fresh reflex, which corrects nothing yet; None where the layout has none.

    Raises:
        ValueError: If actions hold poses, or the policy sees cameras.
    """
    if not layout.reflex.bound:
        return None
    spec = layout.spec
    if spec.pose_frame is not None or layout.architecture.vision.cameras:
        raise ValueError("a reflex is for actions without poses and policies without cameras")
    return Reflex(
        layout.features, spec.history, tuple(spec.history_keys), layout.action_dim, layout.reflex
    )


def encoder_of(actor: Actor) -> ObservationEncoder:
    """The encoder of observations inside a policy, whatever is around it."""
    inner = getattr(actor.encoder, "encoder", actor.encoder)
    return cast("ObservationEncoder", inner)


def token_groups(layout: PolicyLayout) -> dict[str, TokenGroup]:
    """The encoder's groups: what is observed, as history or as of now, then the queued actions."""
    spec = layout.spec
    groups = {
        name: TokenGroup(size, steps=spec.history, first_step=1 - spec.history)
        if name in spec.history_keys
        else TokenGroup(size)
        for name, size in layout.features.items()
    }
    if spec.prefix:
        groups[PREFIX] = TokenGroup(layout.action_dim, steps=spec.prefix)
    return groups


def _build_encoder(
    layout: PolicyLayout, token_dim: int, lender: Actor | None = None, *, queued: bool = True
) -> ObservationEncoder:
    """A fresh encoder of numbers, and of the cameras if there are any.

    Args:
        layout: Says what is observed.
        token_dim: D.
        lender: As for `build_critics`.
        queued: Whether it sees the queued actions.
    """
    groups, vision = token_groups(layout), layout.architecture.vision
    if not queued:
        groups.pop(PREFIX, None)
    if not vision.cameras:
        return ObservationEncoder(groups, token_dim=token_dim)
    eyes = build_eyes(vision, token_dim, encoder_of(lender).backbones if lender else None)
    return ObservationEncoder(groups, token_dim=token_dim, backbones=eyes, cameras=eye_of(vision))


def _flow(layout: PolicyLayout) -> Actor:
    config = layout.policy
    flow = FlowPolicy(
        layout.action_dim,
        layout.spec.horizon,
        config.token_dim,
        config.width,
        num_couplings=config.num_couplings,
        num_heads=config.num_heads,
        dropout=config.imitation_dropout,
        noise_std=config.noise_std,
        bound_margin=config.bound_margin,
        clamp=config.clamp,
        zero_init=config.zero_init,
        base=config.base,
        scale_limit=config.scale_limit,
        mixing=config.mixing,
        seed=layout.seed,
    )
    return Actor(_build_encoder(layout, config.token_dim), flow)


def _gaussian(layout: PolicyLayout) -> Actor:
    """With about as many weights as the flow of the same layout."""
    config, numbers = layout.policy, layout.spec.horizon * layout.action_dim
    size = sum(parameter.numel() for parameter in _flow(layout).flow.parameters())
    encoder = _build_encoder(layout, config.token_dim)
    policy = GaussianPolicy(
        layout.action_dim,
        layout.spec.horizon,
        config.token_dim,
        width_for(size, config.token_dim, 2 * numbers),
        dropout=config.imitation_dropout,
        noise_std=config.noise_std,
    )
    return _actor(encoder, policy)


def _act(layout: PolicyLayout) -> Actor:
    config, sizes = layout.policy, layout.architecture.act
    policy = ActPolicy(
        layout.action_dim,
        layout.spec.horizon,
        config.token_dim,
        state_tokens=sum(group.steps or 1 for group in token_groups(layout).values()),
        num_heads=sizes.num_heads,
        num_layers=sizes.num_layers,
        feedforward=sizes.feedforward,
        style_dim=sizes.style_dim,
        kl_weight=sizes.kl_weight,
        dropout=config.imitation_dropout,
    )
    return _actor(_build_encoder(layout, config.token_dim), policy)


def _flow_matching(layout: PolicyLayout) -> Actor:
    """Its encoder leaves queued actions to the network itself."""
    config, sizes = layout.policy, layout.architecture.flow_matching
    policy = FlowMatchingPolicy(
        layout.action_dim,
        layout.spec.horizon,
        layout.spec.prefix,
        config.token_dim,
        num_heads=sizes.num_heads,
        num_layers=sizes.num_layers,
        feedforward=sizes.feedforward,
        steps=sizes.steps,
        dropout=config.imitation_dropout,
    )
    return _actor(PrefixApart(_build_encoder(layout, config.token_dim, queued=False)), policy)


def _actor(encoder: nn.Module, policy: nn.Module) -> Actor:
    return Actor(encoder, cast("FlowPolicy", policy))  # it has all of the flow that is used


_BUILD = {"flow": _flow, "gaussian": _gaussian, "act": _act, "flow_matching": _flow_matching}
"""By `architecture.KINDS`."""
