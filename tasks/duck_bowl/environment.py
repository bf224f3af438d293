"""The simulated duck task: N tables that start together, seen as tensors.

Actions are `tasks.manipulation.actions`: an absolute pose of the grip and 17 joint targets. They
pass the guard of a real arm before the carrier follows them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.deploy.arm.guard import ArmGuard, ArmLimits
from tasks.duck_bowl.configurations import Configuration, draw
from tasks.duck_bowl.physics import TablePhysics
from tasks.duck_bowl.task import (
    CONTROL_RATE_HZ,
    HOME,
    TIME_LIMIT_S,
    WORKSPACE_LOWER_M,
    WORKSPACE_UPPER_M,
    hand_poses,
    judge,
    seen_from,
)
from tasks.manipulation.actions import ACTION_DIM, HAND_GROUP, JOINTS, POSE, POSE_GROUP, hold_action

FEATURES = {POSE_GROUP: 7, HAND_GROUP: 17, "duck": 7, "bowl": 3}
"""The grip's pose and the joints as measured; the duck's pose and the bowl's middle as seen from
the grip."""
MAX_STEPS = round(TIME_LIMIT_S * CONTROL_RATE_HZ)
MAX_JOINT_SPEED_RAD_S = 8.0


class DuckBowl:
    """N tables; one whose episode is over waits for the next reset.

    Args:
        num_envs: N.
        seed: Of the starts.
        starts: Where duck and bowl stand at the next reset, given the generator; N of them. By
            default drawn to practise on.
        threads: To step on; None: one per core.
    """

    def __init__(
        self,
        num_envs: int,
        *,
        seed: int = 0,
        starts: Callable[[np.random.Generator], list[Configuration]] | None = None,
        threads: int | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.physics = TablePhysics(num_envs, threads)
        self.succeeded = torch.zeros(num_envs, dtype=torch.bool)
        """(N,) whether the duck was left in the bowl in this episode."""
        self._rng = np.random.default_rng(seed)
        self._starts = starts or (lambda rng: [draw(rng) for _ in range(num_envs)])
        limits = ArmLimits(WORKSPACE_LOWER_M, WORKSPACE_UPPER_M)
        self._guards = [ArmGuard(limits, 1 / CONTROL_RATE_HZ) for _ in range(num_envs)]
        self._opened, _ = hand_poses()
        self._joints = np.tile(self._opened, (num_envs, 1))
        self._lifted, self._over = np.zeros(num_envs, bool), np.ones(num_envs, bool)
        self._steps = 0
        self._seen: dict[str, np.ndarray] = {}

    @property
    def hold(self) -> Tensor:
        """(24,) the action that keeps still where episodes start."""
        return hold_action(torch.from_numpy(HOME), torch.from_numpy(self._opened)).float()

    def reset(self) -> dict[str, Tensor]:
        """All hands at home and open, duck and bowl in new places."""
        starts = self._starts(self._rng)
        if len(starts) != self.num_envs:
            raise ValueError(f"{len(starts)} configurations for {self.num_envs} tables")
        self.physics.reset(starts, HOME, self._opened)
        self._joints[:] = self._opened
        for guard in self._guards:
            guard.restart(HOME)
        self._lifted[:], self._over[:] = False, False
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
        world, diverged = self.physics, self.physics.diverged
        good = acting & ~diverged
        self._look(good)
        verdict = judge(world.duck, world.grip, world.bowl, world.duck_speed, self._lifted)
        self._lifted = np.where(good, verdict.lifted, self._lifted)
        reward = np.where(good, verdict.reward, 0.0).astype(np.float32)
        terminated = acting & (verdict.terminated | diverged)
        truncated = acting & ~terminated & (self._steps >= MAX_STEPS)
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
        world = self.physics
        if not self._seen:
            self._seen = {n: np.zeros((self.num_envs, s), np.float32) for n, s in FEATURES.items()}
        if not rows.any():
            return
        grip = world.grip[rows]
        bowl = np.concatenate([world.bowl[rows], np.tile(HOME[3:], (len(grip), 1))], axis=1)
        sign = np.where(grip[:, 6:] < 0, -1.0, 1.0)  # the hand never turns by half a turn
        grip = np.concatenate([grip[:, :3], sign * grip[:, 3:]], axis=1)
        now = (grip, world.joint_pos[rows], seen_from(grip, world.duck[rows]))
        for name, values in zip(FEATURES, (*now, seen_from(grip, bowl)[:, :3]), strict=True):
            self._seen[name][rows] = values

    def _observation(self) -> dict[str, Tensor]:
        return {name: torch.from_numpy(values.copy()) for name, values in self._seen.items()}
