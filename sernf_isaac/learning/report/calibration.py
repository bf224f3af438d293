"""What critics promise for the chunks of stored episodes, beside what was then earned."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.windows import cut, find_starts, gather
from sernf_isaac.learning.returns import returns_from, values_of
from sernf_isaac.policy import ChunkPolicy

MOST_DECISIONS = 512
"""Decisions that are judged, spread evenly over all of them."""
BINS = 10
BATCH = 64


@dataclass(frozen=True)
class Calibration:
    """N decisions of stored episodes, in the units of the rewards."""

    value: Array
    """(N,) of the executed chunk; the mean of the critics."""
    earned: Array
    """(N,) discounted rewards from the decision to the end of the episode."""
    succeeded: Array
    """(N,) bool: the episode's outcome was "success"."""
    cut_off: Array
    """(N,) bool: the episode was stopped from outside, so that its last decision counts as the
    critics value it."""

    @property
    def mean_error(self) -> float:
        """By how much critics promise too much; negative: too little."""
        return float((self.value - self.earned).mean())

    @property
    def root_mean_square_error(self) -> float:
        """Of the values."""
        return float(np.sqrt(np.square(self.value - self.earned).mean()))

    @property
    def rank_correlation(self) -> float:
        """1 where what is promised more always earned more, 0 where one says nothing of the other.

        NaN if all promise the same, or all earned the same.
        """
        ranks = [rankdata(values) for values in (self.value, self.earned)]
        if any(np.ptp(each) == 0 for each in ranks):
            return float("nan")
        return float(np.corrcoef(*ranks)[0, 1])

    def bins(self) -> list[tuple[float, float, int]]:
        """Mean value, mean of what was earned and count, from low values to high ones.

        As many decisions in each; fewer than ten decisions have a bin each.
        """
        order = np.argsort(self.value, kind="stable")
        parts = np.array_split(order, min(BINS, len(order)))
        return [(float(self.value[p].mean()), float(self.earned[p].mean()), len(p)) for p in parts]


def calibrate(
    policy: ChunkPolicy, episodes: Mapping[str, Episode], spec: ChunkSpec
) -> Calibration | None:
    """Judge decisions of these episodes; None if they hold no whole decision.

    Args:
        policy: With critics.
        episodes: In the units of the data.
        spec: How to cut them.
    """
    found = [
        _judged(policy, episodes[name], spec, index)
        for name, index in spread_evenly(episodes, spec, MOST_DECISIONS).items()
    ]
    if not found:
        return None
    return Calibration(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def spread_evenly(
    episodes: Mapping[str, Episode], spec: ChunkSpec, most: int
) -> dict[str, torch.Tensor]:
    """Numbers of at most so many windows, by episode; episodes without any are left out."""
    counts = [len(find_starts(episode, spec)) for episode in episodes.values()]
    total = sum(counts)
    if not total:
        return {}
    chosen = torch.linspace(0, total - 1, min(most, total)).round().long()
    ends = torch.tensor(counts).cumsum(0)
    part = torch.searchsorted(ends, chosen, right=True)
    return {
        name: chosen[part == number] - (ends[number] - counts[number])
        for number, name in enumerate(episodes)
        if bool((part == number).any())
    }


@torch.no_grad()
def _judged(
    policy: ChunkPolicy, episode: Episode, spec: ChunkSpec, index: torch.Tensor
) -> tuple[Array, Array, Array, Array]:
    """A row of `Calibration` per window with these numbers."""
    windows = cut(episode, spec)
    asked = torch.cat([index, torch.tensor([len(windows) - 1])])  # the last one stands for the rest
    values = torch.cat(
        [values_of(policy, gather(windows, part, spec)) for part in asked.split(BATCH)]
    )
    starts = (windows.row - (spec.history - 1)).numpy()
    earned = returns_from(episode, starts, float(values[-1]), spec.discount)[index.numpy()]
    count, stopped = len(index), not episode.terminated.any()
    return (
        values[:-1].double().numpy(),
        earned,
        np.full(count, episode.outcome == "success"),
        np.full(count, stopped),
    )
