"""Forward kinematics of the fingertips in batched torch."""

import mujoco
import numpy as np
import torch
from torch import Tensor

from tasks.orca.description import Hand

CHAIN_LENGTH = 5
"""Joints from the root to a thumb tip: the wrist and four more; fingers have one less."""


class FingertipKinematics:
    """Fingertip positions from joint angles, in the frame of the world the model is built in.

    A revolute joint's transform is linear in (1, sin q, 1 - cos q), so the whole hand is one table
    of 4x4 matrices and five batched products.
    """

    def __init__(
        self, model: mujoco.MjModel, hand: Hand, device: torch.device | str = "cpu"
    ) -> None:
        bodies, centres = hand.fingertip_bodies, hand.fingertip_centres_m
        tables = np.zeros((len(bodies), CHAIN_LENGTH, 3, 4, 4))
        tables[:, :, 0] = np.eye(4)
        joints = np.zeros((len(bodies), CHAIN_LENGTH), dtype=np.int64)
        for finger, body_name in enumerate(bodies):
            chain = _bodies_with_joint(model, body_name)
            base = _static_transform(model, model.body_parentid[chain[0]])
            for level, body in enumerate(chain):
                joint = model.body_jntadr[body]
                table = _joint_table(model, body, joint)
                tables[finger, level] = base @ table if level == 0 else table
                joints[finger, level] = hand.joint_names.index(model.joint(joint).name)
        tips = np.concatenate([centres, np.ones((len(bodies), 1))], axis=1)
        as_float = {"dtype": torch.float32, "device": device}
        self._tables = torch.as_tensor(tables, **as_float)  # (5, L, 3, 4, 4)
        self._tips = torch.as_tensor(tips, **as_float)[..., None]  # (5, 4, 1)
        self._joints = torch.as_tensor(joints, device=device)  # (5, L)

    def __call__(self, joint_pos: Tensor) -> Tensor:
        """Joint angles (N, 17) [rad] to fingertip centres (N, 5, 3) [m], thumb first."""
        angle = joint_pos[:, self._joints][..., None, None]  # (N, 5, L, 1, 1)
        constant, sine, versine = self._tables.unbind(2)
        transform = constant + angle.sin() * sine + (1.0 - angle.cos()) * versine
        point = self._tips.expand(len(joint_pos), -1, -1, -1)
        for level in reversed(range(CHAIN_LENGTH)):
            point = transform[:, :, level] @ point
        return point[..., :3, 0]


def _bodies_with_joint(model: mujoco.MjModel, tip_body: str) -> list[int]:
    """Bodies from the wrist's to the fingertip's, each carrying one hinge."""
    chain, body = [], model.body(tip_body).id
    while body and model.body_jntnum[body] == 1:
        chain.append(body)
        body = model.body_parentid[body]
    return chain[::-1]


def _static_transform(model: mujoco.MjModel, body: int) -> np.ndarray:
    """World transform (4, 4) of a body that hangs on jointless bodies only."""
    transform = np.eye(4)
    while body:
        transform = _body_transform(model, body) @ transform
        body = model.body_parentid[body]
    return transform


def _body_transform(model: mujoco.MjModel, body: int) -> np.ndarray:
    transform, rotation = np.eye(4), np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.body_quat[body])
    transform[:3, :3], transform[:3, 3] = rotation.reshape(3, 3), model.body_pos[body]
    return transform


def _joint_table(model: mujoco.MjModel, body: int, joint: int) -> np.ndarray:
    """(3, 4, 4): transform of a hinged body as factors of 1, sin q and 1 - cos q (Rodrigues)."""
    x, y, z = model.jnt_axis[joint]
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    table = np.zeros((3, 4, 4))
    table[0] = np.eye(4)
    for row, turn in ((1, cross), (2, cross @ cross)):
        table[row, :3, :3] = turn
        table[row, :3, 3] = -turn @ model.jnt_pos[joint]  # the anchor stays where it is
    return _body_transform(model, body) @ table
