"""How tasks with a fixed set of test configurations are judged (paper E.4, project page).

Success counts with Wilson intervals; times are compared on the trials in which *every* policy
succeeded, since a policy that only masters the easy ones would look fast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binomtest

from sernf_isaac.data.episode import Episode


@dataclass(frozen=True)
class Trial:
    """One evaluation episode."""

    milestones: int
    """Rewards earned: the stages of the task that were passed."""
    succeeded: bool
    time_s: float
    """Until the episode ended."""
    outcome: str


@dataclass(frozen=True)
class Share:
    """How many of how many, and a 95 % Wilson interval."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total

    def __str__(self) -> str:
        interval = f"[{100 * self.low:.0f}, {100 * self.high:.0f}]"
        return f"{100 * self.value:.1f} % {interval} ({self.count}/{self.total})"


def trials_of(episodes: Sequence[Episode], control_rate_hz: float) -> list[Trial]:
    """What became of episodes whose rewards are 1 per stage of the task."""
    return [
        Trial(
            milestones=round(float(episode.reward.sum())),
            succeeded=episode.outcome == "success",
            time_s=len(episode) / control_rate_hz,
            outcome=episode.outcome,
        )
        for episode in episodes
    ]


def passed(trials: Sequence[Trial], stages: int) -> list[list[bool]]:
    """For each of so many stages, whether each trial passed it; the last one is success."""
    before = [[trial.milestones > index for trial in trials] for index in range(stages - 1)]
    return [*before, [trial.succeeded for trial in trials]]


def share(outcomes: Sequence[bool]) -> Share:
    """Of these, how many.

    Raises:
        ValueError: If there are none.
    """
    if not outcomes:
        raise ValueError("no trials to count")
    interval = binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="wilson")
    return Share(sum(outcomes), len(outcomes), float(interval.low), float(interval.high))


def common_times(policies: Mapping[str, Sequence[Trial]]) -> dict[str, list[float]]:
    """Times of the trials in which every policy succeeded; trial i of all is the same test.

    Raises:
        ValueError: If policies have different numbers of trials.
    """
    counts = {name: len(trials) for name, trials in policies.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"policies were tried different numbers of times: {counts}")
    rows = zip(*policies.values(), strict=True)
    common = [i for i, row in enumerate(rows) if all(trial.succeeded for trial in row)]
    return {name: [trials[i].time_s for i in common] for name, trials in policies.items()}


def table(policies: Mapping[str, Sequence[Trial]], stages: Sequence[str]) -> str:
    """One row per policy in Markdown: a column per stage of the task, and completion times.

    Args:
        policies: Trials by policy; trial i is the same test for all.
        stages: What each reward stands for, in order; the last one is success.
    """
    times = common_times(policies)
    shared = len(next(iter(times.values())))
    heads = [*stages, "time of successes [s]", f"time where all succeed [s] ({shared})"]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, trials in policies.items():
        reached = [share(found) for found in passed(trials, len(stages))]
        own = [trial.time_s for trial in trials if trial.succeeded]
        cells = [*map(str, reached), _mean(own), _mean(times[name])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def as_rows(trials: Sequence[Trial]) -> list[dict]:
    """Plain values, for a JSON file."""
    return [asdict(trial) for trial in trials]


def _mean(times_s: Sequence[float]) -> str:
    if not times_s:
        return "-"
    if len(times_s) == 1:
        return f"{times_s[0]:.2f}"
    margin = 1.96 * np.std(times_s, ddof=1) / np.sqrt(len(times_s))
    return f"{np.mean(times_s):.2f} ± {margin:.2f}"
