"""Single-task environments of OGBench, several at a time, seen as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

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


class OgbenchEnv:
    """N environments that start together; one whose episode is over waits for the next reset.

    Observations are `groups`, each (N, F), actions (N, A) in [-1, 1], rewards 0 in a solved state
    and -1 in all others. Episodes terminate with the first step that begins solved, and are cut
    off by OGBench's limit. The same seed gives the same sequence of starts, whatever is done in
    between.

    Args:
        envs: N gymnasium environments whose `info` has `success`; `make_envs` makes them.
        seed: Of the starts; every reset goes on in their sequence.
        max_steps: Cut episodes off after this many; None: where the environments do.
    """

    def __init__(self, envs: Sequence, *, seed: int = 0, max_steps: int | None = None) -> None:
        self._envs, self._seed, self._max_steps = envs, seed, max_steps
        self.num_envs = len(envs)
        self.resets = 0
        """How often so far."""
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        """(N,) whether the task was solved in this episode."""
        self._over = np.ones(self.num_envs, bool)
        self._steps = 0
        self._seen = np.zeros((self.num_envs, 1), np.float32)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of an observation, and A."""
        env = self._envs[0]
        return env.observation_space.shape[0], env.action_space.shape[0]

    def reset(self) -> dict[str, Tensor]:
        """Start N episodes."""
        first = self._seed + self.resets * self.num_envs
        starts = [env.reset(seed=first + index)[0] for index, env in enumerate(self._envs)]
        self._seen = np.stack(starts).astype(np.float32)
        self._over = np.zeros(self.num_envs, bool)
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        self.resets += 1
        self._steps = 0
        return self._observe()

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """Act; returns observation, reward, terminated and truncated, the latter three (N,)."""
        self._steps += 1
        late = self._max_steps is not None and self._steps >= self._max_steps
        reward = torch.zeros(self.num_envs)
        terminated, truncated = (torch.zeros(self.num_envs, dtype=torch.bool) for _ in range(2))
        for index in np.flatnonzero(~self._over).tolist():
            moved = action[index].clamp(-1, 1).cpu().numpy()
            seen, earned, ended, cut, info = self._envs[index].step(moved)
            self._seen[index] = seen
            reward[index] = float(earned)
            terminated[index], truncated[index] = bool(ended), bool(cut or late) and not ended
            self.succeeded[index] |= bool(info["success"])
            self._over[index] = ended or cut or late
        return self._observe(), reward, terminated, truncated

    def state_dict(self) -> dict:
        """What the next `reset` depends on."""
        return {"resets": self.resets}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.resets = state["resets"]

    def _observe(self) -> dict[str, Tensor]:
        seen = torch.from_numpy(self._seen.copy())
        return {name: seen[:, part] for name, part in groups(seen.shape[1]).items()}


def make_envs(task: str, count: int) -> list:
    """So many environments of a single-task benchmark.

    Raises:
        ValueError: If OGBench is not installed, has no such environment, or it has no rewards.
    """
    if "singletask" not in task:
        raise ValueError(f"'{task}' has no rewards; name a task such as cube-single-singletask-...")
    return [make_env(task) for _ in range(count)]
