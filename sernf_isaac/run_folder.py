"""Folders of runs: made once, written by one process, with their settings and where these are from.

Importing this is cheap: scripts do it before they read their flags.
"""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Concatenate

from sernf_isaac.cli import say_if_interrupted
from sernf_isaac.data.store.lock import InodeLock
from sernf_isaac.install import CLONE, project_version
from sernf_isaac.verbs import started_as, started_script

CONFIG_FILE = "config.yaml"
"""The settings that a run was started with; on top of them, as comments, command and versions."""
FIRST_WORD, LAST_LINE = "# command: ", "# end\n"
"""Of such a file; those of earlier versions have neither."""
LOCK_FILE = ".lock"
"""Held by the process that writes a run."""
PACKAGES = ("sernf-isaac", "torch", "numpy", "mujoco", "isaaclab")
"""Whose versions are noted."""
RESUMED_BY = (
    "train_teacher.py",
    "distill.py",
    "polish.py",
    "train_offline.py",
    "train_detector.py",
)
"""Scripts that go on with `--resume FOLDER`."""


class RunInUseError(ValueError):
    """Another process writes the run."""


def new_run_dir(root: Path) -> Path:
    """A fresh folder named by the time."""
    folder = root / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:  # another run began within this second
        time.sleep(1.0)
        return new_run_dir(root)
    return folder


def latest_run_dir(root: Path) -> Path:
    """The newest run under `root`.

    Raises:
        FileNotFoundError: If there is none.
    """
    runs = sorted(path.parent for path in root.glob(f"*/{CONFIG_FILE}"))
    if not runs:
        raise FileNotFoundError(f"no run to resume under {root}")
    return runs[-1]


def resumed_run_dir(root: Path, name: str) -> Path:
    """The folder that `--resume NAME` means: the newest run under `root` for "latest".

    Raises:
        FileNotFoundError: If there is no such folder.
        RunInUseError: If another process writes the run; `train` would find it out later.
    """
    if name != "latest" and not Path(name).is_dir():
        raise FileNotFoundError(f"--resume {name}: no such folder; give a run's, or none")
    run_dir = latest_run_dir(root) if name == "latest" else Path(name)
    if _is_first():
        _lock(run_dir).close()
    return run_dir


def _is_first() -> bool:
    """Whether this is the process that writes, among those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _lock(run_dir: Path) -> InodeLock:
    """The lock of a run, held.

    Raises:
        RunInUseError: If another process holds it; names the process.
    """
    path = run_dir / LOCK_FILE
    try:
        return InodeLock(path)
    except RuntimeError as error:
        raise RunInUseError(
            f"{run_dir} is being written by another process ({path.read_text() or 'starting'}); "
            "wait until it ends, or begin a run of your own"
        ) from error


@contextmanager
def writing(run_dir: Path) -> Iterator[None]:
    """Nobody else writes this run meanwhile; makes the folder. Ctrl-C then says how to go on.

    A folder that was made here and got nothing but its lock is removed: the run could not begin.
    The lock belongs to the process, so that one which died does not block the next. Among the
    processes of torchrun the first holds it for all; the others write nothing.

    Raises:
        RunInUseError: If another process writes the run; names the process.
    """
    if not _is_first():
        yield
        return
    made_here = not run_dir.exists()
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(run_dir)
    try:
        (run_dir / LOCK_FILE).write_text(f"process {os.getpid()} on {platform.node()}")
        say_if_interrupted(lambda: how_to_go_on(run_dir))
        yield
    finally:
        lock.close()
        if made_here and [path.name for path in run_dir.iterdir()] == [LOCK_FILE]:
            (run_dir / LOCK_FILE).unlink()
            run_dir.rmdir()


def one_at_a_time[**P, R](
    train: Callable[Concatenate[Any, Path, P], R],
) -> Callable[Concatenate[Any, Path, P], R]:
    """A `train(run, run_dir, ...)` that one process at a time may do in a folder (`writing`)."""

    @wraps(train)
    def alone(run: Any, run_dir: Path, *args: P.args, **kwargs: P.kwargs) -> R:  # noqa: ANN401
        with writing(run_dir):
            return train(run, run_dir, *args, **kwargs)

    return alone


def how_to_go_on(run_dir: Path) -> str:
    """What an interrupted run left, and the command that goes on."""
    states = [*run_dir.glob("*state*.pt"), *run_dir.glob("model_*.pt")]
    if not states:
        return f"{run_dir} has no resume point yet; start again"
    if started_script() not in RESUMED_BY:
        return f"what was saved is in {run_dir}"
    command = " ".join(started_as())
    return f"what was saved is in {run_dir}; to go on: {command} --resume {run_dir}"


def save_settings(run_dir: Path, settings: object) -> None:
    """Write a run's settings whole, below the command, commit and versions that they are from."""
    from omegaconf import OmegaConf

    notes = "".join(f"# {name}: {value}\n" for name, value in made_with().items())
    text = notes + OmegaConf.to_yaml(OmegaConf.structured(settings)) + LAST_LINE
    partial = run_dir / f".{CONFIG_FILE}.partial"
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, run_dir / CONFIG_FILE)


def load_settings[Settings](run_dir: Path, kind: type[Settings]) -> Settings:
    """The settings a run was started with.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If the file is cut, empty or of another kind of run; names file and setting.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{run_dir} is no run: it has no {CONFIG_FILE}")
    structured = OmegaConf.structured(kind)
    try:
        text = path.read_text()
        found = OmegaConf.create(text)
        lacking = _lacking(OmegaConf.to_container(structured), OmegaConf.to_container(found))
        if lacking:
            raise ValueError(f"it lacks {lacking}; the file is cut, or of another version")
        if not text.endswith(LAST_LINE if text.startswith(FIRST_WORD) else "\n"):
            raise ValueError("its end is missing; restore it from a copy, or begin a new run")
        merged = OmegaConf.merge(structured, found)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"{path} does not hold the settings of a run: {said}") from error


def _lacking(wanted: object, found: object, prefix: str = "") -> str | None:
    """The first setting that a file should have and has not."""
    if not isinstance(wanted, dict):
        return None
    if not isinstance(found, dict):
        return prefix.rstrip(".") or "everything"
    for name, value in wanted.items():
        if name not in found:
            return f"{prefix}{name}"
        if value and (below := _lacking(value, found[name], f"{prefix}{name}.")):
            return below
    return None


def made_with() -> dict[str, str]:
    """How and with what this process makes something: command, commit, versions, time."""
    return {
        "command": shlex.join([*started_as(), *sys.argv[1:]]),
        "commit": git_commit(),
        "versions": ", ".join(f"{name} {there}" for name, there in _versions()),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def git_commit(clone: Path | None = CLONE) -> str:
    """The commit this code is at, "+changes" if files differ from it.

    Where no clone is, "version 0.2.0". A wheel in somebody's repository, or a copy of this one
    without its history, must not name the commit of that other repository.

    Args:
        clone: Root of the repository; None: there is none.
    """

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", *arguments], cwd=clone, capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    try:
        if clone is None or Path(git("rev-parse", "--show-toplevel")) != clone.resolve():
            return f"version {project_version()}"
        commit = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return f"version {project_version()}"
    return f"{commit}+changes" if changed else commit
