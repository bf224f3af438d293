"""Single-task environments of OGBench, several at a time, seen as tensors."""

from collections.abc import Sequence

import numpy as np

from sernf_isaac.learning.online.gymnasium_envs import GymnasiumEnvs
from tasks.ogbench.package import make_env

ARM, HAND = 12, 7
"""Numbers at the head of every manipulation task's observation: joint positions and velocities;
gripper position 3, yaw 2, opening, contact."""


def groups(size: int) -> dict[str, slice]:
    """Observation groups, by their place among an observation's numbers.

    A token each: networks see where the hand and the objects are without first having to tell
    them apart.

    Raises:
        ValueError: If there are too few numbers for a manipulation task.
    """
    if size <= ARM + HAND:
        raise ValueError(f"{size} numbers are no observation of a manipulation task of OGBench")
    return {
        "arm": slice(0, ARM),
        "hand": slice(ARM, ARM + HAND),
        "objects": slice(ARM + HAND, size),
    }


def grouped(observation: object) -> dict[str, np.ndarray]:
    """An observation (F,) as `groups`."""
    numbers = np.asarray(observation, np.float32)
    return {name: numbers[part] for name, part in groups(len(numbers)).items()}


class OgbenchEnv(GymnasiumEnvs):
    """N environments of a single task of OGBench, seen as `groups`.

    Rewards are 0 in a solved state and -1 in all others. Episodes terminate with the first step
    that begins solved, and are cut off by OGBench's limit.

    Args:
        envs: N gymnasium environments whose `info` has `success`; `make_envs` makes them.
        seed: Of the starts; every reset goes on in their sequence.
        max_steps: Cut episodes off after this many; None: where the environments do.
    """

    def __init__(self, envs: Sequence, *, seed: int = 0, max_steps: int | None = None) -> None:
        super().__init__(envs, seed=seed, max_steps=max_steps, groups=grouped)
        self._observation_size = envs[0].observation_space.shape[0]

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of an observation, and A."""
        return self._observation_size, self.action_dim


def make_envs(task: str, count: int) -> list:
    """So many environments of a single-task benchmark.

    Raises:
        ValueError: If OGBench is not installed, has no such environment, or it has no rewards.
    """
    if "singletask" not in task:
        raise ValueError(f"'{task}' has no rewards; name a task such as cube-single-singletask-...")
    return [make_env(task) for _ in range(count)]
