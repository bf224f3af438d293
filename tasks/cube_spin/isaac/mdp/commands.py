"""Command terms: the wanted spin, and the platform that supports the cube at first."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

from functools import cached_property

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import CommandTerm, CommandTermCfg
from isaaclab.utils import configclass
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.config import PLATFORM_GONE_M, platform_height_m
from tasks.cube_spin.episodes import EpisodeRecords
from tasks.cube_spin.isaac.mdp.state import TaskTracker, tracker


class SpinCommand(CommandTerm):
    """Commanded spin about the vertical [rad/s]; owns the task tracker, being built first."""

    def __init__(self, cfg: "SpinCommandCfg", env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self.tracker = TaskTracker(env, env.cfg.task, env.cfg.randomization)

    @property
    def command(self) -> Tensor:
        """(N, 1)."""
        return self.tracker.command[:, None]

    def reset(self, env_ids: Tensor | slice | None = None) -> dict[str, Tensor]:
        """Close the episodes of these environments, log them and draw new commands."""
        env_ids = slice(None) if env_ids is None else env_ids
        self.tracker.restart(env_ids)
        super().reset(env_ids)  # type: ignore[arg-type]  # Isaac Lab itself passes tensors
        return _metrics(self.tracker.finished)

    def _resample_command(self, env_ids: Tensor | slice) -> None:
        shared = self.tracker
        count = len(shared.command[env_ids])
        uniform = torch.rand((count, 3), generator=shared.generator, device=self.device)
        command, hold_s = terms.command_from_uniform(uniform, shared.task.command)
        shared.command = shared.command.clone()
        shared.command[env_ids] = command
        self.time_left[env_ids] = hold_s

    def _update_command(self) -> None:
        self.tracker.show_commands()

    def _update_metrics(self) -> None:
        """Episodes are accounted for by the tracker's recorder."""


class SupportCommand(CommandTerm):
    """Time the platform will stay [s]; moves the platform in and out."""

    def __init__(self, cfg: "SupportCommandCfg", env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self._platform = env.scene["platform"]
        self._present = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)

    @property
    def command(self) -> Tensor:
        """(N, 1)."""
        return self._tracker.support_left_s[:, None]

    @cached_property
    def _tracker(self) -> TaskTracker:
        return tracker(self._env)  # cannot be found before all commands are built

    def _resample_command(self, env_ids: Tensor | slice) -> None:
        """A new episode: draw how long the platform stays, and put it under the cube."""
        shared = self._tracker
        shortest, longest = shared.task.episode.support_s
        uniform = torch.rand(
            len(shared.support_s[env_ids]), generator=shared.generator, device=self.device
        )
        shared.support_s[env_ids] = shortest + (longest - shortest) * uniform
        self._place(env_ids, shared.support_s > 0.0)

    def _update_command(self) -> None:
        present = self._tracker.support_left_s > 0.0
        changed = (present != self._present).nonzero()[:, 0]
        if len(changed):
            self._place(changed, present)

    def _update_metrics(self) -> None:
        """Nothing to measure."""

    def _place(self, env_ids: Tensor | slice, present: Tensor) -> None:
        """Write the platform's pose: under the cube where `present` (N,), else out of reach."""
        root = self._env.scene["robot"].data.root_pos_w.torch
        pose = torch.zeros(self.num_envs, 7, device=self.device)
        hand = self._tracker.hand
        height_m = platform_height_m(hand, self._tracker.task.object)
        pose[:, 0], pose[:, 1], pose[:, 6] = *hand.grasp_point_m[:2], 1.0
        pose[:, 2] = torch.where(present, height_m, PLATFORM_GONE_M)
        pose[:, :3] += root
        envs = torch.arange(self.num_envs, device=self.device)[env_ids]
        self._platform.write_root_pose_to_sim_index(root_pose=pose[envs], env_ids=envs)
        self._present[envs] = present[envs]


def _metrics(records: EpisodeRecords | None) -> dict[str, Tensor]:
    """Means over the episodes that just ended, logged as `Metrics/spin/...`."""
    if records is None or not (records.length_s > 0.0).any():
        return {}  # a reset before the first step
    return {name.removeprefix("Episode/"): value for name, value in records.log().items()}


@configclass
class SpinCommandCfg(CommandTermCfg):
    """Ranges live in `TaskConfig.command`, holding times included."""

    class_type: type = SpinCommand
    resampling_time_range: tuple[float, float] = (1e9, 1e9)


@configclass
class SupportCommandCfg(CommandTermCfg):
    """Ranges live in `TaskConfig.episode`; drawn at reset only."""

    class_type: type = SupportCommand
    resampling_time_range: tuple[float, float] = (1e9, 1e9)
