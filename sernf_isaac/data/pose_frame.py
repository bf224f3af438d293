"""Actions that hold a pose, seen from where the hand is: what networks get in the arm tasks.

The paper's arm tasks predict "relative positions of the end effector within the current pose frame"
(E.3): every pose of a chunk is relative to the one pose observed at the decision. Only networks see
such actions. Stored episodes, queues, guards and drivers hold poses in the robot's base frame, so a
prefix that was predicted in an older frame is already anchored anew when it is expressed in the
frame of the decision it is handed to; `windows.gather` and `ChunkPolicy.decide` do just that.

A pose is x y z [m] and a quaternion xyzw; it comes first in an action, what follows is left alone.
"""

import roma
import torch
from torch import Tensor

POSE_SIZE = 7
SHORTEST_QUATERNION = 0.1
"""Quaternions are made unit ones; those shorter than this have no direction to speak of."""


def relative_to(pose: Tensor, actions: Tensor) -> Tensor:
    """Actions (B, T, A) in the base frame, seen from poses (B, 7): T_pose^-1 · T_action.

    Rotations come out as unit quaternions with w >= 0.

    Raises:
        ValueError: If sizes do not fit, or a quaternion is none.
    """
    position, turn, rest = _parts(pose, actions)
    origin, frame = _origin(pose, len(actions), actions.shape[1])
    back = roma.quat_conjugation(frame)
    turned = roma.quat_product(back, turn)
    turned = torch.where(turned[..., 3:] < 0, -turned, turned)
    return torch.cat([roma.quat_action(back, position - origin), turned, rest], dim=-1)


def absolute_from(pose: Tensor, actions: Tensor) -> Tensor:
    """The inverse of `relative_to`: T_pose · T_action, (B, T, A).

    Rotations come out as unit quaternions; of q and -q the one nearer to the pose's, as long as
    relative rotations have w >= 0.

    Raises:
        ValueError: As for `relative_to`.
    """
    position, turn, rest = _parts(pose, actions)
    origin, frame = _origin(pose, len(actions), actions.shape[1])
    turned = roma.quat_product(frame, turn)
    return torch.cat([origin + roma.quat_action(frame, position), turned, rest], dim=-1)


def pose_in(observation: dict[str, Tensor], group: str) -> Tensor:
    """The newest pose (B, 7) of an observation; `group` is (B, 7), or (B, O, 7) as a history.

    Raises:
        ValueError: If there is no such group, or it holds no poses.
    """
    if group not in observation:
        raise ValueError(f"the observation lacks '{group}'; it has {sorted(observation)}")
    pose = observation[group]
    if pose.shape[-1] != POSE_SIZE or pose.ndim not in (2, 3):
        raise ValueError(f"group '{group}' holds no poses of {POSE_SIZE} numbers: {pose.shape}")
    return pose if pose.ndim == 2 else pose[:, -1]


def _parts(pose: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (B, T, 3), unit quaternions (B, T, 4) and the rest (B, T, A - 7) of actions."""
    if actions.ndim != 3 or actions.shape[-1] < POSE_SIZE:
        raise ValueError(f"actions must be (B, T, A >= {POSE_SIZE}), not {tuple(actions.shape)}")
    if pose.shape != (len(actions), POSE_SIZE):
        raise ValueError(f"poses must be ({len(actions)}, {POSE_SIZE}), not {tuple(pose.shape)}")
    turn = _unit(actions[..., 3:POSE_SIZE], "an action")
    return actions[..., :3], turn, actions[..., POSE_SIZE:]


def _origin(pose: Tensor, batch: int, steps: int) -> tuple[Tensor, Tensor]:
    """Positions (B, T, 3) and unit quaternions (B, T, 4) of the frames, one for all T."""
    frame = _unit(pose[:, 3:], "an observed pose")
    shape = (batch, steps, -1)
    return pose[:, None, :3].expand(shape), frame[:, None].expand(shape)


def _unit(quaternion: Tensor, what: str) -> Tensor:
    length = quaternion.norm(dim=-1, keepdim=True)
    if not (length > SHORTEST_QUATERNION).all():  # also true for nan
        index = tuple((~(length[..., 0] > SHORTEST_QUATERNION)).nonzero()[0].tolist())
        raise ValueError(
            f"the rotation of {what} is {quaternion[index].tolist()} at index {index}, "
            "which is no quaternion"
        )
    return quaternion / length
