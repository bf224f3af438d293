"""Settings of the imitation route by task, for `scripts/train_offline.py --task NAME`.

A preset is a function without arguments that returns an `OfflineRun`. It is imported only when it
is asked for, so that no task needs what another one is made of.
"""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from sernf_isaac.learning.offline.run import OfflineRun

PRESETS = {
    "duck_bowl": "tasks.duck_bowl.preset:offline_run",
    "scissors_tape": "tasks.scissors_tape.preset:offline_run",
    "robomimic": "tasks.robomimic.preset:offline_run",
}
"""Where each task's function is, as "module:function"."""


def preset(task: str) -> OfflineRun:
    """The settings of a task.

    Raises:
        ValueError: If no task has this name; names the nearest one.
    """
    if task not in PRESETS:
        near = get_close_matches(task, PRESETS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"no preset '{task}'; there are {sorted(PRESETS)}{hint}")
    module, _, function = PRESETS[task].partition(":")
    make = cast("Callable[[], OfflineRun]", getattr(import_module(module), function))
    return make()
