"""Which checkpoint a robot drives with: taken between episodes, tested first, taken back if worse.

A checkpoint is only accepted from the robot's own run, with a step that is newer than the one in
use (a person may pin an older one), with the published checksum, and if the policy passes its tests
on this machine. Otherwise the one in use stays.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.data.channel import PublishedCheckpoint, wanted_checkpoint


@dataclass
class RollbackRule:
    """When a new checkpoint counts as worse than the last good one."""

    episodes: int = 5
    """Episodes that are compared."""
    share: float = 0.5
    """Worse: the mean score of these is below this share of the last good checkpoint's. 0: never
    roll back."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or not 0.0 <= self.share < 1.0:
            raise ValueError(
                f"rollback after {self.episodes} episodes below a share of {self.share}"
            )


@dataclass
class _Used:
    checkpoint: PublishedCheckpoint
    scores: deque[float] = field(default_factory=deque)

    @property
    def mean(self) -> float:
        return sum(self.scores) / len(self.scores)


class CheckpointFollower:
    """Follows a run's pointers.

    Args:
        run: The run's folder.
        load: Tests a file and uses it from now on; raises ValueError if it must not be used.
        rule: When to take a checkpoint back.
    """

    def __init__(
        self, run: Path, load: Callable[[Path], object], rule: RollbackRule | None = None
    ) -> None:
        self._run, self._load, self._rule = run, load, rule or RollbackRule()
        self._now: _Used | None = None
        self._good: _Used | None = None
        self._refused: set[str] = set()

    @property
    def name(self) -> str:
        """Name of the checkpoint in use; empty before the first."""
        return self._now.checkpoint.name if self._now else ""

    @property
    def step(self) -> int:
        """Updates the learner had done for the checkpoint in use; 0: the one a run begins with."""
        return self._now.checkpoint.step if self._now else 0

    def refresh(self) -> str:
        """Take a newer checkpoint if there is one; says what happened, or nothing."""
        try:
            wanted = wanted_checkpoint(self._run)
        except ValueError as error:
            return f"kept {self.name or 'nothing'}: {error}"
        if wanted is None or wanted.name == self.name or wanted.name in self._refused:
            return ""
        pinned = (self._run / "channel" / "pinned.json").is_file()
        if self._now and wanted.step <= self._now.checkpoint.step and not pinned:
            self._refused.add(wanted.name)
            return f"refused {wanted.name}: its step is not newer than that of {self.name}"
        return self._take(wanted)

    def report(self, score: float) -> str:
        """Note the score of an episode driven with the checkpoint in use; may roll back."""
        if self._now is None:
            return ""
        self._now.scores.append(score)
        enough, rule = self._rule.episodes, self._rule
        if len(self._now.scores) < enough:
            return ""
        while len(self._now.scores) > enough:
            self._now.scores.popleft()
        if self._good and self._now.mean < rule.share * self._good.mean:
            return self._roll_back(self._good)
        self._good = self._now
        return ""

    def _take(self, wanted: PublishedCheckpoint) -> str:
        try:
            self._load(wanted.file.check(self._run))
        except (ValueError, OSError) as error:
            self._refused.add(wanted.name)
            return f"refused {wanted.name}: {error}"
        self._now = _Used(wanted)
        return f"driving with {wanted.name}"

    def _roll_back(self, good: _Used) -> str:
        bad = self._now
        assert bad is not None, "only called with a checkpoint in use"
        self._refused.add(bad.checkpoint.name)
        self._load(good.checkpoint.file.check(self._run))
        self._now = good
        return (
            f"rolled back from {bad.checkpoint.name} (mean score {bad.mean:.3g}) to "
            f"{good.checkpoint.name} ({good.mean:.3g})"
        )
