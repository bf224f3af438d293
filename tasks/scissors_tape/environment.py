"""The simulated scissors task: N tables that start together, seen as tensors."""

import functools
from collections.abc import Callable

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.scissors_tape.configurations import Configuration, draw
from tasks.scissors_tape.scene import HINGE_M, OPEN_RAD, TOOL_REST_M, scene_model
from tasks.scissors_tape.strip import Strips
from tasks.scissors_tape.task import TIME_LIMIT_S, judge
from tasks.table.environment import HAND_FEATURES, Outcome, Table
from tasks.table.physics import XYZW
from tasks.table.poses import places_seen_from, seen_from, yaw_of

FEATURES = {**HAND_FEATURES, "tool": 8, "tape": 5, "stand": 4}
"""The grip's pose and the joints as measured. Seen from the grip: the scissors' pose and the angle
between the blades; where the strip is to be cut next, its yaw and the share of it that is cut; the
stand's place and yaw."""
MAX_STEPS = round(TIME_LIMIT_S * CONTROL_RATE_HZ)


@functools.cache
def _scene() -> mujoco.MjModel:
    """Compiled once per process; worlds only read it."""
    return scene_model()


class ScissorsTape(Table[Configuration]):
    """N tables with scissors on a stand and a strip of tape.

    Args:
        num_envs: N.
        seed: Of the starts.
        starts: Where things stand at the next reset, given the generator; N of them. By default
            drawn to practise on.
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
        self._grasped = np.zeros(num_envs, bool)
        self.strips = Strips(num_envs)

    @property
    def opening_rad(self) -> np.ndarray:
        """(N,) angle between the blades."""
        return self.physics.things[:, 7]

    @property
    def tool(self) -> np.ndarray:
        """(N, 7) poses of the scissors at the handles' middle, xyzw."""
        hinge = self._hinge()
        forward = Rotation.from_quat(hinge[:, 3:]).apply([-HINGE_M, 0, 0])
        return np.concatenate([hinge[:, :3] + forward, hinge[:, 3:]], axis=1)

    def _hinge(self) -> np.ndarray:
        """(N, 7) poses of the middle between the halves, at the hinge."""
        half = self.physics.things[:, XYZW]
        turn = Rotation.from_euler("z", self.opening_rad[:, None] / 2)
        middle = (Rotation.from_quat(half[:, 3:]) * turn).as_quat()
        return np.concatenate([half[:, :3], middle], axis=1)

    def _begin(self, starts: list[Configuration]) -> tuple[np.ndarray, np.ndarray]:
        self._grasped[:] = False
        tool = np.array([(*start.tool_xy_m, start.tool_yaw_rad) for start in starts])
        tape = np.array([(*start.tape_xy_m, start.tape_yaw_rad) for start in starts])
        self.strips.hang(tape[:, :2], tape[:, 2])
        things = np.zeros((self.num_envs, 8))
        behind = np.stack([np.cos(tool[:, 2]), np.sin(tool[:, 2])], axis=1)
        things[:, :2], things[:, 2] = tool[:, :2] + HINGE_M * behind, TOOL_REST_M
        half = (tool[:, 2] - OPEN_RAD / 2) / 2
        things[:, 3], things[:, 6], things[:, 7] = np.cos(half), np.sin(half), OPEN_RAD
        fixtures = np.zeros((self.num_envs, 2, 7))
        for index, place in enumerate((tool, tape)):
            fixtures[:, index, :2] = place[:, :2]
            fixtures[:, index, 5], fixtures[:, index, 6] = (
                np.sin(place[:, 2] / 2),
                np.cos(place[:, 2] / 2),
            )
        return things, fixtures

    def _judge(self, good: np.ndarray) -> Outcome:
        self.strips.meet(self._hinge(), self.opening_rad, good)
        verdict = judge(self.tool, self.physics.grip, self.strips.share, self._grasped)
        self._grasped = np.where(good, verdict.grasped, self._grasped)
        return Outcome(verdict.reward, verdict.terminated, verdict.succeeded)

    def _see(self, rows: np.ndarray, grip: np.ndarray) -> tuple[np.ndarray, ...]:
        tool = np.column_stack([seen_from(grip, self.tool[rows]), self.opening_rad[rows]])
        pose = self.physics.fixtures[rows, 0]
        stand = np.column_stack([pose[:, :3], yaw_of(pose)])
        tape = places_seen_from(grip, self.strips.ahead[rows])
        share = self.strips.share[rows]
        return tool, np.column_stack([tape, share]), places_seen_from(grip, stand)
