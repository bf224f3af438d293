"""The task's mathematics, once: pure torch, batched over N environments, no simulator.

Isaac Lab's manager terms (`mdp/`) and the MuJoCo twin (`twin.py`) both call these functions.
Frames: positions are relative to the hand's root with world-aligned axes (z up), metres; rotations
are unit quaternions xyzw from cube to world; spin is the angular velocity about +z [rad/s].
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.cube_spin import rotations
from tasks.cube_spin.config import (
    CONTROL_DT_S,
    ROUNDING_S,
    ActionConfig,
    CommandConfig,
    EpisodeConfig,
    RewardConfig,
)


@dataclass
class TaskState:
    """All that observations, rewards and terminations may look at after one control step."""

    joint_pos: Tensor  # (N, A) [rad]
    joint_vel: Tensor  # (N, A) [rad/s]
    cube_pos: Tensor  # (N, 3)
    cube_quat: Tensor  # (N, 4)
    cube_lin_vel: Tensor  # (N, 3)
    cube_ang_vel: Tensor  # (N, 3) [rad/s], world axes
    tip_pos: Tensor  # (N, F, 3), thumb first
    joint_target: Tensor  # (N, A) smoothed target the servos follow
    action: Tensor  # (N, A) newest action, as the policy gave it
    previous_action: Tensor  # (N, A)
    joint_acc: Tensor  # (N, A) [rad/s^2], finite difference over the control step
    spin: Tensor  # (N, 3) mean angular velocity over the control step, from the rotation difference
    previous_spin: Tensor  # (N, 3)
    mean_spin: Tensor  # (N,) running mean of the vertical spin
    command: Tensor  # (N,) commanded vertical spin [rad/s]
    support_left_s: Tensor  # (N,) time until the platform leaves
    earlier_targets: Tensor  # (N, 2, A) smoothed targets of the two steps before, newest first
    world: Tensor  # (N, W) parameters of the world, scaled (`world_terms.py`)

    def replaced(self, where: Tensor, other: "TaskState") -> "TaskState":
        """The values of `other` in environments where `where` (N,) bool holds."""
        return TaskState(
            **{
                name: torch.where(
                    where.view(-1, *[1] * (value.dim() - 1)), vars(other)[name], value
                )
                for name, value in vars(self).items()
            }
        )


@dataclass
class TaskConstants:
    """Vectors every term needs; the same on both simulators."""

    joint_lower: Tensor  # (A,) nominal limits [rad]
    joint_upper: Tensor  # (A,)
    cube_origin: Tensor  # (3,)
    action_centre: Tensor  # (A,) [rad]
    action_scale: Tensor  # (A,) [rad per unit action]
    shape: str = "cube"  # of the object
    size_ratio: float = 1.0  # its size over 45 mm

    def to(self, device: torch.device | str) -> "TaskConstants":
        """The same on a device."""
        on_device = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **on_device)


# Actions ------------------------------------------------------------------------------------------


def action_centre_and_scale(
    config: ActionConfig, lower: Tensor, upper: Tensor, grasp_target: Tensor, is_wrist: Tensor
) -> tuple[Tensor, Tensor]:
    """Centre and scale (A,) of the action for the chosen mode; wrists (A,) bool move less."""
    if config.mode == "limits":
        return (lower + upper) / 2, (upper - lower) / 2
    scale = torch.full_like(grasp_target, config.finger_scale_rad)
    scale[is_wrist] = config.wrist_scale_rad
    return grasp_target.clone(), scale


def targets_of(action: Tensor, constants: TaskConstants) -> Tensor:
    """The joint targets (N, A) [rad] that actions (N, A) ask for, within the limits."""
    wanted = constants.action_centre + constants.action_scale * action
    return wanted.clamp(constants.joint_lower, constants.joint_upper)


def actions_of(target: Tensor, constants: TaskConstants) -> Tensor:
    """Actions (N, A) that ask for joint targets (N, A) [rad]: the inverse, within the limits."""
    return (target - constants.action_centre) / constants.action_scale


def joint_targets(
    action: Tensor, previous_target: Tensor, constants: TaskConstants, smoothing: float
) -> Tensor:
    """Smoothed joint targets (N, A) of an action (N, A): EMA of the clamped command (F.4b)."""
    return torch.lerp(previous_target, targets_of(action, constants), smoothing)


# Commands and support -----------------------------------------------------------------------------


def command_from_uniform(uniform: Tensor, config: CommandConfig) -> tuple[Tensor, Tensor]:
    """Uniform draws (N, 3) to commands (N,) [rad/s] and how long to hold them (N,) [s]."""
    slow, fast = config.speed_rad_s
    if config.log_uniform:
        speed = slow * (fast / slow) ** uniform[:, 0]
    else:
        speed = slow + (fast - slow) * uniform[:, 0]
    if config.both_directions:
        speed = torch.where(uniform[:, 1] < 0.5, -speed, speed)
    elif config.clockwise:
        speed = -speed
    shortest, longest = config.hold_s
    return speed, shortest + (longest - shortest) * uniform[:, 2]


def time_left(total_s: Tensor, passed_s: Tensor | float) -> Tensor:
    """What remains (N,) of a time; exactly 0 once it is over, whatever float32 makes of the sum."""
    left = total_s - passed_s
    return torch.where(left > ROUNDING_S, left, 0.0)


def remembered_targets(before: TaskState) -> Tensor:
    """`earlier_targets` (N, 2, A) of the step after `before`."""
    return torch.stack([before.joint_target, before.earlier_targets[:, 0]], dim=1)


# Spin ---------------------------------------------------------------------------------------------


def updated_mean_spin(mean_spin: Tensor, spin: Tensor, config: RewardConfig) -> Tensor:
    """Running mean (N,) of the vertical component of spin (N, 3)."""
    return torch.lerp(mean_spin, spin[:, 2], config.spin_smoothing)


# Rewards ------------------------------------------------------------------------------------------


def object_position(state: TaskState, constants: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, object position tracking: a Gaussian kernel on the distance to the origin."""
    distance = (state.cube_pos - constants.cube_origin).norm(dim=1)
    return torch.exp(-((distance / config.position_width_m) ** 2))


