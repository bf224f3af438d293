"""N tables stepped together on all cores; the carrier follows its commands with an arm's lag."""

import os

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from sernf_isaac.deploy.arm.fake import approach
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.orca.joints import NUM_JOINTS
from tasks.table.scene import HAND, PHYSICS_DT_S

SUBSTEPS = round(1 / (CONTROL_RATE_HZ * PHYSICS_DT_S))
ARM_LAG_S = 0.08
"""After this time the carrier has followed a step to 63 %."""
MAX_SPEED = 200.0
"""Anything faster than this [m/s, rad/s] is a diverged simulation."""
XYZW, WXYZ = [0, 1, 2, 4, 5, 6, 3], [0, 1, 2, 6, 3, 4, 5]
"""Columns of a pose that ends in wxyz in the other order, and back."""
# State vector: time, carrier pose (wxyz), joint angles, the things' positions, velocities.
_CARRIER, _HAND = slice(1, 8), slice(8, 8 + NUM_JOINTS)
_SPEC = int(
    mujoco.mjtState.mjSTATE_CTRL
    | mujoco.mjtState.mjSTATE_MOCAP_POS
    | mujoco.mjtState.mjSTATE_MOCAP_QUAT
)


class TablePhysics:
    """N worlds of one model.

    Args:
        model: Of `tasks.table.scene`; is only read.
        num_envs: N.
        threads: To step them on; None: one per core.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, threads: int | None = None) -> None:
        self.model = model
        self._threads = threads or len(os.sched_getaffinity(0))
        self._data = [mujoco.MjData(self.model) for _ in range(self._threads)]
        self._rollout = Rollout(nthread=self._threads)
        size = mujoco.mj_stateSize(self.model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        self._things = slice(_HAND.stop, 1 + model.nq)
        self._things_velocity = slice(self._things.stop + 6 + NUM_JOINTS, size)
        self.state = np.zeros((num_envs, size))
        self._trace = np.zeros((num_envs, SUBSTEPS, size))
        self._control = np.zeros((num_envs, SUBSTEPS, NUM_JOINTS + 7 * model.nmocap))
        self._target = np.zeros((num_envs, 7))  # what the carrier follows
        self._joints = np.zeros((num_envs, NUM_JOINTS))
        self.fixtures = np.zeros((num_envs, model.nmocap - 1, 7))
        """(N, M, 7) poses of what was put down and stays, xyzw."""
        self.diverged = np.zeros(num_envs, bool)
        """(N,) whose last step went wrong; they are as they were before it."""

    def reset(
        self, things: np.ndarray, fixtures: np.ndarray, pose: np.ndarray, joints: np.ndarray
    ) -> None:
        """All worlds at rest.

        Args:
            things: (N, Q) positions of what can move, as in the model's `qpos` (wxyz).
            fixtures: (N, M, 7) poses of what stays, xyzw, in the model's order.
            pose: (7,) of all hands, xyzw.
            joints: (17,) of all hands [rad].
        """
        self.state[:] = 0.0
        self.state[:, _CARRIER] = pose[WXYZ]
        self.state[:, _HAND] = joints
        self.state[:, self._things] = things
        self._target[:] = pose
        self._joints[:] = joints
        self.fixtures[:] = fixtures

    def step(self, pose: np.ndarray, joints: np.ndarray) -> None:
        """One control step towards poses (N, 7), xyzw, and joint targets (N, 17) [rad]."""
        share = 1.0 - np.exp(-PHYSICS_DT_S / ARM_LAG_S)
        joints = np.clip(joints, HAND.lower_rad, HAND.upper_rad)
        places = NUM_JOINTS + 3 * (1 + self.fixtures.shape[1])  # positions first, then quaternions
        count = len(self.state)
        self._control[:, :, NUM_JOINTS + 3 : places] = self.fixtures[:, None, :, :3].reshape(
            count, 1, -1
        )
        self._control[:, :, places + 4 :] = self.fixtures[:, None, :, [6, 3, 4, 5]].reshape(
            count, 1, -1
        )
        for index in range(SUBSTEPS):
            self._target = approach(self._target, pose, share)
            way = (index + 1) / SUBSTEPS
            row = self._control[:, index]
            row[:, :NUM_JOINTS] = self._joints + way * (joints - self._joints)
            row[:, NUM_JOINTS : NUM_JOINTS + 3] = self._target[:, :3]
            row[:, places : places + 4] = self._target[:, [6, 3, 4, 5]]
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
        slow = np.abs(after[:, self._things.stop :]).max(axis=1) < MAX_SPEED  # false for nan
        self.diverged = ~(np.isfinite(after).all(axis=1) & slow)
        self.state[:] = np.where(self.diverged[:, None], self.state, after)

    @property
    def grip(self) -> np.ndarray:
        """(N, 7) measured poses of the grip, xyzw."""
        return self.state[:, _CARRIER][:, XYZW]

    @property
    def joint_pos(self) -> np.ndarray:
        """(N, 17) [rad]"""
        return self.state[:, _HAND]

    @property
    def things(self) -> np.ndarray:
        """(N, Q) positions of what can move, as in the model's `qpos` (wxyz)."""
        return self.state[:, self._things]

    @property
    def things_velocity(self) -> np.ndarray:
        """(N, V) of what can move, as in the model's `qvel`."""
        return self.state[:, self._things_velocity]
