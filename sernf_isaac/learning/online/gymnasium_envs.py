"""Gymnasium environments as what stage IV acts in: several at a time, seen as tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

STATE = "state"
"""What an observation is called that is one vector."""

Groups = dict[str, np.ndarray]


class GymnasiumEnv(Protocol):
    """What is used of `gymnasium.Env`."""

    action_space: Box

    def reset(self, *, seed: int | None = None) -> tuple[object, dict]:
        """Start an episode."""
        ...

    def step(self, action: np.ndarray) -> tuple[object, float, bool, bool, dict]:
        """Observation, reward, terminated, truncated, info."""
        ...


def whole(observation: object) -> Groups:
    """A vector as the one group `STATE`; a dictionary's entries as groups of their names."""
    if isinstance(observation, Mapping):
        return {name: np.asarray(value, np.float32) for name, value in observation.items()}
    return {STATE: np.asarray(observation, np.float32)}


def said_success(info: Mapping[str, object]) -> bool:
    """Whether `info` says so, as "success" or "is_success"."""
    return bool(info.get("success", info.get("is_success", False)))


class GymnasiumEnvs:
    """N environments that start together; one whose episode is over waits for the next reset.

    An `Environment` of `sernf_isaac.learning.online.training`. Observations are groups (N, F),
    actions (N, A) in the environments' own units, clipped to their action space. The same seed
    gives the same sequence of starts, whatever is done in between.

    Args:
        envs: N single environments with a bounded `Box` of actions.
        seed: Of the starts; every reset goes on in their sequence.
        max_steps: Cut episodes off after this many; None: where the environments do.
        groups: An observation as named vectors; by default as it is.
        success: Whether an `info` says that the task is solved.

    Raises:
        ValueError: If there are no environments, or actions are no bounded `Box`.
    """

    def __init__(
        self,
        envs: Sequence[GymnasiumEnv],
        *,
        seed: int = 0,
        max_steps: int | None = None,
        groups: Callable[[object], Groups] = whole,
        success: Callable[[Mapping[str, object]], bool] = said_success,
    ) -> None:
        if not envs:
            raise ValueError("envs is empty; give at least one environment")
        space = envs[0].action_space
        if not isinstance(space, Box) or len(space.shape) != 1 or not space.is_bounded():
            raise ValueError(f"the action space must be a bounded Box of one vector, not {space}")
        self._low, self._high = torch.from_numpy(space.low), torch.from_numpy(space.high)
        self._envs, self._seed, self._max_steps = envs, seed, max_steps
        self._groups, self._success = groups, success
        self.num_envs, self.action_dim = len(envs), space.shape[0]
        self.resets = 0
        """How often so far."""
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        """(N,) whether the task was solved in this episode."""
        self._over = np.ones(self.num_envs, bool)
        self._steps = 0
        self._seen: list[Groups] = []

    def reset(self) -> dict[str, Tensor]:
        """Start N episodes."""
        first = self._seed + self.resets * self.num_envs
        self._seen = [
            self._groups(env.reset(seed=first + index)[0]) for index, env in enumerate(self._envs)
        ]
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
        moves = action.cpu().clamp(self._low, self._high).numpy()
        for index in np.flatnonzero(~self._over).tolist():
            seen, earned, ended, cut, info = self._envs[index].step(moves[index])
            self._seen[index] = self._groups(seen)
            reward[index] = float(earned)
            terminated[index], truncated[index] = bool(ended), bool(cut or late) and not ended
            self.succeeded[index] |= self._success(info)
            self._over[index] = ended or cut or late
        return self._observe(), reward, terminated, truncated

    def state_dict(self) -> dict:
        """What the next `reset` depends on."""
        return {"resets": self.resets}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.resets = state["resets"]

    def _observe(self) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(np.stack([seen[name] for seen in self._seen]))
            for name in self._seen[0]
        }
