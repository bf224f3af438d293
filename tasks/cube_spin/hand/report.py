"""Numbers of rehearsals, like the paper's Fig. 4."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.actor.recorder import POSE, TIMING, TIMING_FIELDS
from sernf_isaac.deploy.actor.rewards import QuarterCounter

TURN, MINUTE = 2.0 * np.pi, 60.0
BOOTSTRAP_DRAWS = 2000


class Driven(Protocol):
    """What an episode was like."""

    @property
    def outcome(self) -> str: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def in_hand_s(self) -> float: ...
    @property
    def turned_rad(self) -> float: ...


def point(results: Sequence[Driven], wall_s: float, seed: int = 0) -> dict:
    """One test's numbers; 95 % intervals are bootstrapped over its episodes.

    Args:
        results: Episodes of the test.
        wall_s: How long it took, with resets.
        seed: Of the bootstrap.

    Raises:
        ValueError: If there are no episodes.
    """
    if not results:
        raise ValueError("a test without episodes")
    turns = np.array([result.turned_rad for result in results]) / TURN
    minutes = np.array([result.in_hand_s for result in results]) / MINUTE
    picks = np.random.default_rng(seed).integers(len(results), size=(BOOTSTRAP_DRAWS, len(results)))
    return {
        "runs": len(results),
        "test_minutes": sum(result.duration_s for result in results) / MINUTE,
        "rpm_in_hand": _rate(turns, minutes),
        "rpm_in_hand_ci95": _interval(_rates(turns[picks], minutes[picks])),
        "rpm_wall": float(turns.sum() / wall_s * MINUTE),
        "turns_per_run": float(turns.mean()),
        "turns_per_run_ci95": _interval(turns[picks].mean(axis=1)),
        "in_hand_s": float(minutes.mean() * MINUTE),
        "dropped": float(np.mean([result.outcome == "failure" for result in results])),
    }


def curve_table(curve: list[dict]) -> str:
    """The tests as aligned text."""
    lines = [
        f"{'minutes':>8s}{'in hand [1/min]':>24s}{'wall':>7s}{'turns per run':>24s}{'runs':>6s}"
    ]
    for row in curve:
        cells = [f"{row['real_minutes']:8.0f}"]
        for name, gap in (("rpm_in_hand", f"{row['rpm_wall']:7.2f}"), ("turns_per_run", "")):
            low, high = row[f"{name}_ci95"]
            cells.append(f"{row[name]:8.2f} [{low:5.2f}, {high:5.2f}]".rjust(24) + gap)
        lines.append("".join(cells) + f"{row['runs']:6d}")
    return "\n".join(lines)


def _rate(turns: np.ndarray, minutes: np.ndarray) -> float:
    return float(_rates(turns[None], minutes[None])[0])


def _rates(turns: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Turns per minute of each row; 0 where the object was never held."""
    held = minutes.sum(axis=1)
    return np.divide(turns.sum(axis=1), held, out=np.zeros(len(held)), where=held > 0.0)


def _interval(draws: np.ndarray) -> list[float]:
    return np.quantile(draws, [0.025, 0.975]).tolist()


GOAL = "goal"


PAUSE_S = 300.0
"""A longer time between two episodes is a break, not a reset."""


@dataclass(frozen=True)
class StoredEpisode:
    """What the pose stream says of an episode."""

    outcome: str
    duration_s: float
    in_hand_s: float
    """The part of it in which nothing else held the object."""
    turned_rad: float
    """Net turn in the commanded direction in that part."""


def run_report(run: Path, *, supported_s: float = 0.0) -> list[dict]:
    """Numbers per policy of a run, in the order in which the policies drove.

    Args:
        run: The run's folder.
        supported_s: Something else held the object for so long after it was placed; not counted.

    Raises:
        ValueError: If the run has no episodes, or some that a hand did not record.
    """
    reader = RunReader(run)
    rate_hz = float(read_json(run / "run.json").get("control_rate_hz", 20.0))
    driven: dict[str, list[Commit]] = {}
    for commit in reader.commits():
        if commit.outcome != "recovered":  # cut off by a failure of the computer, not of the hand
            driven.setdefault(commit.policy, []).append(commit)
    if not driven:
        raise ValueError(f"{run} has no finished episodes")
    rows = []
    for policy, commits in driven.items():
        episodes = [_episode(reader, commit, rate_hz, supported_s) for commit in commits]
        numbers = point(episodes, _wall_s(commits, rate_hz))
        drops = sum(episode.outcome == "failure" for episode in episodes)
        held_s = sum(episode.in_hand_s for episode in episodes)
        numbers["drops_per_minute"] = drops / held_s * MINUTE if held_s else None
        rows.append({"policy": policy, **numbers})
    return rows


