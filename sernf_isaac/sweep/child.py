"""Executes the run of a folder, on whatever machine an engine has put it; the folder says how.

    python -m sernf_isaac.sweep.child FOLDER TICKET

It holds the run's lock and hands it to the command, so that a run whose engine is gone is waited
for and not started a second time. How the command ended is written down here, also when nobody is
left to ask.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.lock import InodeLock

RUN_FILE, LOG_FILE, EXIT_FILE, LOCK_FILE = "run.json", "log.txt", "exit.json", "lock"
NOT_SHARED, BUSY = 66, 75
"""Exit statuses: this machine does not see the run's folder; another process is at the run."""
MOUNTS = Path("/proc/self/mounts")
_LOCAL_LOCKS = ("localflock", "noflock", "local_lock=flock", "local_lock=all", "nolock")
"""Mount options under which a lock is seen by one machine only (NFS, Lustre)."""


def main(folder: Path, ticket: str) -> int:
    """Run a folder's command once; 0 if it has ended now or had ended well before.

    Args:
        folder: With a `run.json`.
        ticket: What this `run.json` must say; another one is another machine's file.
    """
    if (problem := why_not_shared(folder, ticket)) is not None:
        print(problem)
        return NOT_SHARED
    try:
        lock = InodeLock(folder / LOCK_FILE)
    except RuntimeError as error:
        print(error)
        return BUSY
    if not has_ended_well(folder):
        _run(folder, lock)
    return 0


def has_ended_well(folder: Path) -> bool:
    """Whether a run has ended with exit code 0."""
    path = folder / EXIT_FILE
    return path.is_file() and read_json(path)["code"] == 0


def has_resume_point(folder: Path) -> bool:
    """Whether a script that names its runs by the time has left something to go on with."""
    return any((*folder.glob("*/*state*.pt"), *folder.glob("*/model_*.pt")))


def why_not_shared(
    folder: Path, ticket: str, mounts: Path = Path("/proc/self/mounts")
) -> str | None:
    """Why this machine cannot do a run of another one; None if it can."""
    here, file = platform.node(), folder / RUN_FILE
    if not file.is_file():
        return f"machine {here} sees no {file}"
    run = read_json(file)
    if run["ticket"] != ticket:
        return f"machine {here} sees another {file}"
    if run["machine"] == here or not mounts.is_file():
        return None
    options = _mount_options(folder, mounts.read_text())
    if local := [option for option in options if option in _LOCAL_LOCKS]:
        return f"locks of {folder} do not reach other machines: it is mounted with {local[0]}"
    return None


def _mount_options(folder: Path, mounts: str) -> list[str]:
    """Of the file system that a folder is on."""
    entries = [line.split() for line in mounts.splitlines()]
    there = [entry for entry in entries if folder.resolve().is_relative_to(entry[1])]
    return max(there, key=lambda entry: len(entry[1]))[3].split(",") if there else []


def _run(folder: Path, lock: InodeLock) -> None:
    # An interrupt is for the command, which may save something; we stay to note its end. It is not
    # ignored, because the command would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    run = read_json(folder / RUN_FILE)
    goes_on = run["resume"] and has_resume_point(folder)
    (folder / EXIT_FILE).unlink(missing_ok=True)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(run["threads"]))
    started = time.monotonic()
    with (folder / LOG_FILE).open("ab") as log:
        code = subprocess.call(
            run["resume"] if goes_on else run["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=run["cwd"],
            env=os.environ | limits,
            pass_fds=(lock.fileno(),),
        )
    partial = folder / f".{EXIT_FILE}.partial"
    end = {"code": code, "seconds": round(time.monotonic() - started, 3)}
    partial.write_text(json.dumps(end | {"machine": platform.node()}) + "\n")
    os.replace(partial, folder / EXIT_FILE)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
