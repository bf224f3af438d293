"""Pieces of long play episodes: the ways to success, which relabelled data hold but seldom show."""

from dataclasses import replace

import numpy as np

from sernf_isaac.data.episode import Episode


def ways_to_success(episode: Episode, *, before: int, shortest: int = 20) -> list[Episode]:
    """The steps up to each termination in relabelled data, as episodes that end there.

    A state that stays solved terminates at every step; only the first of these counts.

    Args:
        episode: In which the robot goes on after reaching a goal.
        before: Steps to keep before the goal, fewer where another one was reached.
        shortest: Leave out what is shorter.
    """
    over = episode.terminated
    ends = np.flatnonzero(over & ~np.concatenate([[False], over[:-1]]))
    found = []
    for end in ends.tolist():
        earlier = np.flatnonzero(over[:end])
        start = max(end - before, earlier[-1] + 1 if earlier.size else 0)
        if end + 1 - start >= shortest:
            found.append(_piece(episode, slice(start, end + 1)))
    return found


def _piece(episode: Episode, steps: slice) -> Episode:
    after = steps.stop
    final = episode.final_observation
    if after < len(episode):
        final = {name: value[after] for name, value in episode.observation.items()}
    flags = ("decision", "intervened", "overridden")
    return replace(
        episode,
        observation={name: value[steps] for name, value in episode.observation.items()},
        action=episode.action[steps],
        reward=episode.reward[steps],
        terminated=episode.terminated[steps],
        truncated=np.zeros(0, bool),
        final_observation=final,
        planned=np.zeros(0, np.float32),
        outcome="success",
        **{name: getattr(episode, name)[steps] for name in flags},
    )
