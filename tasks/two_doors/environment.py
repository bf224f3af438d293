"""The task: a point mass, a wall with two doors, and a goal behind it that is nearer to one door.

       wall
+-------|-------+     The only reward is 1 for reaching the goal (o). Hitting the wall ends the
|             o |     episode. The upper door leads to the goal sooner.
| start         |
|  *    |       |
|               |
|       |       |
+---------------+
"""

import torch
from torch import Tensor

ACTION_DIM, FEATURES = 2, {"state": 4}
PERIOD_S = 0.05
TOP_SPEED_M_S = 1.0
"""Speed at which drag balances the greatest force."""
RESPONSE = 0.4
"""Part of the difference to the speed a force sustains that is made up in one step."""
START_M, START_SPREAD_M = (-0.6, 0.0), 0.05
WALL_X_M = 0.0
DOORS_Y_M, DOOR_HALF_WIDTH_M = (0.5, -0.5), 0.12
GOAL_M, GOAL_RADIUS_M = (0.5, 0.6), 0.1
ARENA_M = 1.0
"""The mass stays within this distance of the middle, in x and in y."""
STATE_LIMIT = (ARENA_M, ARENA_M, TOP_SPEED_M_S, TOP_SPEED_M_S)
"""Greatest values of the observation; the smallest are their negatives."""


class TwoDoors:
    """N point masses that start together; one whose episode is over stays where it is.

    Observation `state` (N, 4): position and velocity. Action (N, 2): force, at most 1 in length;
    longer ones are shortened.

    Args:
        num_envs: N.
        seed: Of the starting positions.
        max_steps: Episodes are cut off after this many.
    """

    def __init__(self, num_envs: int, *, seed: int = 0, max_steps: int = 100) -> None:
        self.num_envs, self.max_steps = num_envs, max_steps
        self.succeeded = torch.zeros(num_envs, dtype=torch.bool)
        """(N,) whether the goal was reached in this episode."""
        self._over = torch.ones(num_envs, dtype=torch.bool)
        self._generator = torch.Generator().manual_seed(seed)
        self._steps = 0
        self._position = torch.zeros(num_envs, 2)
        self._velocity = torch.zeros(num_envs, 2)

    def reset(self) -> dict[str, Tensor]:
        """Put all masses at the start, at rest."""
        spread = 2 * torch.rand(self.num_envs, 2, generator=self._generator) - 1
        self._position = torch.tensor(START_M) + START_SPREAD_M * spread
        self._velocity = torch.zeros(self.num_envs, 2)
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        self._over = torch.zeros(self.num_envs, dtype=torch.bool)
        self._steps = 0
        return self._observe()

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """Push; returns observation, reward, terminated and truncated, the latter three (N,)."""
        self._steps += 1
        acting = ~self._over
        force = action / action.norm(dim=1, keepdim=True).clamp(min=1.0)
        velocity = self._velocity + RESPONSE * (TOP_SPEED_M_S * force - self._velocity)
        end = (self._position + PERIOD_S * velocity).clamp(-ARENA_M, ARENA_M)
        hit, contact = wall_contact(self._position, end)
        end = torch.where(hit[:, None], contact, end)
        self._position = torch.where(acting[:, None], end, self._position)
        self._velocity = torch.where((acting & ~hit)[:, None], velocity, 0.0)
        at_goal = (self._position - torch.tensor(GOAL_M)).norm(dim=1) < GOAL_RADIUS_M
        reached = acting & at_goal
        terminated = reached | (acting & hit)
        late = self._steps >= self.max_steps
        truncated = acting & ~terminated & late
        self.succeeded = self.succeeded | reached
        self._over = self._over | terminated | truncated
        return self._observe(), reached.float(), terminated, truncated

    def state_dict(self) -> dict:
        """What the next `reset` depends on."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._generator.set_state(state["generator"])

    def _observe(self) -> dict[str, Tensor]:
        return {"state": torch.cat([self._position, self._velocity], dim=1)}


def wall_contact(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Whether moves (N, 2) -> (N, 2) hit the wall beside the doors, and where they would cross."""
    before, after = start[:, 0] - WALL_X_M, end[:, 0] - WALL_X_M
    crosses = (before < 0) != (after < 0)
    part = torch.where(crosses, before / (before - after).where(crosses, 1.0), 0.0)
    contact = start + part[:, None] * (end - start)
    off_centre = (contact[:, 1:] - torch.tensor(DOORS_Y_M)).abs().amin(dim=1)
    return crosses & (off_centre > DOOR_HALF_WIDTH_M), contact
