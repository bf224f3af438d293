"""The 24 numbers of an action: where the arm is to carry the hand, and 17 joint targets.

In stores, queues and drivers the pose is absolute, in the robot's base frame; policies see it
relative to the pose observed at their decision (`sernf_isaac.data.pose_frame`, paper E.3).
"""

import torch
from torch import Tensor

from tasks.orca.hands import load_hand
from tasks.orca.names import FIRST_HAND

CARRIED = load_hand(FIRST_HAND)
"""The hand that arms carry."""

POSE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw")
POSE, JOINTS = slice(0, 7), slice(7, 24)
"""Parts of an action."""
ACTION_NAMES = (*POSE_NAMES, *CARRIED.joint_names)
ACTION_DIM = len(ACTION_NAMES)
POSE_GROUP, HAND_GROUP = "pose", "hand"
"""Observation groups: the measured pose (7), and the measured joints (17)."""


def hold_action(pose: Tensor, joints: Tensor) -> Tensor:
    """(..., 24) the action that stays at a pose (..., 7) with these joint targets (..., 17)."""
    if pose.shape[-1] != POSE.stop or joints.shape[-1] != len(CARRIED.joints):
        raise ValueError(
            f"expected a pose of 7 and joints of {len(CARRIED.joints)} numbers, not "
            f"{pose.shape[-1]} and {joints.shape[-1]}"
        )
    return torch.cat([pose, joints], dim=-1)
