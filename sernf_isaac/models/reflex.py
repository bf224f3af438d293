"""A reflex behind a policy over chunks: corrects the next action from the newest observation.

A chunk answers what was seen some steps before it is executed. The reflex is a small network that
is asked at every step, and may move that step's action by a bounded amount. Likelihood and critics
stay those of chunks; what is recorded and learned from is the action that was executed. Not in the
paper; a residual head behind chunks is proposed in arXiv:2509.23224.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class ReflexConfig:
    """Size and reach of the reflex."""

    bound: float = 0.0
    """Largest correction of any number of an action, in the units of the data; for a hand in
    radians. 0: no reflex (the paper)."""
    width: int = 128
    """Of its two hidden layers."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.bound < float("inf"):
            raise ValueError(f"reflex.bound ({self.bound}) must be 0 or more, and finite")
        if self.width < 1:
            raise ValueError(f"reflex.width ({self.width}) must be at least 1")


class Reflex(nn.Module):
    """Corrections of actions; a fresh one corrects nothing.

    Args:
        features: F of each observation group.
        history: O of the groups in `history_keys`.
        history_keys: Groups that come as (N, O, F) instead of (N, F).
        action_dim: A.
        config: Size and reach.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        history: int,
        history_keys: tuple[str, ...],
        action_dim: int,
        config: ReflexConfig,
    ) -> None:
        super().__init__()
        self.names, self.bound = tuple(features), config.bound
        sizes = (size * (history if n in history_keys else 1) for n, size in features.items())
        last = nn.Linear(config.width, action_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(sum(sizes) + action_dim, config.width),
            nn.ELU(),
            nn.Linear(config.width, config.width),
            nn.ELU(),
            last,
        )

    def forward(self, observation: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """Corrections (N, A) in the units of the data, within the bound.

        Args:
            observation: Groups (N, O, F) or (N, F), scaled for networks.
            action: (N, A) the next action of the chunk, scaled for networks.
        """
        seen = [observation[name].flatten(1) for name in self.names]
        return self.bound * torch.tanh(self.layers(torch.cat([*seen, action], dim=1)))
