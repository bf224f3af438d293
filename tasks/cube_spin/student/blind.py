"""A student with a camera as the beginning of one without: its pose inputs are cut off.

A pose at the middle of its range adds nothing to a linear layer, so the student that is left
behaves as if the object rested at the middle of where it is usually seen.
"""

from dataclasses import replace

import torch
from torch import Tensor

from sernf_isaac.models.build import build_actor, build_reflex, encoder_of
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import Reflex, ReflexConfig
from sernf_isaac.policy import ChunkPolicy
from tasks.cube_spin.student.environment import student_features
from tasks.cube_spin.student.policy import student_normalizer
from tasks.orca.description import Hand

GROUP = "history"
"""The group that holds the pose."""


def without_camera(
    policy: ChunkPolicy, hand: Hand, history: int, reflex: ReflexConfig
) -> ChunkPolicy:
    """A student that sees joint angles, commands and goal, with the weights of one that sees more.

    Args:
        policy: With a camera; stays as it is. Its critics are left behind, since they saw the pose.
        hand: Which hand both are for.
        history: O, steps that the new one sees.
        reflex: Of the new one; begins with the old one's weights where both are of one size.

    Raises:
        ValueError: If the new one would see fewer steps than the old one.
    """
    old = policy.layout
    if history < old.spec.history:
        raise ValueError(
            f"spec.history ({history}) must be at least the {old.spec.history} steps that the "
            "first student sees"
        )
    features = student_features(hand, camera=False)
    spec = replace(old.spec, history=history)
    layout = replace(old, features=features, spec=spec, reflex=reflex)
    actor = build_actor(layout).to(policy.device)
    seen = features[GROUP]
    weights = dict(policy.actor.state_dict())
    name = _name_of(policy)
    weights[name] = weights[name][:, :seen].clone()
    actor.load_state_dict(weights)
    scale = student_normalizer(hand, camera=False).to(policy.device)
    correct = build_reflex(layout)
    if correct is not None and policy.reflex is not None and reflex == old.reflex:
        correct.load_state_dict(_reflex_weights(policy.reflex, old, layout))
    moved = None if correct is None else correct.to(policy.device)
    return ChunkPolicy(layout, actor, None, scale, sigma=policy.sigma, reflex=moved)


def _name_of(policy: ChunkPolicy) -> str:
    """Of the weight that reads the history, among those of the actor."""
    wanted = encoder_of(policy.actor).inputs[GROUP].weight
    return next(name for name, value in policy.actor.named_parameters() if value is wanted)


def _reflex_weights(first: Reflex, old: PolicyLayout, new: PolicyLayout) -> dict[str, Tensor]:
    """Its weights with the poses' columns cut off, and none for the steps that are new."""
    weights = dict(first.state_dict())
    before = list(old.features)[: list(old.features).index(GROUP)]
    assert not before, "the history comes first"
    read = old.spec.history * old.features[GROUP]
    wide = weights["layers.0.weight"]
    rows = wide[:, :read].unflatten(1, (old.spec.history, old.features[GROUP]))
    kept = rows[:, :, : new.features[GROUP]].flatten(1)
    none = wide.new_zeros(len(wide), new.spec.history * new.features[GROUP] - kept.shape[1])
    weights["layers.0.weight"] = torch.cat([none, kept, wide[:, read:]], dim=1)
    return weights
