"""The simulated duck task: N tables that start together, seen as tensors."""

import functools
from collections.abc import Callable

import mujoco
import numpy as np

from tasks.duck_bowl.configurations import Configuration, draw
from tasks.duck_bowl.scene import DUCK_REST_M, scene_model
from tasks.duck_bowl.task import TIME_LIMIT_S, judge
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.table.environment import HAND_FEATURES, HOME, Outcome, Table
from tasks.table.physics import XYZW
from tasks.table.poses import seen_from

FEATURES = {**HAND_FEATURES, "duck": 7, "bowl": 3}
"""The grip's pose and the joints as measured; the duck's pose and the bowl's middle as seen from
the grip."""
MAX_STEPS = round(TIME_LIMIT_S * CONTROL_RATE_HZ)


@functools.cache
def _scene() -> mujoco.MjModel:
    """Compiled once per process; worlds only read it."""
    return scene_model()


class DuckBowl(Table[Configuration]):
    """N tables with a duck and a bowl.

    Args:
        num_envs: N.
        seed: Of the starts.
        starts: Where duck and bowl stand at the next reset, given the generator; N of them. By
            default drawn to practise on.
        threads: To step on; None: one per core.
    """

    def __init__(
        self,
        num_envs: int,
        *,
        seed: int = 0,
        starts: Callable[[np.random.Generator], list[Configuration]] | None = None,
        threads: int | None = None,
    ) -> None:
        starts = starts or (lambda rng: [draw(rng) for _ in range(num_envs)])
        at_once = (_scene(), FEATURES, num_envs)
        super().__init__(*at_once, max_steps=MAX_STEPS, starts=starts, seed=seed, threads=threads)
        self._lifted = np.zeros(num_envs, bool)

    @property
    def duck(self) -> np.ndarray:
        """(N, 7) poses of the duck, xyzw."""
        return self.physics.things[:, XYZW]

    @property
    def bowl(self) -> np.ndarray:
        """(N, 3) middle of the bowl on the table."""
        return self.physics.fixtures[:, 0, :3]

    def _begin(self, starts: list[Configuration]) -> tuple[np.ndarray, np.ndarray]:
        self._lifted[:] = False
        things, bowls = np.zeros((self.num_envs, 7)), np.zeros((self.num_envs, 1, 7))
        for row, start in zip(things, starts, strict=True):
            half = start.duck_yaw_rad / 2
            row[:] = (*start.duck_xy_m, DUCK_REST_M, np.cos(half), 0, 0, np.sin(half))
        bowls[:, 0, :2] = [start.bowl_xy_m for start in starts]
        bowls[:, 0, 6] = 1.0  # the bowl stands upright
        return things, bowls

    def _judge(self, good: np.ndarray) -> Outcome:
        speed = np.linalg.norm(self.physics.things_velocity[:, :3], axis=1)
        verdict = judge(self.duck, self.physics.grip, self.bowl, speed, self._lifted)
        self._lifted = np.where(good, verdict.lifted, self._lifted)
        return Outcome(verdict.reward, verdict.terminated, verdict.succeeded)

    def _see(self, rows: np.ndarray, grip: np.ndarray) -> tuple[np.ndarray, ...]:
        upright = np.tile(HOME[3:], (len(grip), 1))
        bowl = np.concatenate([self.bowl[rows], upright], axis=1)
        return seen_from(grip, self.duck[rows]), seen_from(grip, bowl)[:, :3]
