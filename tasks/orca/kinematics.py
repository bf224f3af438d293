"""Forward kinematics of the fingertips in batched torch."""

import mujoco
import numpy as np
import torch
from torch import Tensor

from tasks.orca.description import Hand


class FingertipKinematics:
    """Fingertip positions from joint angles, in the frame of the world the model is built in.

    A revolute joint's transform is linear in (1, sin q, 1 - cos q), so the whole hand is one table
    of 4x4 matrices and as many batched products as the longest finger has joints (L).
    """

    def __init__(
        self, model: mujoco.MjModel, hand: Hand, device: torch.device | str = "cpu"
    ) -> None:
        chains = [_chain(model, body) for body in hand.fingertip_bodies]
        self._length = max(len(chain.joints) for chain in chains)
        tables = np.zeros((len(chains), self._length, 3, 4, 4))
        tables[:, :, 0] = np.eye(4)
        joints = np.zeros((len(chains), self._length), dtype=np.int64)
        tips = np.ones((len(chains), 4))
        for finger, chain in enumerate(chains):
            for level, joint in enumerate(chain.joints):
                tables[finger, level] = chain.tables[level]
                joints[finger, level] = hand.joint_names.index(model.joint(joint).name)
            tips[finger, :3] = hand.fingertip_centres_m[finger]
            if chain.beyond is not None:
                tips[finger] = chain.beyond @ tips[finger]
        as_float = {"dtype": torch.float32, "device": device}
        self._tables = torch.as_tensor(tables, **as_float)  # (F, L, 3, 4, 4)
        self._tips = torch.as_tensor(tips, **as_float)[..., None]  # (F, 4, 1)
        self._joints = torch.as_tensor(joints, device=device)  # (F, L)

    def __call__(self, joint_pos: Tensor) -> Tensor:
        """Joint angles (N, A) [rad] to fingertip centres (N, F, 3) [m], thumb first."""
        angle = joint_pos[:, self._joints][..., None, None]  # (N, F, L, 1, 1)
        constant, sine, versine = self._tables.unbind(2)
        transform = constant + angle.sin() * sine + (1.0 - angle.cos()) * versine
        point = self._tips.expand(len(joint_pos), -1, -1, -1)
        for level in reversed(range(self._length)):
            point = transform[:, :, level] @ point
        return point[..., :3, 0]


class _Chain:
    """The hinges from the world to a fingertip."""

    def __init__(self) -> None:
        self.joints: list[int] = []
        self.tables: list[np.ndarray] = []
        """(3, 4, 4) each; bodies without a hinge are part of the next one."""
        self.beyond: np.ndarray | None = None
        """(4, 4) from the last hinged body to the fingertip's, if that has no hinge."""


def _chain(model: mujoco.MjModel, tip_body: str) -> _Chain:
    path, body = [], model.body(tip_body).id
    while body:
        path.append(body)
        body = model.body_parentid[body]
    chain = _Chain()
    for body in reversed(path):
        place = _body_transform(model, body)
        first = model.body_jntadr[body]
        if not model.body_jntnum[body]:
            chain.beyond = place if chain.beyond is None else chain.beyond @ place
        for joint in range(first, first + model.body_jntnum[body]):
            turn = _joint_table(model, joint)
            table = place @ turn if joint == first else turn
            chain.tables.append(table if chain.beyond is None else chain.beyond @ table)
            chain.joints.append(joint)
            chain.beyond = None
    return chain


def _body_transform(model: mujoco.MjModel, body: int) -> np.ndarray:
    transform, rotation = np.eye(4), np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.body_quat[body])
    transform[:3, :3], transform[:3, 3] = rotation.reshape(3, 3), model.body_pos[body]
    return transform


def _joint_table(model: mujoco.MjModel, joint: int) -> np.ndarray:
    """(3, 4, 4): a hinge's transform as factors of 1, sin q and 1 - cos q (Rodrigues)."""
    x, y, z = model.jnt_axis[joint]
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    table = np.zeros((3, 4, 4))
    table[0] = np.eye(4)
    for row, turn in ((1, cross), (2, cross @ cross)):
        table[row, :3, :3] = turn
        table[row, :3, 3] = -turn @ model.jnt_pos[joint]  # the anchor stays where it is
    return table
