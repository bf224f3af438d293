"""A simulated task for policies that see: pictures among the observations, step by step."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tasks.table.environment import Table
from tasks.table.pictures import TableCameras


class WatchedTable:
    """A table that also observes what its cameras see, (N, 3, size, size) uint8 by view.

    Tables in which nothing moves, such as those whose episode is over, are not drawn again.

    Args:
        env: The tables.
        cameras: Draw them one after the other.
    """

    def __init__(self, env: Table, cameras: TableCameras) -> None:
        self._env, self._cameras = env, cameras
        self.num_envs, self.hold, self.succeeded = env.num_envs, env.hold, env.succeeded
        self._drawn: list[dict[str, np.ndarray]] = [{} for _ in range(env.num_envs)]
        """By table, what was observed when its pictures were drawn."""
        shape = (env.num_envs, 3, cameras.size, cameras.size)
        self._pictures = {view: torch.zeros(shape, dtype=torch.uint8) for view in cameras.views}

    def reset(self) -> dict[str, Tensor]:
        """As `Table.reset`."""
        return self._watched(self._env.reset())

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """As `Table.step`."""
        observation, reward, terminated, truncated = self._env.step(action)
        return self._watched(observation), reward, terminated, truncated

    def state_dict(self) -> dict:
        """As `Table.state_dict`."""
        return self._env.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._env.load_state_dict(state)

    def _watched(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        self.succeeded = self._env.succeeded
        for table in range(self.num_envs):
            now = {name: value[table].numpy() for name, value in observation.items()}
            if _same(now, self._drawn[table]):
                continue
            for view, image in self._cameras.images(now).items():
                self._pictures[view][table] = torch.from_numpy(image)
            self._drawn[table] = now
        return observation | {view: images.clone() for view, images in self._pictures.items()}


def _same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)