def rotation_magnitude(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, rotation magnitude tracking: a Gaussian kernel on the spin error."""
    if config.form == "alignment":
        error = state.cube_ang_vel.norm(dim=1) - state.command.abs()
    else:
        error = state.mean_spin - state.command
    return torch.exp(-((error / config.magnitude_width_rad_s) ** 2))


def rotation_direction(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, rotation direction alignment.

    "alignment" is the paper's cosine of instantaneous and commanded angular velocity. It is blind
    to speed, so creeping forward and slipping back fast is paid in full. "tracking" is linear in
    the mean spin: 0 at rest, 1 on the command, falling again beyond it, and it penalises
    spinning about the other axes.
    """
    if config.form == "alignment":
        speed = state.cube_ang_vel.norm(dim=1).clamp_min(1e-6)
        return state.cube_ang_vel[:, 2] * state.command.sign() / speed
    scale = state.command.abs().clamp_min(config.slow_command_rad_s)
    tracking = 1.0 - (state.mean_spin - state.command).abs() / scale
    rolling = state.spin[:, :2].norm(dim=1).clamp_max(5.0)
    return tracking.clamp_min(-2.0) - 0.02 * rolling


def angular_acceleration(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, angular acceleration: a smoothness kernel, so that a weight of +1 makes sense."""
    acceleration = (state.spin - state.previous_spin).norm(dim=1) / CONTROL_DT_S
    return torch.exp(-((acceleration / config.acceleration_width_rad_s2) ** 2))


def reaching(state: TaskState, constants: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, reaching object: mean exponential kernel on the fingertip distances."""
    distance = (state.tip_pos - state.cube_pos[:, None]).norm(dim=2)  # (N, F)
    return torch.exp(-distance / (config.reaching_width_m * constants.size_ratio)).mean(dim=1)


def pose_closure(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, pose closure: thumb and fingers should push from opposite sides."""
    del config
    inward = torch.nn.functional.normalize(state.cube_pos[:, None] - state.tip_pos, dim=2)
    fingers = torch.nn.functional.normalize(inward[:, 1:].mean(dim=1), dim=1)
    return -(inward[:, 0] * fingers).sum(dim=1)


def joint_velocity(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, squared joint velocities."""
    del config
    return state.joint_vel.square().sum(dim=1)


def action(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, squared actions."""
    del config
    return state.action.square().sum(dim=1)


def action_rate(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, squared action differences."""
    del config
    return (state.action - state.previous_action).square().sum(dim=1)


def joint_acceleration(state: TaskState, _: TaskConstants, config: RewardConfig) -> Tensor:
    """Table III, squared joint accelerations."""
    del config
    return state.joint_acc.square().sum(dim=1)


def tilt(state: TaskState, constants: TaskConstants, config: RewardConfig) -> Tensor:
    """Ours: sin^2 of how far the nearest face normal, or a cylinder's axis, leans over."""
    del config
    return tilt_rad(state, constants).sin().square()


def tilt_rad(state: TaskState, constants: TaskConstants) -> Tensor:
    """Lean (N,) of the object's nearest face normal, or axis, from the vertical."""
    return rotations.tilt_rad(state.cube_quat, constants.shape)


REWARD_TERMS = {
    term.__name__: term
    for term in (
        object_position,
        rotation_magnitude,
        rotation_direction,
        angular_acceleration,
        reaching,
        pose_closure,
        joint_velocity,
        action,
        action_rate,
        joint_acceleration,
        tilt,
    )
}
"""Every term but the fall impulse; each is (state, constants, config) -> (N,), unweighted."""


def rewards(
    state: TaskState, constants: TaskConstants, config: RewardConfig, lost: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of weight * term * dt (N,), and each weighted part (N,) by name.

    `lost` (N,) bool pays the fall impulse, which is not a rate.
    """
    parts = {
        name: getattr(config, name) * CONTROL_DT_S * term(state, constants, config)
        for name, term in REWARD_TERMS.items()
        if getattr(config, name) != 0.0
    }
    if config.fall != 0.0:
        parts["fall"] = config.fall * CONTROL_DT_S * lost.to(state.command)
    return torch.stack(list(parts.values())).sum(dim=0), parts


# Terminations -------------------------------------------------------------------------------------


def cube_lost(cube_pos: Tensor, constants: TaskConstants, config: EpisodeConfig) -> Tensor:
    """(N,) bool: the cube (N, 3) is too far below or beside the hand (F.4c), or is not finite."""
    offset = cube_pos - constants.cube_origin
    below_m = config.lost_below_m * constants.size_ratio
    beside_m = config.lost_beside_m * constants.size_ratio
    inside = (offset[:, 2] > -below_m) & (offset[:, :2].norm(dim=1) < beside_m)
    return ~inside
