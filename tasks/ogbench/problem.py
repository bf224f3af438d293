"""Relabelled play data as something to learn from: groups, scales, and more ways to success."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.importers.ogbench import load_ogbench
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.segments import ways_to_success
from sernf_isaac.learning.online.in_memory import Problem
from tasks.ogbench.environment import groups

WHOLE = "state"
"""Name of an observation before it is taken apart."""
WAY_STEPS, WAY_SHARE = 150, 0.33
"""Of the rows of stages II to IV that are offline data, this share is at most so many steps before
a success: few of the data are, and critics that see little else learn nothing else."""
STILL = 0.01
"""Observations that vary less than this, in OGBench's units, are not blown up."""


def problem_of(files: list[Path], sizes: tuple[int, int]) -> Problem:
    """Relabelled data as episodes, scaled by their range; actions are in [-1, 1] as they are.

    Raises:
        ValueError: If the data have other observations or actions than the environment.
    """
    episodes = {}
    for path in files:
        for index, episode in enumerate(load_ogbench(path, group=WHOLE)):
            found = (episode.observation[WHOLE].shape[1], episode.action_dim)
            if found != sizes:
                raise ValueError(f"{path} has sizes {found}, the environment {sizes}")
            episodes[f"{path.name}/{index}"] = _grouped(episode)
    parts, ends = groups(sizes[0]), np.ones(sizes[1])
    ranges = {
        name: _narrow(np.concatenate([e.observation[name] for e in episodes.values()]))
        for name in parts
    }
    normalizer = Normalizer(ranges | {ACTION: (-ends, ends)}, min_range=0)
    features = {name: part.stop - part.start for name, part in parts.items()}
    ways = [w for e in episodes.values() for w in ways_to_success(e, before=WAY_STEPS)]
    copies = round(WAY_SHARE / (1 - WAY_SHARE) * _steps(episodes.values()) / max(1, _steps(ways)))
    emphasised = {
        f"way {number}, copy {copy}": way
        for copy in range(copies)
        for number, way in enumerate(ways)
    }
    return Problem(episodes, normalizer, features, sizes[1], emphasised)


def _narrow(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half a standard deviation around the mean: wider numbers than rare extremes would leave.

    Critics find out where the goal is in two thirds of the updates that ranges of the data take.
    """
    mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), STILL)
    return mean - 0.5 * spread, mean + 0.5 * spread


def _steps(episodes: Iterable[Episode]) -> int:
    return sum(map(len, episodes))


def _grouped(episode: Episode) -> Episode:
    def parts_of(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not observation:  # a file without last states
            return {}
        whole = observation[WHOLE]
        return {name: whole[..., part] for name, part in groups(whole.shape[-1]).items()}

    return replace(
        episode,
        observation=parts_of(episode.observation),
        final_observation=parts_of(episode.final_observation),
    )
