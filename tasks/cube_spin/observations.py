"""What teacher and student see of a task's state; the same on both simulators."""

import torch
from torch import Tensor

from tasks.cube_spin import rotations, world_terms
from tasks.cube_spin.config import ObservationConfig
from tasks.cube_spin.terms import TaskConstants, TaskState
from tasks.orca.description import Hand

POSE_SIZE = 7
"""Numbers of the cube's pose, which end each row of a student's history."""


def normalised_joints(joint_pos: Tensor, constants: TaskConstants) -> Tensor:
    """Joint angles (N, A) mapped from the nominal limits to [-1, 1]."""
    span = constants.joint_upper - constants.joint_lower
    return 2.0 * (joint_pos - constants.joint_lower) / span - 1.0


def teacher_observations(
    state: TaskState, constants: TaskConstants, config: ObservationConfig
) -> dict[str, Tensor]:
    """The teacher's observation terms in order (paper F.4b): 83 numbers, plus the optional ones."""
    quat = state.cube_quat * torch.where(state.cube_quat[:, 3:] < 0, -1.0, 1.0)
    rotation = quat
    if config.symmetric_rotation:
        rotation = rotations.reduced_rotation(state.cube_quat, constants.shape)
    terms = {
        "joint_pos": normalised_joints(state.joint_pos, constants),
        "joint_vel": state.joint_vel,
        "cube_pos": state.cube_pos - constants.cube_origin,
        "cube_quat": rotation,
        "cube_lin_vel": state.cube_lin_vel,
        "cube_ang_vel": state.cube_ang_vel,
        "command": state.command[:, None],
        "previous_action": state.action,
        "joint_command": normalised_joints(state.joint_target, constants),
        "support_left": state.support_left_s[:, None],
    }
    if config.fingertips:
        terms["tip_to_cube"] = (state.cube_pos[:, None] - state.tip_pos).flatten(1)
    if config.mean_spin:
        terms["mean_spin"] = state.mean_spin[:, None]
    if config.earlier_targets:
        earlier = [
            normalised_joints(target, constants) for target in state.earlier_targets.unbind(1)
        ]
        terms["earlier_targets"] = torch.cat(earlier, dim=1)
    if config.world:
        terms["world"] = state.world
    return terms


def observation_sizes(config: ObservationConfig, hand: Hand) -> dict[str, int]:
    """Terms of `teacher_observations` in order, and how many numbers each has."""
    joints = hand.num_joints
    sizes = {"joint_pos": joints, "joint_vel": joints}
    sizes |= {"cube_pos": 3, "cube_quat": 4, "cube_lin_vel": 3, "cube_ang_vel": 3, "command": 1}
    sizes |= {"previous_action": joints, "joint_command": joints}
    sizes |= {"support_left": 1}
    if config.fingertips:
        sizes["tip_to_cube"] = 3 * hand.num_fingertips
    if config.mean_spin:
        sizes["mean_spin"] = 1
    if config.earlier_targets:
        sizes["earlier_targets"] = 2 * joints
    if config.world:
        sizes["world"] = world_terms.SIZE
    return sizes


def command_column(config: ObservationConfig, hand: Hand) -> int:
    """Where the commanded spin stands among the teacher's observations."""
    sizes = observation_sizes(config, hand)
    return sum(list(sizes.values())[: list(sizes).index("command")])


def student_observations(state: TaskState, constants: TaskConstants) -> tuple[Tensor, Tensor]:
    """What the student sees of one step (paper F.3, Fig. 7).

    Returns:
        `history` (N, A + 7): joints A [rad], cube position 3 [m], rotation 4; one row of the
        history; `current` (N, 2 A + 1): previous action A, joint command A [rad], goal 1 [rad/s].
    """
    quat = state.cube_quat * torch.where(state.cube_quat[:, 3:] < 0, -1.0, 1.0)
    history = torch.cat([state.joint_pos, state.cube_pos - constants.cube_origin, quat], dim=1)
    current = torch.cat([state.action, state.joint_target, state.command[:, None]], dim=1)
    return history, current
