"""What the policy is told about the state: noise, per-episode offsets and delay on the truth."""

from dataclasses import replace

import roma
import torch
from torch import Tensor

from tasks.cube_spin.physics import Physics
from tasks.cube_spin.terms import TaskState

_MEMORY = ("_delay", "_poses", "_joint_bias", "_position_bias", "_rotation_bias", "_fresh")


class SensorModel:
    """Noisy, biased and late readings of joints and cube (paper F.5).

    Noise is fresh every step, offsets and the delay are drawn at reset. Rotations are disturbed by
    a small rotation vector, so they stay unit quaternions.
    """

    def __init__(
        self, num_envs: int, num_joints: int, physics: Physics, generator: torch.Generator
    ) -> None:
        self.physics, self._generator, device = physics, generator, generator.device
        self._longest = int(physics.observation_delay_steps[1])
        self._delay = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._poses = torch.zeros(self._longest + 1, num_envs, 7, device=device)  # newest first
        self._joint_bias = torch.zeros(num_envs, num_joints, device=device)
        self._position_bias = torch.zeros(num_envs, 3, device=device)
        self._rotation_bias = torch.zeros(num_envs, 3, device=device)
        self._fresh = torch.ones(num_envs, dtype=torch.bool, device=device)

    def reset(self, envs: Tensor) -> None:
        """Draw delay and offsets of environments `envs` (K,) anew."""
        count = len(envs)
        self._delay[envs] = self._sample("observation_delay_steps", (count,)).long()
        self._joint_bias[envs] = self._spread("joint_bias_rad", (count, self._joint_bias.shape[1]))
        self._position_bias[envs] = self._spread("cube_position_bias_m", (count, 3))
        self._rotation_bias[envs] = self._spread("cube_rotation_bias_rad", (count, 3))
        self._fresh[envs] = True

    def read(self, truth: TaskState) -> TaskState:
        """The state as the sensors report it; velocities of the cube stay true."""
        pose = self._delayed(torch.cat([truth.cube_pos, truth.cube_quat], dim=1))
        joints = truth.joint_pos + self._joint_bias
        rotation = self._rotation_bias + self._spread("cube_rotation_noise_rad", (len(pose), 3))
        position = pose[:, :3] + self._position_bias
        return replace(
            truth,
            joint_pos=joints + self._spread("joint_noise_rad", joints.shape),
            joint_vel=truth.joint_vel + self._spread("joint_velocity_noise_rad_s", joints.shape),
            cube_pos=position + self._spread("cube_position_noise_m", position.shape),
            cube_quat=roma.quat_product(roma.rotvec_to_unitquat(rotation), pose[:, 3:]),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Offsets, delays and remembered poses."""
        return {name: getattr(self, name).clone() for name in _MEMORY}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continue from `state_dict()`."""
        for name in _MEMORY:
            setattr(self, name, saved[name].clone())

    def _delayed(self, pose: Tensor) -> Tensor:
        """Poses (N, 7) of `delay` steps ago; an episode's first pose stands in for older ones."""
        self._poses = torch.cat([pose[None], self._poses[:-1]])
        self._poses[:, self._fresh] = pose[self._fresh]
        self._fresh[:] = False
        return self._poses[self._delay, torch.arange(len(pose), device=pose.device)]

    def _spread(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Zero-mean Gaussian values whose standard deviation is the named parameter."""
        deviation = self._sample(name, (shape[0],))
        noise = torch.randn(shape, generator=self._generator, device=self._generator.device)
        return deviation.view(-1, *[1] * (len(shape) - 1)) * noise

    def _sample(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self.physics.sample(name, shape, self._generator)
