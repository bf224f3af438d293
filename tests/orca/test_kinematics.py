"""Batched fingertip kinematics against MuJoCo's."""

import mujoco
import numpy as np
import pytest
import torch
from first_hand import FINGERTIP_BODIES, FINGERTIP_OFFSETS, JOINT_LOWER, JOINT_UPPER, JOINTS, V1

from tasks.orca.hand import hand_spec
from tasks.orca.kinematics import FingertipKinematics


@pytest.fixture(scope="module")
def hand() -> mujoco.MjModel:
    return hand_spec(V1, visual=False).compile()


def test_fingertips_are_where_mujoco_puts_them(hand: mujoco.MjModel) -> None:
    angles = np.random.default_rng(0).uniform(JOINT_LOWER, JOINT_UPPER, (200, len(JOINTS)))
    tips = FingertipKinematics(hand, V1)(torch.from_numpy(angles).float()).numpy()
    data = mujoco.MjData(hand)
    for row, expected_pose in zip(tips, angles, strict=True):
        data.qpos[:] = expected_pose
        mujoco.mj_kinematics(hand, data)
        for tip, name, offset in zip(row, FINGERTIP_BODIES, FINGERTIP_OFFSETS, strict=True):
            body = data.body(name)
            np.testing.assert_allclose(tip, body.xpos + body.xmat.reshape(3, 3) @ offset, atol=1e-6)


def test_gradient_reaches_the_joints_that_carry_each_tip(hand: mujoco.MjModel) -> None:
    angles = torch.full((1, len(JOINTS)), 0.3, requires_grad=True)
    FingertipKinematics(hand, V1)(angles)[0, 0].sum().backward()
    moved = (angles.grad[0].abs() > 1e-9).nonzero()[:, 0].tolist()
    assert moved == [0, 1, 2, 3, 4]  # the wrist and the thumb
