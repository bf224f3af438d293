"""Sweeps: one script, many settings and seeds, N processes at a time, nothing done twice.

A run is a folder. Its name says what was set, `run.json` all of the command, `log.txt` what the
script printed, `exit.json` how it ended: a run with exit code 0 is never repeated. Its process
holds a lock and writes its end by itself (`sweep_child.py`), so that a run whose sweep was killed
is waited for instead of started a second time, and several sweeps may share a folder.
"""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sernf_isaac.data.store.files import read_json, write_json
from sernf_isaac.sweep import child as sweep_child

Value = int | float | str | bool
RUN_FILE, LOG_FILE, EXIT_FILE, RESULT_FILE, LOCK_FILE = (
    "run.json",
    "log.txt",
    "exit.json",
    "result.json",
    "lock",
)
POLL_S = 0.05
PATIENCE_S = 10.0
"""How long interrupted runs may take to end by themselves."""


@dataclass(frozen=True)
class Plan:
    """What is common to all runs of a sweep."""

    script: Path
    """Takes `key=value` settings, --seed and --out, and --json unless `result` is given."""
    options: tuple[str, ...] = ()
    """Flags and settings of every run."""
    result: str | None = None
    """Name of the JSON file that the script writes to its --out folder by itself."""


@dataclass(frozen=True)
class Job:
    """One run: what is set, and which seed."""

    settings: tuple[tuple[str, Value], ...]
    seed: int

    @property
    def name(self) -> str:
        """Readable, and safe as a folder's name."""
        parts = [f"{key.rpartition('.')[2]}={value}" for key, value in self.settings]
        text = "_".join([*parts, f"seed={self.seed}"])
        return "".join(c if c.isalnum() or c in "._=-" else "-" for c in text)


@dataclass(frozen=True)
class Outcome:
    """How a run stands."""

    job: Job
    folder: Path
    state: str
    """"done", "failed", or "missing": not run, or killed together with what watched over it."""
    seconds: float = 0.0
    reason: str = ""
    """Last line of the log of a failed run."""
    result: dict | None = None


def jobs_of(axes: Mapping[str, Sequence[Value]], seeds: Sequence[int]) -> list[Job]:
    """All combinations of settings, each with all seeds; the seeds of a setting come together.

    Raises:
        ValueError: If there is nothing to vary or a value appears twice.
    """
    if not axes or not seeds:
        raise ValueError("nothing to sweep: give --grid or --vary, and at least one seed")
    for name, values in {**axes, "seeds": seeds}.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} needs values that differ, not {list(values)}")
    combinations = product(*axes.values())
    return [Job(tuple(zip(axes, c, strict=True)), s) for c in combinations for s in seeds]


def folder_of(root: Path, plan: Plan, job: Job) -> Path:
    """Where a run goes; the name changes with everything that may change its result."""
    text = json.dumps([plan.script.name, plan.options, job.settings, job.seed])
    return root / f"{job.name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def command_of(plan: Plan, job: Job, folder: Path) -> list[str]:
    """What a run executes."""
    out = ["--seed", str(job.seed), "--out", str(folder)]
    file = [] if plan.result else ["--json", str(folder / RESULT_FILE)]
    settings = [f"{key}={value}" for key, value in job.settings]
    return [sys.executable, str(plan.script), *plan.options, *out, *file, *settings]


def outcome_of(root: Path, plan: Plan, job: Job) -> Outcome:
    """How a run stands, from its files alone."""
    folder = folder_of(root, plan, job)
    if not (folder / EXIT_FILE).is_file():
        return Outcome(job, folder, "missing")
    end = read_json(folder / EXIT_FILE)
    if end["code"]:
        reason = f"exit code {end['code']}: {last_line(folder / LOG_FILE)}"
        return Outcome(job, folder, "failed", end["seconds"], reason)
    path = folder / (plan.result or RESULT_FILE)
    try:
        return Outcome(job, folder, "done", end["seconds"], result=read_json(path))
    except (OSError, ValueError) as error:
        return Outcome(job, folder, "failed", end["seconds"], f"no result in {path}: {error}")


def sweep(
    plan: Plan,
    jobs: Sequence[Job],
    root: Path,
    *,
    at_once: int = 1,
    threads: int = 1,
    report: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run what is not done yet, failed runs included; the outcomes of all, in order.

    Args:
        plan: What to run.
        jobs: From `jobs_of`.
        root: Folder of the runs.
        at_once: Processes at a time.
        threads: Of each process, for PyTorch and its libraries.
        report: Hears of each run that has ended or was done before.

    Raises:
        ValueError: If there is no such script or no process is allowed.
        KeyboardInterrupt: After all processes have ended.
    """
    if not plan.script.is_file():
        raise ValueError(f"no script at {plan.script}")
    if at_once < 1 or threads < 1:
        raise ValueError(f"processes ({at_once}) and threads ({threads}) must be at least 1")
    waiting, running = list(jobs), []
    try:
        while waiting or running:
            for ended in [run for run in running if run.has_ended()]:
                running.remove(ended)
                report(outcome_of(root, plan, ended.job))
            for job in list(waiting):
                if len(running) >= at_once:
                    break
                folder = folder_of(root, plan, job)
                if (lock := _lock(folder)) is None:
                    continue  # somebody is at it
                waiting.remove(job)
                if (known := outcome_of(root, plan, job)).state == "done":
                    os.close(lock)
                    report(known)
                else:
                    running.append(_Run(job, _start(plan, job, folder, lock, threads), lock))
            time.sleep(POLL_S)
    finally:
        _end(running)
    return [outcome_of(root, plan, job) for job in jobs]


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].rpartition("\r")[2] if said else "it said nothing"


def value_at(result: object, path: str) -> float:
    """A number in a script's result: names and, in lists, indices, with dots in between.

    Raises:
        ValueError: If there is no number there; names what there is.
    """
    here = result
    for part in path.split("."):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            there = sorted(here) if isinstance(here, dict) else here
            raise ValueError(f"no '{part}' of '{path}' in the result; there is {there}") from error
    if isinstance(here, bool) or not isinstance(here, int | float):
        raise ValueError(f"'{path}' is no number in the result but {here!r}")
    return float(here)


@dataclass(frozen=True)
class _Run:
    """A process of ours, and the lock of its folder, which the process has, too."""

    job: Job
    process: subprocess.Popen
    lock: int

    def has_ended(self) -> bool:
        """Whether it has; lets go of the lock then."""
        if self.process.poll() is None:
            return False
        os.close(self.lock)
        return True


def _lock(folder: Path) -> int | None:
    """The lock of a run's folder, or None if another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _start(plan: Plan, job: Job, folder: Path, lock: int, threads: int) -> subprocess.Popen:
    command = command_of(plan, job, folder)
    (folder / EXIT_FILE).unlink(missing_ok=True)
    write_json(folder / RUN_FILE, {"command": command, "settings": dict(job.settings)})
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", sweep_child.__name__, str(folder / EXIT_FILE), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | limits,
            pass_fds=(lock,),
            start_new_session=True,  # the terminal's Ctrl-C reaches the sweep alone
        )


def _end(running: list[_Run]) -> None:
    """Interrupt what still runs, so that it may save; kill what does not listen."""
    for run in running:
        os.killpg(run.process.pid, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE_S
    for run in running:
        try:
            run.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
        os.close(run.lock)
