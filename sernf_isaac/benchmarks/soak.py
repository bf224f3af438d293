"""Hours of robot time without a pause: does the robot's side keep its memory and its nerve?"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.actor.session import Session

WARM_UP_SHARE = 0.1
"""Of the time; until then libraries fill their caches. Afterwards memory should stay."""
WINDOW_SHARE = 0.1
"""Of the time, at either end, over which memory is averaged."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
"""Of this system: 4 or 64 kB on some processors, 16 on others."""


@dataclass(frozen=True)
class SoakReport:
    """What a soak found."""

    minutes: float
    """Of robot data."""
    episodes: int
    before_mb: float
    """Memory of all processes after the warm-up."""
    after_mb: float
    underruns: int
    samples: list[tuple[float, float]]
    """Minutes and megabytes, one per episode."""

    @property
    def growth(self) -> float:
        """Of memory, as a part of what it was."""
        return self.after_mb / self.before_mb - 1.0


def soak(session: Session, minutes: float, done: Callable[[float], object]) -> SoakReport:
    """Drive for so long and watch the memory of this process and its children.

    Whatever goes wrong in the session is raised: a soak that returns had no such error.

    Args:
        session: Open.
        minutes: Of robot data.
        done: Told the minutes there are, after every episode.

    Raises:
        ValueError: If there are too few episodes to compare memory.
    """
    samples: list[tuple[float, float]] = []
    for _ in session.episodes(data_minutes=minutes):
        there = session.totals.data_s / 60.0
        samples.append((there, resident_mb()))
        done(there)
    times, memory = np.array(samples).T
    first = memory[(times >= WARM_UP_SHARE * minutes)]
    window = max(1, round(WINDOW_SHARE * len(memory)))
    if len(first) < 2 * window or len(memory) < 4:
        raise ValueError(f"{len(memory)} episodes are too few to compare memory")
    return SoakReport(
        minutes=float(times[-1]),
        episodes=len(memory),
        before_mb=float(first[:window].mean()),
        after_mb=float(memory[-window:].mean()),
        underruns=session.totals.underruns,
        samples=samples,
    )


def resident_mb() -> float:
    """Memory of this process and of all below it, in megabytes."""
    return sum(_resident_bytes(pid) for pid in _family(Path("/proc/self").resolve().name)) / 1e6


def _family(pid: str) -> list[str]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it has just ended
        return []
    return [pid, *(member for child in children for member in _family(child))]


def _resident_bytes(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except FileNotFoundError:
        return 0
