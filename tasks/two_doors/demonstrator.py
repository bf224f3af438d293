"""Who shows the way: through either door at random, slowly or fast; some miss the door."""

import torch
from torch import Tensor

from tasks.two_doors.environment import ACTION_DIM, DOORS_Y_M, GOAL_M, WALL_X_M

PACE = (0.45, 0.9)
"""Slowest and fastest, as parts of the top speed."""
FORCE_STD = 0.12
MISS_M = (0.2, 0.3)
"""How far beside the middle of a door those aim who miss it."""
BEHIND_WALL_M = 0.02
"""Before turning to the goal, aim at a point this far behind the wall."""


class Demonstrator:
    """Acts for N masses of one episode; decides anew at every step, on what it sees.

    Args:
        num_envs: N.
        seed: Of doors, paces, mistakes and shaky hands.
        miss_fraction: Probability of aiming beside the door.
    """

    def __init__(self, num_envs: int, *, seed: int = 0, miss_fraction: float = 0.25) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.door = torch.tensor(DOORS_Y_M)[(self._uniform(num_envs) < 0.5).long()]
        self.misses = self._uniform(num_envs) < miss_fraction
        self.pace = PACE[0] + (PACE[1] - PACE[0]) * self._uniform(num_envs)
        side = (self._uniform(num_envs) < 0.5).float() * 2 - 1
        off_centre = side * (MISS_M[0] + (MISS_M[1] - MISS_M[0]) * self._uniform(num_envs))
        self._aim_y = self.door + torch.where(self.misses, off_centre, 0.0)

    def __call__(self, observation: dict[str, Tensor], queue: Tensor) -> Tensor:
        """One action for each mass as a chunk of one, (N, 1, 2); `queue` has no actions."""
        del queue
        position = observation["state"][:, :2]
        through = position[:, :1] > WALL_X_M + BEHIND_WALL_M / 2
        aim = torch.stack([torch.full_like(self._aim_y, BEHIND_WALL_M), self._aim_y], dim=1)
        towards = torch.where(through, torch.tensor(GOAL_M), aim) - position
        direction = towards / towards.norm(dim=1, keepdim=True).clamp(min=1e-6)
        noise = torch.randn(len(position), ACTION_DIM, generator=self._generator)
        force = self.pace[:, None] * direction + FORCE_STD * noise
        return (force / force.norm(dim=1, keepdim=True).clamp(min=1.0))[:, None]

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, generator=self._generator)
