"""What a camera does to the cube's pose on its way to the student: late, held, lost, wrong.

Comes after the sensor model (`sensors.py`), whose noise and offsets it keeps. Ranges are for
estimators as the paper's (a keypoint network at 16 Hz behind a 20 Hz policy, C.2); that occlusion
makes poses stop and jump is known from earlier in-hand work with such estimators.
"""

from dataclasses import dataclass

import roma
import torch
from torch import Tensor

Range = tuple[float, float]
_MEMORY = ("_past", "_shown", "_delay", "_rates", "_lost_steps", "_fresh")


@dataclass
class PoseNoiseConfig:
    """Ranges (low, high); drawn per episode and environment, so that estimators differ."""

    delay_steps: tuple[int, int] = (0, 2)
    """Age of a pose when it arrives [control steps of 50 ms]."""
    hold_probability: Range = (0.0, 0.3)
    """Chance per step that no new pose has arrived and the last one stands; 16 Hz: 0.2."""
    loss_probability: Range = (0.0, 0.02)
    """Chance per step that the cube is lost from view for a while; the last pose stands."""
    loss_steps: tuple[int, int] = (2, 8)
    """How long it stays lost [control steps]."""
    jump_probability: Range = (0.0, 0.02)
    """Chance per step that a pose is plainly wrong: any rotation, and this far off:"""
    jump_m: float = 0.02
    """Standard deviation of a wrong position, per axis."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            low, high = (value, value) if isinstance(value, float) else value
            top = 1.0 if name.endswith("probability") else float("inf")
            if not 0.0 <= low <= high <= top:
                raise ValueError(f"{name} = {value!r} is not a valid setting")

    @classmethod
    def none(cls) -> "PoseNoiseConfig":
        """A camera that is always right and never late."""
        return cls((0, 0), (0.0, 0.0), (0.0, 0.0), (1, 1), (0.0, 0.0), 0.0)


class PoseNoise:
    """The state of N such cameras.

    Args:
        num_envs: N.
        config: Ranges.
        generator: Source of all draws; its device is where poses live.
    """

    def __init__(self, num_envs: int, config: PoseNoiseConfig, generator: torch.Generator) -> None:
        self.config, self._generator = config, generator
        device = generator.device
        self._everywhere = torch.arange(num_envs, device=device)
        longest = config.delay_steps[1]
        self._past = torch.zeros(longest + 1, num_envs, 7, device=device)  # newest first
        self._shown = torch.zeros(num_envs, 7, device=device)
        self._delay = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._rates = torch.zeros(3, num_envs, device=device)  # hold, loss, jump
        self._lost_steps = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._fresh = torch.ones(num_envs, dtype=torch.bool, device=device)
        self.reset(self._everywhere)

    def reset(self, envs: Tensor) -> None:
        """New cameras for the environments `envs` (K,); their next pose is seen as it is."""
        config, count = self.config, len(envs)
        self._delay[envs] = self._whole(config.delay_steps, count)
        rates = (config.hold_probability, config.loss_probability, config.jump_probability)
        for row, (low, high) in zip(self._rates, rates, strict=True):
            row[envs] = low + (high - low) * self._unit(count)
        self._lost_steps[envs], self._fresh[envs] = 0, True

    def see(self, pose: Tensor) -> Tensor:
        """The pose (N, 7) the student is told: position [m], then the rotation xyzw."""
        self._past = torch.cat([pose[None], self._past[:-1]])
        self._past[:, self._fresh] = pose[self._fresh]
        count = len(pose)
        holds, loses, jumps = self._unit(3, count) < self._rates
        lost = self._lost_steps > 0
        begins = loses & ~lost
        whole = self._whole(self.config.loss_steps, count)
        self._lost_steps = torch.where(begins, whole, self._lost_steps)
        self._lost_steps = (self._lost_steps - 1).clamp(min=0)
        arrived = self._past[self._delay, self._everywhere]
        arrived = torch.where(jumps[:, None], self._wrong(arrived), arrived)
        stands = (holds | lost | begins) & ~self._fresh
        self._shown = torch.where(stands[:, None], self._shown, arrived)
        self._shown = torch.where(self._fresh[:, None], pose, self._shown)
        self._fresh = torch.zeros_like(self._fresh)
        return self._shown

    def state_dict(self) -> dict[str, Tensor]:
        """All that later poses depend on, besides the generator."""
        return {name: getattr(self, name).clone() for name in _MEMORY}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continue from `state_dict()`."""
        for name in _MEMORY:
            setattr(self, name, saved[name].to(self._everywhere.device, copy=True))

    def _wrong(self, pose: Tensor) -> Tensor:
        """Poses (N, 7) nearby with any rotation."""
        generator, device = self._generator, self._generator.device
        offset = self.config.jump_m * torch.randn(
            pose[:, :3].shape, generator=generator, device=device
        )
        quat = torch.randn(pose[:, 3:].shape, generator=generator, device=device)
        return torch.cat([pose[:, :3] + offset, roma.quat_normalize(quat)], dim=1)

    def _whole(self, ends: tuple[int, int], count: int) -> Tensor:
        low, high = ends
        return low + ((high - low + 1) * self._unit(count)).long().clamp(max=high - low)

    def _unit(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._generator.device)
