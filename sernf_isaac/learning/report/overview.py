"""What the episodes of a training hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sernf_isaac.data.episode import OUTCOMES, Array, Episode
from sernf_isaac.data.sources import return_range

FAILED = ("failure", "timeout", "stopped")
"""Outcomes of episodes that did not do their task."""


@dataclass(frozen=True)
class Overview:
    """N episodes."""

    length_s: Array
    """(N,)"""
    total: Array
    """(N,) sum of the rewards."""
    outcome: tuple[str, ...]
    held_out: int
    """How many of them nobody imitates."""
    rewards: tuple[float, float]
    """Least and greatest reward of a step."""
    returns: tuple[float, float]
    """Range of the discounted rewards from any step on, 0 included."""
    ends: int
    """How many end by themselves, so that nothing follows."""

    @property
    def counts(self) -> dict[str, int]:
        """How many have which outcome; those that do not occur are left out."""
        found = {name: self.outcome.count(name) for name in OUTCOMES}
        return {name: count for name, count in found.items() if count}

    @property
    def failures(self) -> int:
        """How many did not do their task."""
        return sum(self.counts.get(name, 0) for name in FAILED)


def look_at(
    episodes: Mapping[str, Episode], held_out: Collection[str], rate_hz: float, discount: float
) -> Overview:
    """Count and measure episodes.

    Args:
        episodes: At least one.
        held_out: Names of those that nobody imitates.
        rate_hz: Control steps per second.
        discount: Per step.
    """
    kept = list(episodes.values())
    return Overview(
        length_s=np.array([len(episode) for episode in kept]) / rate_hz,
        total=np.array([float(episode.reward.sum()) for episode in kept]),
        outcome=tuple(episode.outcome for episode in kept),
        held_out=len(held_out),
        rewards=(
            min(float(episode.reward.min()) for episode in kept),
            max(float(episode.reward.max()) for episode in kept),
        ),
        returns=return_range(kept, discount),
        ends=sum(bool(episode.terminated.any()) for episode in kept),
    )
