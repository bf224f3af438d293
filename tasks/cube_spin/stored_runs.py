"""What a run's stored episodes say of its policies: the numbers of a real session, afterwards."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sernf_isaac.data.files import read_json
from sernf_isaac.data.reader import Commit, RunReader
from sernf_isaac.deploy.recorder import POSE
from sernf_isaac.deploy.rewards import QuarterCounter
from tasks.cube_spin.rehearsal_report import MINUTE, point

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
        supported_s: Something else held the object for so long at every start; not counted.

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
    poses, goal = episode.observation[POSE], float(episode.observation[GOAL][0, 0])
    if episode.final_observation:
        poses = np.concatenate([poses, episode.final_observation[POSE][None]])
    counter, supported_rad, seen = QuarterCounter(goal), 0.0, None
    for step, pose in enumerate(poses):
        if seen is None or not np.array_equal(pose, seen):
            counter.update(pose[3:].astype(float))
        seen = pose
        if step / rate_hz < supported_s:
            supported_rad = counter.progress_rad
    duration_s = len(episode) / rate_hz
    return StoredEpisode(
        outcome=episode.outcome,
        duration_s=duration_s,
        in_hand_s=max(0.0, duration_s - supported_s),
        turned_rad=counter.progress_rad - supported_rad,
    )


def _wall_s(commits: list[Commit], rate_hz: float) -> float:
    """Time of the episodes and of the resets between them, without breaks."""
    total = sum(commit.steps for commit in commits) / rate_hz
    times = [(c.start_s, c.end_s) for c in commits if c.start_s is not None and c.end_s is not None]
    for (_, ended), (started, _) in pairwise(times):
        if 0.0 < started - ended < PAUSE_S:
            total += started - ended
    return total
