"""A writer that is made to be killed, and the check of what it left behind.

Every step has known numbers, so that whatever is read back can be checked. The writer notes in a
file what the store has acknowledged; a single `os.write` survives SIGKILL.
"""

import os
import random
import signal
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from forked import FORKED

from sernf_isaac.data.store import writer as store
from sernf_isaac.data.store.archive import write_archive
from sernf_isaac.data.store.files import describe
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.steps import Step, StepLayout
from sernf_isaac.data.store.writer import RunWriter, create_run

LAYOUT = StepLayout({"history": 24, "goal": 1}, action_dim=17)
STEPS = 20


def step_of(tag: int, index: int) -> Step:
    """The step that the writer with this tag logs as number `index`."""
    value = float(tag + 0.01 * index)
    observation = {"history": np.full(24, value), "goal": np.ones(1)}
    return Step(observation, action=np.full(17, -value), reward=float(index))


class CommitFirst(RunWriter):
    """Negative control: the two renames of the protocol, in the wrong order."""

    def _commit(self, eid, episode, times_s):
        staged = self.run / "staging" / f"{eid}.zarr.zip"
        write_archive(staged, episode)
        file = describe(staged, f"episodes/{staged.name}")
        self._publish_commit(eid, episode, file, times_s)
        store.publish(staged, self.run / file.path)


class NoRename(RunWriter):
    """Negative control: files grow where they are read; slowly, as over a network."""

    def _commit(self, eid, episode, times_s):
        store.publish = copy_in_place
        super()._commit(eid, episode, times_s)


def copy_in_place(staged: Path, target: Path) -> None:
    content = staged.read_bytes()
    with target.open("wb", buffering=0) as file:
        for start in range(0, len(content), 1 + len(content) // 8):
            file.write(content[start : start + 1 + len(content) // 8])
            time.sleep(0.005)
        os.fsync(file.fileno())
    staged.unlink()


WRITERS = {"store": RunWriter, "commit first": CommitFirst, "no rename": NoRename}


def write_until_killed(run: str, tag: int, kind: str, max_episodes: int) -> None:
    """Recover, then write episodes; notes every acknowledgement in `acknowledged`."""
    notes = os.open(Path(run) / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with WRITERS[kind](run, "robot") as writer:
        os.write(notes, f"recovering - {tag}\n".encode())
        writer.recover()
        os.write(notes, f"recovered - {tag}\n".encode())
        for number in range(max_episodes):
            episode = writer.begin(LAYOUT)
            for index in range(STEPS):
                episode.append(step_of(tag + number, index), index * 0.05)
                os.write(notes, f"step {episode.eid} {tag + number}\n".encode())
                time.sleep(0.001)
            final = {"history": np.full(24, 7.0), "goal": np.ones(1)}
            eid = episode.finish("success", final, planned=np.full((2, 17), 3.0))
            os.write(notes, f"episode {eid} {tag + number}\n".encode())


@dataclass
class Report:
    """What a stress run found."""

    kills: int = 0
    kills_in_recovery: int = 0
    acknowledged_episodes: int = 0
    acknowledged_steps: int = 0
    recovered: int = 0
    loaded: int = 0
    losses: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


def stress(run: Path, kills: int, kind: str = "store", seed: int = 0) -> Report:
    """Kill writers at random moments, read all the while, recover, and compare with the notes."""
    create_run(run, {"task": "stress"})
    report, chance, reader = Report(kills=kills), random.Random(seed), RunReader(run)
    for kill in range(kills):
        noted = len(_notes(run))
        process = FORKED.Process(target=write_until_killed, args=(str(run), kill * 100, kind, 99))
        process.start()
        in_recovery = kill % 3 == 0
        while len(_notes(run)) - noted < (1 if in_recovery else 3):
            if not process.is_alive():  # it could not read what the last one left
                report.losses.append(f"writer {kill} ended with status {process.exitcode}")
                return report
            time.sleep(0.001)
        until = time.monotonic() + chance.uniform(0.0, 0.02 if in_recovery else 0.15)
        while time.monotonic() < until:
            _read_new(reader, report)
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        fresh = _notes(run)[noted:]
        report.kills_in_recovery += not any(note[0] == "recovered" for note in fresh)
    with WRITERS[kind](run, "robot") as writer:
        writer.recover()
        assert writer.recover() == []
    _compare(run, report)
    return report


def _notes(run: Path) -> list[list[str]]:
    path = run / "acknowledged"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split() for line in lines]


def _read_new(reader: RunReader, report: Report) -> None:
    with warnings.catch_warnings(record=True) as caught:  # of commits that cannot be read
        warnings.simplefilter("always")
        commits = reader.new_commits()
    report.torn += [str(warning.message) for warning in caught]
    for commit in commits:
        try:
            reader.load(commit)
            report.loaded += 1
        except ValueError as error:
            report.torn.append(str(error))


def _compare(run: Path, report: Report) -> None:
    steps: dict[str, list[int]] = {}
    finished = set()
    for kind, eid, tag in _notes(run):
        if kind == "step":
            steps.setdefault(eid, []).append(int(tag))
        elif kind == "episode":
            finished.add(eid)
    report.acknowledged_episodes = len(finished)
    report.acknowledged_steps = sum(map(len, steps.values()))
    reader = RunReader(run)
    commits = {commit.id: commit for commit in reader.commits()}
    report.recovered = sum(commit.outcome == "recovered" for commit in commits.values())
    for eid, tags in steps.items():
        if problem := _problem(reader, commits, eid, tags, eid in finished):
            report.losses.append(f"{eid}: {problem}")
    report.leftovers = [str(path) for path in (run / "staging").iterdir()]
    report.leftovers += [str(path) for path in run.glob("wal/*.wal")]


def _problem(reader, commits, eid, tags, finished) -> str | None:
    """What is wrong with an episode of which at least these steps were acknowledged."""
    if eid not in commits:
        return f"{len(tags)} acknowledged steps, no commit"
    try:
        episode = reader.load(commits[eid])
    except ValueError as error:
        return str(error)
    if len(episode) < len(tags):
        return f"{len(episode)} steps, {len(tags)} were acknowledged"
    if finished and episode.outcome != "success":
        return f"finished, but its outcome is {episode.outcome}"
    for index in range(len(episode)):
        step = step_of(tags[0], index)
        right = np.allclose(episode.observation["history"][index], step.observation["history"])
        if not (right and np.allclose(episode.action[index], step.action)):
            return f"step {index} holds other numbers"
    return None
