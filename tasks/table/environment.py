"""N simulated tables that start together, seen as tensors; what a task adds is in its own class.

Actions are `tasks.manipulation.actions`: an absolute pose of the grip and 17 joint targets. They
pass the guard of a real arm before the carrier follows them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from torch import Tensor

from sernf_isaac.deploy.arm.guard import ArmGuard, ArmLimits
from tasks.manipulation.actions import ACTION_DIM, HAND_GROUP, JOINTS, POSE, POSE_GROUP, hold_action
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.table.hand_poses import hand_poses
from tasks.table.physics import TablePhysics

HOME = np.array([0.0, 0.0, 0.16, 0.0, 0.0, 0.0, 1.0])
"""Pose of the grip at an episode's start (7,)."""
WORKSPACE_LOWER_M, WORKSPACE_UPPER_M = (-0.25, -0.15, 0.012), (0.25, 0.2, 0.3)
MAX_JOINT_SPEED_RAD_S = 8.0
HAND_FEATURES = {POSE_GROUP: 7, HAND_GROUP: 17}
"""What every task observes: the grip's pose and the joints as measured."""


@dataclass(frozen=True)
class Outcome:
    """What a step was worth in N worlds, and whether it ended them; all (N,)."""

    reward: np.ndarray
    terminated: np.ndarray
    succeeded: np.ndarray


class Table[Start](ABC):
    """N tables; one whose episode is over waits for the next reset.

    Args:
        model: The scene.
        features: Size of each observation group, in the order of `_see` behind pose and hand.
        num_envs: N.
        max_steps: After so many an episode is cut off.
        seed: Of the starts.
        starts: Where things stand at the next reset, given the generator; N of them.
        threads: To step on; None: one per core.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        features: dict[str, int],
        num_envs: int,
        *,
        max_steps: int,
        starts: Callable[[np.random.Generator], list[Start]],
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.physics = TablePhysics(model, num_envs, threads)
        self.succeeded = torch.zeros(num_envs, dtype=torch.bool)
        """(N,) whether the task was done in this episode."""
        self._features, self._max_steps = features, max_steps
        self._rng = np.random.default_rng(seed)
        self._starts = starts
        limits = ArmLimits(WORKSPACE_LOWER_M, WORKSPACE_UPPER_M)
        self._guards = [ArmGuard(limits, 1 / CONTROL_RATE_HZ) for _ in range(num_envs)]
        self._opened, _ = hand_poses()
        self._joints = np.tile(self._opened, (num_envs, 1))
        self._over = np.ones(num_envs, bool)
        self._steps = 0
        self._seen: dict[str, np.ndarray] = {}

    @abstractmethod
    def _begin(self, starts: list[Start]) -> tuple[np.ndarray, np.ndarray]:
        """Forget the last episodes; returns things (N, Q) and fixtures (N, M, 7) as
        `TablePhysics.reset` takes them."""

    @abstractmethod
    def _judge(self, good: np.ndarray) -> Outcome:
        """What the last step was worth; only worlds that are good (N,) may change what is
        remembered of them."""

    @abstractmethod
    def _see(self, rows: np.ndarray, grip: np.ndarray) -> tuple[np.ndarray, ...]:
        """The task's observation groups (R, F) of these rows of worlds, with the grip's poses
        (R, 7) there, w >= 0."""

    @property
    def hold(self) -> Tensor:
        """(24,) the action that keeps still where episodes start."""
        return hold_action(torch.from_numpy(HOME), torch.from_numpy(self._opened)).float()

    def reset(self) -> dict[str, Tensor]:
        """All hands at home and open, things in new places.

        Raises:
            ValueError: If there is not one start for each table.
        """
        starts = self._starts(self._rng)
        if len(starts) != self.num_envs:
            raise ValueError(f"{len(starts)} configurations for {self.num_envs} tables")
        things, fixtures = self._begin(starts)
        self.physics.reset(things, fixtures, HOME, self._opened)
        self._joints[:] = self._opened
        for guard in self._guards:
            guard.restart(HOME)
        self._over[:] = False
        self.succeeded = torch.zeros(self.num_envs, dtype=torch.bool)
        self._steps = 0
        self._look(np.ones(self.num_envs, bool))
        return self._observation()

    def step(self, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """Act; returns observation, reward, terminated and truncated, the latter three (N,).

        Raises:
            ValueError: If the actions have another shape.
        """
        if action.shape != (self.num_envs, ACTION_DIM):
            raise ValueError(
                f"actions must be ({self.num_envs}, {ACTION_DIM}), not {tuple(action.shape)}"
            )
        self._steps += 1
        acting = ~self._over
        self.physics.step(*self._guarded(action.double().cpu().numpy(), acting))
        diverged = self.physics.diverged
        good = acting & ~diverged
        verdict = self._judge(good)
        self._look(good)
        reward = np.where(good, verdict.reward, 0.0).astype(np.float32)
        terminated = acting & (verdict.terminated | diverged)
        truncated = acting & ~terminated & (self._steps >= self._max_steps)
        self.succeeded |= torch.from_numpy(good & verdict.succeeded)
        self._over |= terminated | truncated
        outcome = (
            torch.from_numpy(reward),
            torch.from_numpy(terminated),
            torch.from_numpy(truncated),
        )
        return self._observation(), *outcome

    def state_dict(self) -> dict:
        """What the next `reset` depends on."""
        return {"rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._rng.bit_generator.state = state["rng"]

    def _guarded(self, action: np.ndarray, acting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses (N, 7) and joint targets (N, 17) that may be commanded; those who wait hold on."""
        measured = self.physics.grip
        reach = MAX_JOINT_SPEED_RAD_S / CONTROL_RATE_HZ
        poses = np.zeros((self.num_envs, POSE.stop))
        for index, guard in enumerate(self._guards):
            if acting[index]:
                guard.accept(action[index, POSE])
            poses[index] = guard.step(measured[index] if acting[index] else guard.command)
            if acting[index] and np.isfinite(action[index, JOINTS]).all():
                change = action[index, JOINTS] - self._joints[index]
                self._joints[index] += np.clip(change, -reach, reach)
        return poses, self._joints.copy()

    def _look(self, rows: np.ndarray) -> None:
        """Renew what is observed of these worlds; the others keep what was seen last."""
        if not self._seen:
            sizes = self._features.items()
            self._seen = {n: np.zeros((self.num_envs, s), np.float32) for n, s in sizes}
        if not rows.any():
            return
        grip = self.physics.grip[rows]
        sign = np.where(grip[:, 6:] < 0, -1.0, 1.0)  # the hand never turns by half a turn
        grip = np.concatenate([grip[:, :3], sign * grip[:, 3:]], axis=1)
        now = (grip, self.physics.joint_pos[rows], *self._see(rows, grip))
        for name, values in zip(self._features, now, strict=True):
            self._seen[name][rows] = values

    def _observation(self) -> dict[str, Tensor]:
        return {name: torch.from_numpy(values.copy()) for name, values in self._seen.items()}
