"""How long the corrections in demonstrations last, beside the chunk that has to hold them.

What happens after a decision's observation is answered by the next decision, so by an action P + H
steps later at worst. A correction that begins and ends within that time cannot be learned as an
answer to what was seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from sernf_isaac.data.episode import Array, Episode

TREND = 4
"""Chunks (P + H) over which the moving mean of an action is taken; what is left is deviation."""
LAGS = 2
"""Chunks up to which deviations are compared with themselves."""
FEWEST_VALUES = 9
"""A dimension with fewer values, such as a gripper that opens and closes, only switches."""
LEAST_SHARE = 0.2
"""Of a deviation's variance that must be left one step later; with less it is noise."""


@dataclass(frozen=True)
class Corrections:
    """All times in control steps."""

    chunk: int
    """P + H."""
    autocovariance: Array
    """(dimensions, lags) of the deviations, relative to that after one step; without dimensions
    that only switch, hold still or hold nothing but noise."""
    width: float | None
    """Median over these dimensions of how long a deviation lasts: twice the time to half of its
    autocovariance, which for a bump is about its width at half of its height, times 1.4. None:
    there are no such dimensions."""
    interventions: tuple[int, ...] = ()
    """Lengths of the pieces in which a person took over."""


def measure_corrections(episodes: Iterable[Episode], chunk: int) -> Corrections:
    """Measure how long deviations of the actions from their trend last.

    Args:
        episodes: Those shorter than two chunks do not count.
        chunk: P + H.
    """
    kept = list(episodes)
    pieces = tuple(length for episode in kept for length in _runs(episode.intervened))
    actions = [np.asarray(e.action, np.float64) for e in kept if len(e) >= LAGS * chunk]
    rows = [] if not actions else list(filter(_is_no_noise, _autocovariances(actions, chunk)))
    if not rows:
        return Corrections(chunk, np.zeros((0, LAGS * chunk)), None, pieces)
    relative = np.array([row / row[1] for row in rows])
    width = 2.0 * float(np.median([_time_to_half(row) for row in relative]))
    return Corrections(chunk, relative, width, pieces)


def _autocovariances(actions: list[Array], chunk: int) -> Iterable[Array]:
    """(lags,) per dimension that moves and does more than switch."""
    for dimension in range(actions[0].shape[1]):
        series = [action[:, dimension] for action in actions]
        if len(np.unique(np.concatenate(series).round(6))) < FEWEST_VALUES:
            continue
        yield _autocovariance(series, chunk)


def _autocovariance(series: list[Array], chunk: int) -> Array:
    total, count = np.zeros(LAGS * chunk), np.zeros(LAGS * chunk)
    for values in series:
        deviation = values - uniform_filter1d(values, TREND * chunk + 1, mode="nearest")
        for lag in range(min(len(total), len(values))):
            total[lag] += deviation[lag:] @ deviation[: len(values) - lag]
            count[lag] += len(values) - lag
    return total / np.maximum(count, 1)


def _is_no_noise(autocovariance: Array) -> bool:
    return bool(autocovariance[1] > max(LEAST_SHARE * autocovariance[0], 0.0))


def _time_to_half(relative: Array) -> float:
    """First lag at which half is left, between steps; the greatest lag if that never happens."""
    below = np.flatnonzero(relative[1:] <= 0.5)
    if not below.size:
        return float(len(relative))
    lag = below[0] + 1
    before, here = relative[lag - 1 : lag + 1]
    return float(lag - 1 + (before - 0.5) / (before - here))


def _runs(flag: Array) -> list[int]:
    """Lengths of the pieces in which a flag is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flag.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()
