"""Kills a robot's and a learner's process in turns while they share a run, and counts the losses.

The two share the run's folder and nothing else. After every kill the other one has to go on, the
killed one is started again, and in the end every episode that was ever committed must be there and
whole, and the learner must have done every update once.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.data.store.channel import wanted_checkpoint
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.metrics import CSV_FILE, read_metrics

SIGNS_TIMEOUT_S = 180.0
"""Until a process that was started, or that outlives the other, shows that it works."""
LOOK_EVERY_S = 0.1
ACTOR, LEARNER = "actor", "learner"


@dataclass(frozen=True)
class Commands:
    """How the two are started."""

    first_actor: Sequence[str]
    """Makes the run's folder."""
    actor: Sequence[str]
    learner: Sequence[str]
    resumed_learner: Sequence[str]
    folder: Path
    """Where they run."""


@dataclass
class PairReport:
    """What became of a run whose processes were killed."""

    kills: dict[str, int] = field(default_factory=lambda: {ACTOR: 0, LEARNER: 0})
    stood_still: int = 0
    """Kills after which the other process showed no sign of work."""
    episodes: int = 0
    """Committed at any time."""
    lost: int = 0
    """Of these, not there or not whole in the end."""
    updates: int = 0
    """The learner's last one."""
    logged_twice: int = 0
    """Rows of its metrics that are there again."""
    policy_step: int = 0
    """Updates of the policy the robot is offered in the end."""

    def figures(self) -> dict[str, float]:
        """By name, for the table of safety figures."""
        return {
            "pair: actors killed": float(self.kills[ACTOR]),
            "pair: learners killed": float(self.kills[LEARNER]),
            "pair: other one stood still": float(self.stood_still),
            "pair: episodes committed": float(self.episodes),
            "pair: episodes lost": float(self.lost),
            "pair: updates": float(self.updates),
            "pair: updates logged twice": float(self.logged_twice),
        }


class Pair:
    """Both processes of one run.

    Args:
        run: Folder of the run; made by the actor.
        commands: How to start them.
        log: Where they print.
    """

    def __init__(self, run: Path, commands: Commands, log: Path) -> None:
        self._run, self._commands = run, commands
        self._log = log.open("wb")
        self._log_path = log
        self._processes: dict[str, subprocess.Popen] = {}
        self.known: dict[str, Commit] = {}
        """Every commit that was ever seen, by id."""

    def start(self, who: str) -> None:
        """Start one of them, and wait until it works.

        Raises:
            RuntimeError: If it does not.
        """
        before = self._signs(who)
        self._processes[who] = subprocess.Popen(
            self._command(who),
            cwd=self._commands.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        if not self._wait(lambda: self.finished(who) or self._signs(who) != before):
            raise RuntimeError(f"the {who} does not get to work; see {self._log_path}")
        if self.finished(who) and self._processes[who].returncode:
            raise RuntimeError(f"the {who} stopped with an error; see {self._log_path}")

    def kill(self, who: str) -> bool:
        """Kill one of them; whether the other one goes on, or has finished its work."""
        self._processes[who].kill()
        self._processes[who].wait()
        other = LEARNER if who == ACTOR else ACTOR
        before = self._signs(other)
        return self._wait(lambda: self.finished(other) or self._signs(other) != before)

    def finished(self, who: str) -> bool:
        """Whether a process has ended by itself."""
        self._look()
        process = self._processes.get(who)
        return process is not None and process.poll() is not None

    def close(self) -> None:
        """End both."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._log.close()

    def _command(self, who: str) -> list[str]:
        commands = self._commands
        if who == ACTOR:
            again = (self._run / "run.json").is_file()
            return list(commands.actor if again else commands.first_actor)
        resumable = (self._run / "learner" / "training_state.pt").is_file()
        return list(commands.resumed_learner if resumable else commands.learner)

    def _signs(self, who: str) -> object:
        """Something that changes while this process works."""
        if who == ACTOR:
            logs = [path for path in self._run.glob("wal/*.wal") if path.is_file()]
            sizes = sorted((path.name, _size(path)) for path in logs)
            return len(list(self._run.glob("commits/*.json"))), sizes
        waiting = self._run / "heartbeat" / "learner.json"
        beat = waiting.stat().st_mtime_ns if waiting.is_file() else 0
        return beat, _size(self._run / "learner" / CSV_FILE)

    def _wait(self, done: Callable[[], bool]) -> bool:
        until = time.monotonic() + SIGNS_TIMEOUT_S
        while not done():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def _look(self) -> None:
        if (self._run / "run.json").is_file():
            self.known |= {commit.id: commit for commit in RunReader(self._run).commits()}


def pair_trials(
    run: Path, commands: Commands, log: Path, *, kills: int, seed: int = 0, longest_s: float = 4.0
) -> PairReport:
    """Let the learner finish its work while it and the actor are killed in turns.

    Args:
        run: A folder that does not exist yet.
        commands: How to start them; the learner's must end by itself.
        log: Where they print.
        kills: Of each.
        seed: Of the moments.
        longest_s: Time between one that was started again and the next kill.

    Raises:
        RuntimeError: If one of them does not get to work, or ends with an error.
    """
    chance, report, pair = random.Random(seed), PairReport(), Pair(run, commands, log)
    try:
        pair.start(ACTOR)
        pair.start(LEARNER)
        for who in (ACTOR, LEARNER) * kills:
            time.sleep(chance.uniform(0.0, longest_s))
            if pair.finished(LEARNER):
                break
            report.stood_still += not pair.kill(who)
            report.kills[who] += 1
            pair.start(who)
        while not pair.finished(LEARNER):
            if pair.finished(ACTOR):
                raise RuntimeError(f"the actor stopped by itself; see {log}")
            time.sleep(LOOK_EVERY_S)
    finally:
        pair.close()
    return judge(run, pair.known, report)


def judge(run: Path, known: dict[str, Commit], report: PairReport) -> PairReport:
    """Complete a report with what is in the run's folder.

    Args:
        run: The folder.
        known: Every commit that was ever seen.
        report: To complete; also returned.
    """
    reader = RunReader(run)
    there = {commit.id: commit for commit in reader.commits()}
    report.episodes = len(known | there)
    report.lost = sum(not _whole(reader, there, commit) for commit in known.values())
    steps = [step for step, _ in read_metrics(run / "learner", "critic/loss")]
    report.updates, report.logged_twice = max(steps), len(steps) - len(set(steps))
    offered = wanted_checkpoint(run)
    report.policy_step = offered.step if offered else 0
    return report


def _whole(reader: RunReader, there: dict[str, Commit], commit: Commit) -> bool:
    """Whether an episode is still what was committed."""
    if there.get(commit.id) != commit:
        return False
    try:
        return len(reader.load(commit)) == commit.steps
    except ValueError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # moved on since it was listed
        return 0
