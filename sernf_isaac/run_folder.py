"""Folders of runs: a fresh one, the newest one, and the commit that a run was made with."""

import subprocess
import time
from datetime import datetime
from pathlib import Path

CONFIG_FILE = "config.yaml"
"""The settings that a run was started with."""


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
    """
    if name == "latest":
        return latest_run_dir(root)
    if not Path(name).is_dir():
        raise FileNotFoundError(f"--resume {name}: no such folder; give a run's, or none")
    return Path(name)


def git_commit(folder: Path = Path(__file__).parent) -> str:
    """The commit this code is at, "+changes" if files differ from it; "unknown" outside a clone."""

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit
