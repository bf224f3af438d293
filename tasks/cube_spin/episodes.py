"""Per-episode accounts that metrics are made of, kept the same way for both simulators."""

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin.config import CONTROL_DT_S, TaskConfig
from tasks.cube_spin.terms import TaskState


@dataclass
class EpisodeRecords:
    """One entry per finished episode, (M,) each.

    "In the air" means after the platform has left and before the cube is lost. Turned angles are
    positive in the commanded direction.
    """

    airborne_s: Tensor
    """Time in the air."""
    length_s: Tensor
    """Time from reset to the end."""
    turned_rad: Tensor
    """Angle turned about the vertical while in the air."""
    commanded_rad: Tensor
    """Angle a perfect follower would have turned in the air."""
    dropped: Tensor
    """Whether the cube was lost (1.0) or the horizon reached (0.0)."""
    tilt_rad_s: Tensor
    """Integral of the cube's tilt over the time in the air."""

    @classmethod
    def joined(cls, parts: list["EpisodeRecords"]) -> "EpisodeRecords":
        """All episodes of several batches."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def __len__(self) -> int:
        return len(self.length_s)

    def log(self) -> dict[str, Tensor]:
        """Means over the episodes that just ended, for the training curves."""
        aloft_min = self.airborne_s.sum() / 60.0
        turns = self.turned_rad / (2.0 * torch.pi)
        log = {
            "Episode/dropped": self.dropped.mean(),
            "Episode/hold_s": self.airborne_s.mean(),
            "Episode/turns": turns.mean(),
        }
        if aloft_min > 0.0:
            log["Episode/rpm"] = turns.sum() / aloft_min
            log["Episode/spin_ratio"] = self.turned_rad.sum() / self.commanded_rad.sum()
            log["Episode/tilt_deg"] = torch.rad2deg(self.tilt_rad_s.sum() / self.airborne_s.sum())
        return log


class EpisodeEnv(Protocol):
    """The twin or Isaac Lab: RSL-RL's interface plus the finished episodes."""

    num_envs: int

    @property
    def finished(self) -> EpisodeRecords | None: ...
    def reset(self) -> object: ...
    def get_observations(self) -> TensorDict: ...
    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]: ...
    def use_task(self, task: TaskConfig) -> None: ...
    def close(self) -> None: ...


class EpisodeAccounts:
    """Accumulates the running episodes of N environments."""

    def __init__(self, num_envs: int, device: torch.device | str = "cpu") -> None:
        zeros = [torch.zeros(num_envs, device=device) for _ in fields(EpisodeRecords)]
        self._running = EpisodeRecords(*zeros)

    def update(self, state: TaskState, tilt_rad: Tensor, lost: Tensor) -> None:
        """Account for one control step; call before finished environments are reset."""
        run, aloft = self._running, (state.support_left_s <= 0.0) & ~lost
        step = aloft.float() * CONTROL_DT_S
        run.length_s += CONTROL_DT_S
        run.airborne_s += step
        run.turned_rad += step * state.spin[:, 2] * state.command.sign()
        run.commanded_rad += step * state.command.abs()
        run.tilt_rad_s += step * tilt_rad
        run.dropped.copy_(lost)

    def finish(self, envs: Tensor) -> EpisodeRecords:
        """Records of the environments `envs` (K,) whose episodes end; their accounts restart."""
        values = [getattr(self._running, f.name) for f in fields(EpisodeRecords)]
        done = EpisodeRecords(*(value[envs].clone() for value in values))
        for value in values:
            value[envs] = 0.0
        return done

    def state_dict(self) -> dict[str, Tensor]:
        """The running accounts."""
        return {name: value.clone() for name, value in vars(self._running).items()}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continue from `state_dict()`."""
        self._running = EpisodeRecords(**{name: value.clone() for name, value in saved.items()})
