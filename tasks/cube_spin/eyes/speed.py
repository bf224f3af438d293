"""How fast a renderer makes labelled pictures: a part of `scripts/gpu_report.py`."""

import time
from collections.abc import Callable

from perception.synthetic.pictures import PictureConfig
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.eyes.painters import IsaacPainters, TwinPainters

Tell = Callable[[dict], None]


def picture_speed(device: str, *, renderer: str, num_envs: int, pictures: int, tell: Tell) -> None:
    """Pictures per second of one process, labels and light included.

    Args:
        device: Of Isaac Lab.
        renderer: "isaac" or "twin".
        num_envs: Pictures that Isaac Lab takes at once.
        pictures: How many, after as many to warm up.
        tell: Hears the rate, and what a start takes.
    """
    config, started = PictureConfig(), time.monotonic()
    painters = (
        IsaacPainters(config, DEFAULT_TEACHER, 0, num_envs, device)
        if renderer == "isaac"
        else TwinPainters(config, DEFAULT_TEACHER, 0)
    )
    painter = painters()
    try:
        for _ in painter.shard("train", 0, pictures):
            pass
        tell({"start_s": time.monotonic() - started})
        started = time.monotonic()
        made = sum(1 for _ in painter.shard("train", 1, pictures))
        tell({"pictures_per_s": made / (time.monotonic() - started)})
    finally:
        painter.close()
