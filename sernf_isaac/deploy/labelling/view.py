"""What people see of an episode when they label it, and how well two of them agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.group_names import LOG
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.labels import Label, LabelHistory, label_path, read_history
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.actor.recorder import POSE, SENT, TIMING, TIMING_FIELDS
from sernf_isaac.deploy.actor.rewards import QUARTER_RAD, differs, progress, propose
from sernf_isaac.deploy.hand.sensors import TOUCH

GOAL = "goal"
TOLERANCE_STEPS = 5
"""Two people mean the same event if their marks are this close: a quarter of a second at 20 Hz."""
RATE_HZ = 20.0
"""Of runs that do not say theirs."""
SEEN_AGAIN = 0.7
"""Of a control period: an equal pose that aged by less than this in a step was seen anew."""
NEWEST_DAMAGED = "It is the newest: learning from this run fails until another label is saved here."
OLDER_DAMAGED = "It does not matter for learning: a newer label counts."
JUDGED = {"success": True, "failure": False}
"""Outcomes that say whether an episode was a success."""


def view_episode(reader: RunReader, commit: Commit, annotator: str = "") -> dict:
    """Curves, recorded rewards, proposals and the annotator's own label of an episode; JSON-ready.

    Args:
        reader: Of the run.
        commit: Of the episode.
        annotator: Who looks. Nobody is shown the marks of others, so that two people who label the
            same episode do so independently.

    Raises:
        ValueError: If the file is damaged, or was not recorded by a hand. Damaged labels are said
            under "problems".
    """
    episode = reader.load(commit, labelled=False)
    if missing := [name for name in (POSE, SENT, TIMING) if name not in episode.observation]:
        raise ValueError(f"episode {commit.id} was not recorded by a hand: it lacks {missing}")
    history = read_history(reader.run, commit.id)
    own = history.newest_of(annotator)
    label = label_json(history.labels.get(own))
    return {
        "id": commit.id,
        "steps": len(episode),
        "policy": episode.policy,
        "outcome": episode.outcome,
        "rate_hz": (rate_hz := _rate_hz(reader.run)),
        **_curves(episode, rate_hz),
        "label": label,
        "revision": own,
        "start": label or {"events": None, "success": JUDGED.get(episode.outcome), "note": ""},
        "revisions": len(history.labels) + len(history.damaged),
        "problems": label_problems(reader.run, commit, history),
    }


def label_json(label: Label | None) -> dict | None:
    """A label as the page knows it; JSON-ready."""
    if label is None:
        return None
    events = None if label.events is None else [list(event) for event in label.events]
    return {
        "annotator": label.annotator,
        "events": events,
        "success": label.success,
        "note": label.note,
    }


def label_problems(run: Path, commit: Commit, history: LabelHistory) -> list[str]:
    """What is wrong with an episode's labels, each with its file and what it means."""
    found = {
        revision: f"{problem}. {NEWEST_DAMAGED if revision == history.newest else OLDER_DAMAGED}"
        for revision, problem in history.damaged.items()
    }
    for revision, label in history.labels.items():
        late = [step for step, _, _ in label.events or () if step >= commit.steps]
        if late and revision == history.newest:
            path = label_path(run, commit.id, revision)
            found[revision] = f"{path} has a reward at step {late[0]} of {commit.steps} steps."
    return [found[revision] for revision in sorted(found)]


def _curves(episode: Episode, rate_hz: float) -> dict[str, object]:
    """What the page draws of an episode, one number per step, and the rewards."""
    poses, direction = episode.observation[POSE], direction_of(episode)
    sent, timing = episode.observation[SENT], episode.observation[TIMING]
    moved = np.abs(np.diff(sent, axis=0, prepend=sent[:1])).max(axis=1)
    seen, new = _seen(episode, rate_hz)
    turned = progress(seen, direction, new)[: len(episode)]
    return {
        "direction": direction,
        "quarters": (turned / QUARTER_RAD).round(4).tolist(),
        "height_mm": (1e3 * poses[:, 2]).round(2).tolist(),
        "command_rad": moved.round(4).tolist(),
        "pose_age_s": timing[:, TIMING_FIELDS.index("pose_age_s")].round(4).tolist(),
        "underrun": timing[:, TIMING_FIELDS.index("underrun")].tolist(),
        "decision": np.flatnonzero(episode.decision).tolist(),
        "recorded": _events(episode.reward),
        "proposed": [list(event) for event in propose(seen, direction, new)],
        "touch_n": _pressure(episode),
    }


def _pressure(episode: Episode) -> list[float] | None:
    """The force on all fingertips along their normals [N], per step; None without fingertips."""
    if (forces := episode.observation.get(f"{LOG}{TOUCH}")) is None:
        return None
    return np.asarray(forces)[:, 2::3].sum(axis=1).round(3).tolist()


def _seen(episode: Episode, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T + 1, 7) from the first step to the end, as far as recorded, and which are new."""
    logs: Mapping[str, np.ndarray] = episode.observation
    poses, age_s = logs[POSE], logs[TIMING][:, TIMING_FIELDS.index("pose_age_s")]
    if episode.final_observation:
        last = episode.final_observation
        poses = np.concatenate([poses, last[POSE][None]])
        age_s = np.append(age_s, last[TIMING][TIMING_FIELDS.index("pose_age_s")])
    aged = np.diff(age_s, prepend=-np.inf)
    return poses, differs(poses) | (aged < SEEN_AGAIN / rate_hz)


def _rate_hz(run: Path) -> float:
    return float(read_json(run / "run.json").get("control_rate_hz") or RATE_HZ)


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
    damaged: tuple[str, ...] = ()
    """Label files that cannot be read; their episodes are left out."""

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
    damaged: list[str] = []
    for commit in RunReader(run).commits():
        history = read_history(run, commit.id)
        damaged += history.damaged.values()
        newest = history.by_annotator()
        if history.damaged or first not in newest or second not in newest:
            continue
        mine, theirs = newest[first], newest[second]
        paired = _pairs(_steps(mine), _steps(theirs), tolerance)
        episodes, both = episodes + 1, both + paired
        only_first += len(_steps(mine)) - paired
        only_second += len(_steps(theirs)) - paired
        same += mine.success == theirs.success
    if not episodes:
        left_out = f"; left out: {'; '.join(damaged)}" if damaged else ""
        raise ValueError(f"no episode was labelled by both '{first}' and '{second}'{left_out}")
    return Agreement(episodes, both, only_first, only_second, same, tuple(damaged))


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
    """Steps of the reward events, one entry per unit of reward, whatever its sign."""
    events = label.events or ()
    return sorted(step for step, value, _ in events for _ in range(max(1, round(abs(value)))))


def _events(reward: np.ndarray) -> list[list]:
    steps = np.flatnonzero(reward)
    return [[int(step), float(reward[step]), "recorded"] for step in steps]
