"""N tables stepped together on all cores; the carrier follows its commands with an arm's lag."""

import functools
import os

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from sernf_isaac.deploy.arm.fake import approach
from tasks.duck_bowl.configurations import Configuration
from tasks.duck_bowl.scene import DUCK_REST_M, HAND, PHYSICS_DT_S, scene_model
from tasks.orca.joints import NUM_JOINTS

CONTROL_RATE_HZ = 10
SUBSTEPS = round(1 / (CONTROL_RATE_HZ * PHYSICS_DT_S))
ARM_LAG_S = 0.08
"""After this time the carrier has followed a step to 63 %."""
MAX_SPEED = 200.0
"""Anything faster than this [m/s, rad/s] is a diverged simulation."""
# State vector: time, carrier pose (wxyz), joint angles, duck pose (wxyz), velocities of the same.
_CARRIER, _HAND = slice(1, 8), slice(8, 8 + NUM_JOINTS)
_DUCK = slice(_HAND.stop, _HAND.stop + 7)
_VELOCITY = _DUCK.stop
_XYZW, _WXYZ = [0, 1, 2, 4, 5, 6, 3], [0, 1, 2, 6, 3, 4, 5]
_SPEC = int(
    mujoco.mjtState.mjSTATE_CTRL
    | mujoco.mjtState.mjSTATE_MOCAP_POS
    | mujoco.mjtState.mjSTATE_MOCAP_QUAT
)


@functools.cache
def _scene() -> mujoco.MjModel:
    """Compiled once per process; worlds only read it."""
    return scene_model()


class TablePhysics:
    """N worlds of one model.

    Args:
        num_envs: N.
        threads: To step them on; None: one per core.
    """

    def __init__(self, num_envs: int, threads: int | None = None) -> None:
        self.model = _scene()
        self._threads = threads or len(os.sched_getaffinity(0))
        self._data = [mujoco.MjData(self.model) for _ in range(self._threads)]
        self._rollout = Rollout(nthread=self._threads)
        size = mujoco.mj_stateSize(self.model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        self.state = np.zeros((num_envs, size))
        self._trace = np.zeros((num_envs, SUBSTEPS, size))
        self._control = np.zeros((num_envs, SUBSTEPS, NUM_JOINTS + 14))
        self._target = np.zeros((num_envs, 7))  # what the carrier follows
        self._joints = np.zeros((num_envs, NUM_JOINTS))
        self._bowl = np.zeros((num_envs, 3))
        self.diverged = np.zeros(num_envs, bool)
        """(N,) whose last step went wrong; they are as they were before it."""

    def reset(self, starts: list[Configuration], pose: np.ndarray, joints: np.ndarray) -> None:
        """All worlds at rest: hands at a pose (7,) with joints (17,), ducks and bowls as given."""
        self.state[:] = 0.0
        self.state[:, _CARRIER] = pose[_WXYZ]
        self.state[:, _HAND] = joints
        for row, start in zip(self.state, starts, strict=True):
            half = start.duck_yaw_rad / 2
            row[_DUCK] = (*start.duck_xy_m, DUCK_REST_M, np.cos(half), 0, 0, np.sin(half))
        self._target[:] = pose
        self._joints[:] = joints
        self._bowl[:, :2] = [start.bowl_xy_m for start in starts]

    def step(self, pose: np.ndarray, joints: np.ndarray) -> None:
        """One control step towards poses (N, 7), xyzw, and joint targets (N, 17) [rad]."""
        share = 1.0 - np.exp(-PHYSICS_DT_S / ARM_LAG_S)
        joints = np.clip(joints, HAND.lower_rad, HAND.upper_rad)
        for index in range(SUBSTEPS):
            self._target = approach(self._target, pose, share)
            way = (index + 1) / SUBSTEPS
            row = self._control[:, index]
            row[:, :NUM_JOINTS] = self._joints + way * (joints - self._joints)
            row[:, NUM_JOINTS : NUM_JOINTS + 3] = self._target[:, :3]
            row[:, NUM_JOINTS + 3 : NUM_JOINTS + 6] = self._bowl
            row[:, NUM_JOINTS + 6 : NUM_JOINTS + 10] = self._target[:, [6, 3, 4, 5]]
            row[:, NUM_JOINTS + 10] = 1.0  # the bowl stands upright
        self._joints = joints
        self._rollout.rollout(
            [self.model] * len(self.state),
            self._data,
            self.state,
            self._control,
            control_spec=_SPEC,
            skip_checks=True,
            nstep=SUBSTEPS,
            state=self._trace,
        )
        after = self._trace[:, -1]
        slow = np.abs(after[:, _VELOCITY:]).max(axis=1) < MAX_SPEED  # false for nan
        self.diverged = ~(np.isfinite(after).all(axis=1) & slow)
        self.state[:] = np.where(self.diverged[:, None], self.state, after)

    @property
    def grip(self) -> np.ndarray:
        """(N, 7) measured poses of the grip, xyzw."""
        return self.state[:, _CARRIER][:, _XYZW]

    @property
    def joint_pos(self) -> np.ndarray:
        """(N, 17) [rad]"""
        return self.state[:, _HAND]

    @property
    def duck(self) -> np.ndarray:
        """(N, 7) poses of the duck, xyzw."""
        return self.state[:, _DUCK][:, _XYZW]

    @property
    def duck_speed(self) -> np.ndarray:
        """(N,) [m/s]"""
        first = _VELOCITY + 6 + NUM_JOINTS
        return np.linalg.norm(self.state[:, first : first + 3], axis=1)

    @property
    def bowl(self) -> np.ndarray:
        """(N, 3) middle of the bowl on the table."""
        return self._bowl
