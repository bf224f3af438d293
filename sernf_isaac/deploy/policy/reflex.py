"""A policy's reflex on the robot: asked at every step, in the process that sends the actions."""

from collections.abc import Callable
from pathlib import Path

import torch

from sernf_isaac.deploy.protocols import Array
from sernf_isaac.policy import load_policy

Correct = Callable[[dict[str, Array], Array], Array]
"""Newest groups (O, F) or (F,) and the next action (A,) to the action (A,) to execute."""


def load_reflex(path: Path | str) -> Correct | None:
    """What corrects single actions of a policy file, on the CPU; None if it has no reflex.

    Raises:
        FileNotFoundError, ValueError: As `load_policy`.
    """
    policy, _ = load_policy(path)
    if policy.reflex is None:
        return None

    def correct(observation: dict[str, Array], action: Array) -> Array:
        seen = {name: torch.from_numpy(observation[name])[None] for name in policy.layout.features}
        return policy.correct(seen, torch.from_numpy(action)[None])[0].numpy()

    return correct
