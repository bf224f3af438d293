"""What people see of an episode when they label it, and how well two of them agree."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.labels import Label, newest_by_annotator, read_label, revisions
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.actor.recorder import POSE, SENT, TIMING, TIMING_FIELDS
from sernf_isaac.deploy.actor.rewards import QUARTER_RAD, progress, propose

GOAL = "goal"
TOLERANCE_STEPS = 5
"""Two people mean the same event if their marks are this close: a quarter of a second at 20 Hz."""


def list_episodes(reader: RunReader) -> list[dict]:
    """One line per committed episode, oldest first; JSON-ready."""
    found = []
    for commit in reader.commits():
        newest = read_label(reader.run, commit.id)
        found.append(
            {
                "id": commit.id,
                "steps": commit.steps,
                "policy": commit.policy,
                "outcome": commit.outcome,
                "revisions": len(revisions(reader.run, commit.id)),
                "annotator": newest.annotator if newest else None,
                "needs_label": not reader.may_train(commit),
            }
        )
    return found


def view_episode(reader: RunReader, commit: Commit, annotator: str = "") -> dict:
    """Curves, recorded rewards, proposals and the annotator's own label of an episode; JSON-ready.

    Args:
        reader: Of the run.
        commit: Of the episode.
        annotator: Who looks. Nobody is shown the marks of others, so that two people who label the
            same episode do so independently.

    Raises:
        ValueError: If the file is damaged, or was not recorded by a hand.
    """
    episode = reader.load(commit, labelled=False)
    if missing := [name for name in (POSE, SENT, TIMING) if name not in episode.observation]:
        raise ValueError(f"episode {commit.id} was not recorded by a hand: it lacks {missing}")
    poses, direction = episode.observation[POSE], direction_of(episode)
    sent, timing = episode.observation[SENT], episode.observation[TIMING]
    moved = np.abs(np.diff(sent, axis=0, prepend=sent[:1])).max(axis=1)
    own = newest_by_annotator(reader.run, commit.id).get(annotator)
    return {
        "id": commit.id,
        "steps": len(episode),
        "policy": episode.policy,
        "outcome": episode.outcome,
        "direction": direction,
        "quarters": (progress(poses, direction) / QUARTER_RAD).round(4).tolist(),
        "height_mm": (1e3 * poses[:, 2]).round(2).tolist(),
        "command_rad": moved.round(4).tolist(),
        "pose_age_s": timing[:, TIMING_FIELDS.index("pose_age_s")].round(4).tolist(),
        "underrun": timing[:, TIMING_FIELDS.index("underrun")].tolist(),
        "decision": np.flatnonzero(episode.decision).tolist(),
        "recorded": _events(episode.reward),
        "proposed": [[step, value, source] for step, value, source in propose(poses, direction)],
        "label": _label(own),
        "revisions": len(revisions(reader.run, commit.id)),
    }


def direction_of(episode: Episode) -> float:
    """Sign of the spin that was commanded during most of the episode; 1 if that is unknown."""
    goal = episode.observation.get(GOAL)
    mean = 0.0 if goal is None else float(goal.mean())
    return -1.0 if mean < 0.0 else 1.0


@dataclass(frozen=True)
class Agreement:
    """Two annotators on the episodes both have labelled."""

    episodes: int
    both: int
    """Events that both marked."""
    only_first: int
    only_second: int
    same_verdict: int
    """Episodes on whose success they say the same."""

    @property
    def f1(self) -> float:
        """Share of all marks that have a partner; 1 if nobody marked anything."""
        marks = 2 * self.both + self.only_first + self.only_second
        return 2 * self.both / marks if marks else 1.0


def agreement(run: Path, first: str, second: str, tolerance: int = TOLERANCE_STEPS) -> Agreement:
    """Compare the newest labels of two annotators.

    Args:
        run: The run.
        first: Name of one.
        second: Name of the other.
        tolerance: Steps two marks of the same event may be apart.

    Raises:
        ValueError: If there is no episode that both have labelled.
    """
    episodes = both = only_first = only_second = same = 0
    for commit in RunReader(run).commits():
        newest = newest_by_annotator(run, commit.id)
        if first not in newest or second not in newest:
            continue
        mine, theirs = newest[first], newest[second]
        paired = _pairs(_steps(mine), _steps(theirs), tolerance)
        episodes, both = episodes + 1, both + paired
        only_first += len(_steps(mine)) - paired
        only_second += len(_steps(theirs)) - paired
        same += mine.success == theirs.success
    if not episodes:
        raise ValueError(f"no episode was labelled by both '{first}' and '{second}'")
    return Agreement(episodes, both, only_first, only_second, same)


def _pairs(first: list[int], second: list[int], tolerance: int) -> int:
    """Marks that can be paired, both lists in order; greedy from the left is optimal here."""
    pairs = i = j = 0
    while i < len(first) and j < len(second):
        if abs(first[i] - second[j]) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif first[i] < second[j]:
            i += 1
        else:
            j += 1
    return pairs


def _steps(label: Label) -> list[int]:
    """Steps of the reward events, one entry per unit of reward."""
    return sorted(step for step, value, _ in label.events or () for _ in range(round(value)))


def _events(reward: np.ndarray) -> list[list]:
    steps = np.flatnonzero(reward)
    return [[int(step), float(reward[step]), "recorded"] for step in steps]


def _label(label: Label | None) -> dict | None:
    if label is None:
        return None
    events = None if label.events is None else [list(event) for event in label.events]
    return {
        "annotator": label.annotator,
        "events": events,
        "success": label.success,
        "note": label.note,
    }
