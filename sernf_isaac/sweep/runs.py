"""Runs: folders that say what is to be done and how it ended; each is done once, on any engine.

`run.json` has the command, `log.txt` what it printed, `exit.json` how it ended. While a run goes
on, its processes hold the folder's `lock`. An engine may lose a process and a driver may be killed
and started again; who is at a run is asked of the lock, and whether it is done of `exit.json`.
"""

import platform
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.data.store.files import publish, read_json, write_json
from sernf_isaac.data.store.lock import InodeLock
from sernf_isaac.sweep import child
from sernf_isaac.sweep.child import BUSY, EXIT_FILE, LOCK_FILE, LOG_FILE, NOT_SHARED, RUN_FILE
from sernf_isaac.sweep.engines import POLL_S, Ended, Engine, each_ended

TRIES = 3
"""How often a run is started whose processes are killed; what fails by itself is not repeated."""
SEEN_S = 60.0
"""How late a file may be seen that another machine has written."""


@dataclass(frozen=True, eq=False)
class Run:
    """Something to be done once."""

    folder: Path
    """Absolute; on a file system that all machines of the engine see."""
    command: tuple[str, ...]
    """Program and arguments; executed in the folder that the driver was started in."""
    resume: tuple[str, ...] = ()
    """What is executed instead where the folder has a resume point (`child.has_resume_point`)."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else `run.json` should say."""


def run_all(
    runs: Sequence[Run],
    engine: Engine,
    *,
    threads: int,
    is_done: Callable[[Run], bool],
    report: Callable[[Run, str], None],
) -> None:
    """Have runs executed that are not done; what failed before is tried again, once.

    Args:
        runs: In the order in which they should start.
        engine: Starts them.
        threads: Of each run, for PyTorch and its libraries.
        is_done: Whether a run that ended with exit code 0 needs nothing more.
        report: Hears of each run when it has ended or was done before; with it, what was said about
            one that is gone without a trace, else an empty text.

    Raises:
        ValueError: If a machine of the engine does not see the runs' folders.
        KeyboardInterrupt: After all runs here have ended.
    """
    waiting, killed = list(runs), dict.fromkeys(runs, 0)
    while waiting:
        ready = []
        for run in list(waiting):
            state = _prepare(run, threads, is_done)
            if state == "ready":
                ready.append(run)
            elif state == "done":
                waiting.remove(run)
                report(run, "")
        with closing(each_ended(engine, [_command(run) for run in ready])) as all_ended:
            for number, ended in all_ended:
                run = ready[number]
                killed[run] += ended.code not in (0, BUSY)
                last = killed[run] >= TRIES
                if (words := _what_became_of(run, ended, is_last=last)) is not None:
                    waiting.remove(run)
                    report(run, words)
        if waiting:
            time.sleep(engine.poll_s)


def is_being_run(folder: Path) -> bool:
    """Whether a process holds a run's lock, here or on another machine."""
    try:
        InodeLock(folder / LOCK_FILE).close()
    except RuntimeError:
        return True
    return False


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].rpartition("\r")[2] if said else "it said nothing"


def how_it_ended(folder: Path) -> dict | None:
    """Content of `exit.json`: `code`, `seconds`, and `reason` if it failed; None if it has not."""
    path = folder / EXIT_FILE
    if not path.is_file():
        return None
    end = read_json(path)
    if end["code"]:
        end["reason"] = f"exit code {end['code']}: {last_line(folder / LOG_FILE)}"
    return end


def _prepare(run: Run, threads: int, is_done: Callable[[Run], bool]) -> str:
    """ "done", "busy" if somebody is at it, or "ready": the folder says what to do."""
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = InodeLock(run.folder / LOCK_FILE)
    except RuntimeError:
        return "busy"
    try:
        if child.has_ended_well(run.folder) and is_done(run):
            return "done"
        (run.folder / EXIT_FILE).unlink(missing_ok=True)
        file, staged = run.folder / RUN_FILE, run.folder / f".{RUN_FILE}.partial"
        known = read_json(file) if file.is_file() else {}
        # Another driver's engine may start this run, too: both must find the ticket they know.
        content = {"command": list(run.command), "resume": list(run.resume), "threads": threads}
        content |= {"ticket": known.get("ticket", uuid.uuid4().hex), "machine": platform.node()}
        content |= {"cwd": str(Path.cwd()), **run.facts}
        if content != known:
            publish(write_json(staged, content), file)
        return "ready"
    finally:
        lock.close()


def _command(run: Run) -> list[str]:
    ticket = read_json(run.folder / RUN_FILE)["ticket"]
    return [sys.executable, "-m", child.__name__, str(run.folder), ticket]


def _what_became_of(run: Run, ended: Ended, *, is_last: bool) -> str | None:
    """An empty text if the run has ended, words if it never will; None if it is to be looked at
    again."""
    if ended.code == NOT_SHARED:
        raise ValueError(
            f"{ended.words}; all machines must see {run.folder.parent} and their locks on it: "
            "choose --out on a file system that they share"
        )
    deadline = time.monotonic() + (SEEN_S if ended.code == 0 else 0.0)
    while how_it_ended(run.folder) is None:
        if ended.code == BUSY or is_being_run(run.folder):
            return None  # by a process that outlived its engine, or another driver's
        if time.monotonic() >= deadline:
            if ended.code == 0:
                raise ValueError(
                    f"{run.folder} has ended, but its {EXIT_FILE} is not seen on "
                    f"{platform.node()}; choose --out on a file system that all machines share"
                )
            return f"killed ({ended.words or f'status {ended.code}'})" if is_last else None
        time.sleep(POLL_S)
    return ""
