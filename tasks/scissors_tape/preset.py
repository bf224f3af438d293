"""Settings of the scissors task: the paper's (App. G), and sizes for one core in simulation."""

from dataclasses import replace

from sernf_isaac.learning.offline.run import OfflineRun
from sernf_isaac.learning.online.in_memory import FourStageRun
from tasks.duck_bowl import preset as duck
from tasks.manipulation.settings import real_robot_run
from tasks.scissors_tape.definition import TASK

IMITATION_STEPS = 3_000
"""Twice the duck's, for more than twice its data."""
UPDATES_PER_STEP = 0.5
"""500 to 1,500 after ten rollouts of 100 to 300 steps; the paper has 500 (App. B)."""


def offline_run() -> OfflineRun:
    """Stages I to III on teleoperated demonstrations with three cameras."""
    return real_robot_run(TASK.name)


def simulated(seed: int, kind: str = "flow") -> FourStageRun:
    """All stages on the simulated table: networks and rates of the duck.

    Args:
        seed: Of weights, batches and starts.
        kind: Of the policy, one of `architecture.KINDS`; those without a likelihood only imitate.
    """
    run = duck.simulated(seed, kind)
    # 50 rollouts in 5 rounds; the number of steps only bounds them.
    online = replace(run.online, env_steps=50 * 300, updates_per_step=UPDATES_PER_STEP)
    return replace(run, imitation_steps=IMITATION_STEPS, online=online)
