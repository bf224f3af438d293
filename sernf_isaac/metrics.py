"""Where a run's numbers go: TensorBoard for looking, one CSV file for everything else.

On request they go to Weights & Biases as well, see `wandb_log.py`.
"""

import csv
import os
from pathlib import Path
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from sernf_isaac import wandb_log

CSV_FILE = "metrics.csv"


class MetricsWriter:
    """Scalars by name and step, in TensorBoard events and in a long CSV (step, name, value).

    Args:
        folder: The run's folder.
        first_step: Steps from here on are about to be (re)written: what an interrupted run logged
            beyond its last resume point is dropped.

    Raises:
        ImportError, ValueError: If W&B is asked for and cannot be used.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._remote = wandb_log.open_log(folder)
        kept = _rows_before(folder / CSV_FILE, first_step)
        self._events = SummaryWriter(str(folder), purge_step=first_step)
        with (folder / f".{CSV_FILE}.partial").open("w", newline="") as file:
            csv.writer(file).writerows([("step", "name", "value"), *kept])
        os.replace(folder / f".{CSV_FILE}.partial", folder / CSV_FILE)
        self._file = (folder / CSV_FILE).open("a", newline="")
        self._csv = csv.writer(self._file)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Log all of `metrics` at this step."""
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)
            self._csv.writerow((step, name, repr(float(value))))
        if self._remote and metrics:
            self._remote.log({wandb_log.STEP: step, **metrics})

    def flush(self) -> None:
        """Bring everything to disk; call at every resume point."""
        self._events.flush()
        self._file.flush()

    def close(self) -> None:
        """Flush and close all of them."""
        self._events.close()
        self._file.close()
        if self._remote:
            self._remote.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_metrics(folder: Path, name: str) -> list[tuple[int, float]]:
    """One metric of a run as (step, value) pairs.

    Raises:
        FileNotFoundError: If the folder holds no metrics.
    """
    path = folder / CSV_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {CSV_FILE}")
    with path.open(newline="") as file:
        return [
            (int(r["step"]), float(r["value"])) for r in csv.DictReader(file) if r["name"] == name
        ]


def _rows_before(path: Path, step: int) -> list[tuple[str, str, str]]:
    if step <= 0 or not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = [(r["step"], r["name"], r["value"]) for r in csv.DictReader(file)]
    return [row for row in rows if None not in row and int(row[0]) < step]
