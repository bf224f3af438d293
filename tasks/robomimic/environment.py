"""robosuite environments, several processes at a time, seen as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tasks.robomimic.client import RobosuiteClient, Seen

IMAGE_DIMS = 3
MAX_STEPS = 400
"""20 s at 20 Hz, the horizon of robomimic's rollouts of Lift, Can and Square."""


class RobosuiteEnv:
    """N environments that start together; one whose episode is over waits for the next reset.

    Numbers are (N, F) float32, images (N, 3, h, w) uint8, actions (N, A) are clipped to their
    bounds. An episode terminates with success, as robomimic's rollouts do, and is cut off after
    `max_steps`. The same seed gives the same sequence of starts.

    Args:
        clients: One per environment, telling the same observations.
        seed: Of the starts; every reset goes on in their sequence.
        max_steps: Of an episode.

    Raises:
        ValueError: If there is no client.
    """

    def __init__(
        self, clients: Sequence[RobosuiteClient], *, seed: int = 0, max_steps: int = MAX_STEPS
    ) -> None:
        if not clients:
            raise ValueError("no client: at least one environment is needed")
        self._clients, self._seed, self._max_steps = clients, seed, max_steps
        self.num_envs = len(clients)
        self.started = 0
        """Episodes so far."""
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        """(N,) whether the task was done in this episode."""
        self._over = np.ones(self.num_envs, bool)
        self._steps = 0
        self._seen: list[Seen] = []

    @property
    def hold(self) -> Tensor:
        """(A,) the action that keeps still; the gripper keeps doing what it did."""
        return torch.zeros(len(self._clients[0].action_low))

    def reset(self) -> dict[str, Tensor]:
        """Start N episodes."""
        for index, client in enumerate(self._clients):
            client.begin_reset(self._seed + self.started + index)
        self._seen = [client.finish() for client in self._clients]
        self.started += self.num_envs
        self._over = np.zeros(self.num_envs, bool)
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        self._steps = 0
        return self._observe()

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """Act; returns observation, reward, terminated and truncated, the latter three (N,)."""
        acting = np.flatnonzero(~self._over).tolist()
        for index in acting:
            client = self._clients[index]
            move = action[index].double().cpu().numpy()
            client.begin_step(np.clip(move, client.action_low, client.action_high))
        self._steps += 1
        reward = torch.zeros(self.num_envs)
        terminated, truncated = (torch.zeros(self.num_envs, dtype=torch.bool) for _ in range(2))
        for index in acting:
            self._seen[index] = seen = self._clients[index].finish()
            reward[index], terminated[index] = seen.reward, seen.succeeded
            truncated[index] = self._steps >= self._max_steps and not seen.succeeded
        self.succeeded |= terminated
        self._over |= (terminated | truncated).numpy()
        return self._observe(), reward, terminated, truncated

    def state_dict(self) -> dict:
        """What the next `reset` depends on."""
        return {"started": self.started}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.started = state["started"]

    def _observe(self) -> dict[str, Tensor]:
        names = self._seen[0].observation
        return {
            name: torch.stack([_tensor(seen.observation[name]) for seen in self._seen])
            for name in names
        }


def _tensor(value: np.ndarray) -> Tensor:
    if value.dtype == np.uint8 and value.ndim == IMAGE_DIMS:
        return torch.from_numpy(np.ascontiguousarray(value.transpose(2, 0, 1)))
    return torch.from_numpy(value.astype(np.float32).reshape(-1))
