"""How a learner waits for the robot: says so, leaves signs of life, and looks again."""

import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from sernf_isaac.data.store.channel import beat
from sernf_isaac.learning.workers import Workers

LOOK_EVERY_S = 1.0


def waiting(run: Path, workers: Workers) -> Callable[[float, float], None]:
    """What `finetune` calls with the minutes that are there and those needed, until they are."""

    def wait(there: float, needed: float) -> None:
        if workers.writes:
            tqdm.write(f"waiting for data: {there:.1f} of {needed:.1f} minutes", end="\r")
            info = {"waiting_for_minutes": needed, "data/minutes": there}
            beat(run, "learner", info, keep=True)
        time.sleep(LOOK_EVERY_S)

    return wait
