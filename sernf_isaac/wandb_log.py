"""A run's numbers in Weights & Biases, beside what `metrics.py` writes; on request only.

The environment variable `SERNF_WANDB` names the project and is the only switch; how W&B itself
works is up to its own variables, such as `WANDB_MODE=offline`. Needs the extra `wandb`.
"""

import os
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import yaml

from sernf_isaac.run_folder import CONFIG_FILE

PROJECT = "SERNF_WANDB"
ID_FILE = ".wandb_id"
"""Keeps a run's name at W&B, so that a resumed run goes on there."""
STEP = "update"
"""What W&B calls our steps: its own may not go back, as those of a resumed run do."""


class Log(Protocol):
    """Of a W&B run, what is used here."""

    def define_metric(self, name: str, *, step_metric: str) -> object: ...
    def log(self, data: dict[str, float]) -> None: ...
    def finish(self) -> None: ...


def open_log(folder: Path) -> Log | None:
    """The W&B run of a run's folder; None unless `SERNF_WANDB` names a project.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If W&B cannot be used; says what would help.
    """
    project = os.environ.get(PROJECT)
    if not project:
        return None
    import wandb  # type: ignore[import-not-found]  # an extra

    settings = folder / CONFIG_FILE
    config = yaml.safe_load(settings.read_text()) if settings.is_file() else None
    try:
        run: Log = wandb.init(
            project=project,
            dir=str(folder),
            name="/".join(folder.resolve().parts[-2:]),
            id=_id_of(folder),
            resume="allow",
            config=config,
        )
    except wandb.Error as error:
        raise ValueError(
            f"Weights & Biases, which {PROJECT}={project} asks for, says: {error}; "
            "WANDB_MODE=offline needs no account"
        ) from error
    run.define_metric("*", step_metric=STEP)
    return run


def _id_of(folder: Path) -> str:
    path = folder / ID_FILE
    if not path.is_file():
        path.write_text(uuid4().hex[:8])
    return path.read_text()
