"""Which checkpoint a robot drives with: taken between episodes, tested first, taken back if worse.

A checkpoint is only accepted if it was published in a run with the same `run.json` (task, hand,
guard), with a step that is newer than the one in use (a person may pin any), with the published
checksum, and if the policy passes its tests on this machine. Otherwise the one in use stays.
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.data.store.channel import PublishedCheckpoint, read_checkpoint, wanted_checkpoint
from sernf_isaac.data.store.files import publish, read_json, write_json

VERDICTS = Path("channel/rolled_back")
"""In a run: which checkpoints were worse, one file each."""


def verdicts(run: Path) -> list[Path]:
    """Files named after the checkpoints that a robot took back."""
    return sorted((run / VERDICTS).glob("*.json"))


@dataclass
class RollbackRule:
    """When a new checkpoint counts as worse than the last good one."""

    episodes: int = 5
    """Episodes that are compared."""
    share: float = 0.5
    """Worse: the mean score of these is below this share of the last good checkpoint's; where that
    is negative, as much below it. 0: never roll back."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or not 0.0 <= self.share < 1.0:
            raise ValueError(
                f"rollback after {self.episodes} episodes below a share of {self.share}"
            )

    def worse(self, score: float, good: float) -> bool:
        """Whether a mean score is so far below a good one."""
        return self.share > 0.0 and score < good - (1.0 - self.share) * abs(good)


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
        self._rolled_back: set[str] = set()
        self._told = ""

    @property
    def name(self) -> str:
        """Name of the checkpoint in use; empty before the first."""
        return self._now.checkpoint.name if self._now else ""

    @property
    def step(self) -> int:
        """Updates the learner had done for the checkpoint in use; 0: the one a run begins with."""
        return self._now.checkpoint.step if self._now else 0

    def refresh(self) -> str:
        """Take a newer checkpoint if there is one; says what happened, or nothing new."""
        try:
            wanted = self._wanted()
        except (ValueError, OSError) as error:
            return self._once(f"kept {self.name or 'nothing'}: {error}")
        if wanted is None or wanted.name == self.name:
            return ""
        if self._now and wanted.step <= self.step and not self._pinned:
            return self._once(
                f"refused {wanted.name}: its step is not newer than that of {self.name}"
            )
        return self._take(wanted)

    def report(self, score: float) -> str:
        """Note the score of an episode driven with the checkpoint in use; may roll back."""
        if self._now is None:
            return ""
        self._now.scores.append(score)
        enough = self._rule.episodes
        if len(self._now.scores) < enough:
            return ""
        while len(self._now.scores) > enough:
            self._now.scores.popleft()
        if self._good and self._rule.worse(self._now.mean, self._good.mean):
            return "" if self._pinned else self._roll_back(self._now, self._good)
        self._good = self._now
        return ""

    @property
    def _pinned(self) -> bool:
        """Whether a person decides."""
        return (self._run / "channel" / "pinned.json").is_file()

    def _wanted(self) -> PublishedCheckpoint | None:
        """What the pointers mean, or what it was rolled back to; None: stay."""
        wanted = wanted_checkpoint(self._run)
        if wanted is None or self._pinned:
            return wanted
        if self._now:
            bad = wanted.name in self._rolled_back or self._verdict(wanted.name).is_file()
            return None if bad else wanted
        name, seen = wanted.name, set[str]()
        while name not in seen and (verdict := self._verdict(name)).is_file():
            seen.add(name)
            name = str(read_json(verdict).get("to"))
        return read_checkpoint(self._run, name)

    def _verdict(self, name: str) -> Path:
        """Says that a checkpoint was rolled back, and to which; outlives the actor."""
        return self._run / VERDICTS / f"{name}.json"

    def _take(self, wanted: PublishedCheckpoint) -> str:
        try:
            self._load(wanted.file.check(self._run))
        except (ValueError, OSError) as error:  # next time it may be in time or whole
            return self._once(f"refused {wanted.name}: {error}")
        self._now, self._told = _Used(wanted), ""  # whatever fails from here on, this one drives
        said = f"driving with {wanted.name}"
        if not self._pinned:
            return said
        self._rolled_back.discard(wanted.name)  # a person wants it all the same
        try:
            self._verdict(wanted.name).unlink(missing_ok=True)
        except OSError as error:
            return f"{said}; the verdict that it is worse stays for the next start: {error}"
        return said

    def _roll_back(self, bad: _Used, good: _Used) -> str:
        worse = f"{bad.checkpoint.name} (mean score {bad.mean:.3g})"
        better = f"{good.checkpoint.name} ({good.mean:.3g})"
        try:
            self._load(good.checkpoint.file.check(self._run))
        except (ValueError, OSError) as error:
            return f"kept {worse}, though worse than {better}: {error}"
        self._now = good
        self._rolled_back.add(bad.checkpoint.name)
        try:
            self._judge(bad, good)
        except (ValueError, OSError) as error:
            return f"rolled back from {worse} to {better} until the next start only: {error}"
        return f"rolled back from {worse} to {better}"

    def _judge(self, bad: _Used, good: _Used) -> None:
        name, verdict = bad.checkpoint.name, self._verdict(bad.checkpoint.name)
        verdict.parent.mkdir(exist_ok=True)
        content = {"to": good.checkpoint.name, "score": bad.mean, "score_of_good": good.mean}
        staged = self._run / "staging" / f"rolled_back.{name}.{os.getpid()}.json"
        publish(write_json(staged, content), verdict)

    def _once(self, message: str) -> str:
        """Nothing, if that was the last thing said."""
        told, self._told = self._told, message
        return "" if message == told else message