def run_table(rows: list[dict]) -> str:
    """The report as aligned text."""
    lines = [
        f"{'policy':20s}{'runs':>6s}{'in hand [1/min]':>24s}{'wall':>7s}{'turns per run':>24s}"
        f"{'drops [1/min]':>15s}"
    ]
    for row in rows:
        cells = [f"{row['policy'][:19]:20s}{row['runs']:6d}"]
        for name, gap in (("rpm_in_hand", f"{row['rpm_wall']:7.2f}"), ("turns_per_run", "")):
            low, high = row[f"{name}_ci95"]
            cells.append(f"{row[name]:8.2f} [{low:5.2f}, {high:5.2f}]".rjust(24) + gap)
        drops = row["drops_per_minute"]
        lines.append("".join(cells) + ("-" if drops is None else f"{drops:.2f}").rjust(15))
    return "\n".join(lines)


def _episode(
    reader: RunReader, commit: Commit, rate_hz: float, supported_s: float
) -> StoredEpisode:
    episode = reader.load(commit)
    if missing := [name for name in (POSE, GOAL) if name not in episode.observation]:
        raise ValueError(f"episode {commit.id} was not recorded by a hand: it lacks {missing}")
    poses, goal = _logged(episode, POSE), float(episode.observation[GOAL][0, 0])
    times = _times(episode, commit, rate_hz)
    counter, supported_rad, seen = QuarterCounter(goal), 0.0, None
    for pose, placed_s in zip(poses, times.since_placed_s, strict=False):
        if seen is None or not np.array_equal(pose, seen):
            counter.update(pose[3:].astype(float))
        seen = pose
        if placed_s < supported_s:
            supported_rad = counter.progress_rad
    alone_s = times.duration_s - max(0.0, supported_s - times.since_placed_s[0])
    return StoredEpisode(
        outcome=episode.outcome,
        duration_s=times.duration_s,
        in_hand_s=max(0.0, alone_s),
        turned_rad=counter.progress_rad - supported_rad,
    )


@dataclass(frozen=True)
class _Times:
    """When the steps of an episode were, as its robot recorded it."""

    since_placed_s: np.ndarray
    """(T + 1,) of every step and of the last observation, since the object was placed."""
    duration_s: float


def _times(episode: Episode, commit: Commit, rate_hz: float) -> _Times:
    """Recorded per step; of older episodes only the first and the last step's times are known."""
    timing = _logged(episode, TIMING) if TIMING in episode.observation else np.zeros((0, 0))
    if timing.shape[1] == len(TIMING_FIELDS) and len(timing) > len(episode):
        start, placed = (TIMING_FIELDS.index(f"since_{of}_s") for of in ("start", "placed"))
        return _Times(timing[:, placed], float(timing[-1, start]))
    step_s = _step_s(commit, rate_hz)
    return _Times(step_s * np.arange(len(episode) + 1), step_s * len(episode))


def _step_s(commit: Commit, rate_hz: float) -> float:
    """Mean time of a step; that of the rate where no times were recorded."""
    if commit.start_s is None or commit.end_s is None or commit.steps < 2:
        return 1.0 / rate_hz
    return (commit.end_s - commit.start_s) / (commit.steps - 1)


def _logged(episode: Episode, group: str) -> np.ndarray:
    """(T or T + 1, F) of every step, and of the last observation where there is one."""
    rows = episode.observation[group]
    if not episode.final_observation:
        return rows
    return np.concatenate([rows, episode.final_observation[group][None]])


def _wall_s(commits: list[Commit], rate_hz: float) -> float:
    """Time of the episodes and of the resets between them, without breaks."""
    total = sum(commit.steps * _step_s(commit, rate_hz) for commit in commits)
    for before, after in pairwise(c for c in commits if c.start_s is not None):
        if before.end_s is None or after.start_s is None:
            continue
        reset_s = after.start_s - before.end_s - _step_s(before, rate_hz)
        if 0.0 < reset_s < PAUSE_S:
            total += reset_s
    return total
