"""Settings of the scissors task (paper App. G) for `train_offline.py --task scissors_tape`."""

from sernf_isaac.learning.offline.run import OfflineRun
from tasks.manipulation.settings import real_robot_run
from tasks.scissors_tape.definition import TASK


def offline_run() -> OfflineRun:
    """Stages I to III on teleoperated demonstrations with three cameras."""
    return real_robot_run(TASK.name)
