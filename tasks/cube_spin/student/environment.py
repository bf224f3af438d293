"""The cube-spin environments as the student knows them: physical units in, joint targets out.

Wraps either simulator. The student's action is the joint target [rad] before smoothing, whatever
the teacher's actions mean; its observations are what a real hand and a camera can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from tensordict import TensorDict
from torch import Tensor

from sernf_isaac.devices import restore_generator
from tasks.cube_spin import rotations
from tasks.cube_spin.config import HISTORY, TaskConfig
from tasks.cube_spin.episodes import EpisodeEnv, EpisodeRecords
from tasks.cube_spin.observations import POSE_SIZE
from tasks.cube_spin.student.pose_noise import PoseNoise, PoseNoiseConfig
from tasks.cube_spin.terms import TaskConstants
from tasks.orca.description import Hand

GROUPS = ("history", "command", "goal")
"""The student's groups of observations."""

CAMERA_SEED = 500_009
"""Added to a seed, so that cameras and simulators do not draw the same numbers."""


@dataclass
class StudentObservationConfig:
    """How the student's observations are made of what the sensors report."""

    symmetric_rotation: bool = True
    """Report the smallest of the rotations that look alike on an unmarked object, 24 on a cube.
    Off: the full rotation (paper F.3)."""
    pose_noise: PoseNoiseConfig = field(default_factory=PoseNoiseConfig)
    """What the camera does to the pose, beside the noise of the physics preset."""
    camera: bool = True
    """Whether a camera tells the object's pose. False: joint angles, commands and goal alone; the
    history has no pose, and may be longer (`spec.history`)."""

    def __post_init__(self) -> None:
        usual = [_values(PoseNoiseConfig()), _values(PoseNoiseConfig.none())]
        changed = not self.symmetric_rotation or _values(self.pose_noise) not in usual
        if not self.camera and changed:
            raise ValueError(
                "observation.symmetric_rotation and observation.pose_noise would have no effect: "
                "with observation.camera=false no pose is seen"
            )


def _values(noise: PoseNoiseConfig) -> list[object]:
    """Comparable ones: a file has lists for tuples."""
    return [tuple(v) if isinstance(v, list) else v for v in vars(noise).values()]


class StudentEnv:
    """N environments; groups as in `student_features`, "teacher", "hold" (N, A), "fresh" (N,) bool.

    Args:
        inner: The simulator, with the groups "student_history" and "student_current"; built with
            `radian_constants`.
        config: How observations are made.
        seed: Seed of the camera's draws.
        device: Of the simulator.
        shape: Of the object, whose symmetries count.
        history: O, steps of the history; the policy's.
    """

    def __init__(
        self,
        inner: EpisodeEnv,
        config: StudentObservationConfig,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        shape: str = "cube",
        history: int = HISTORY,
    ) -> None:
        self.inner, self.config, self._shape = inner, config, shape
        self.num_envs = inner.num_envs
        self._joints = inner.get_observations()["student_history"].shape[-1] - POSE_SIZE
        self._generator = torch.Generator(device).manual_seed(seed + CAMERA_SEED)
        self._camera = PoseNoise(self.num_envs, config.pose_noise, self._generator)
        row = self._joints + (POSE_SIZE if config.camera else 0)
        self._history = torch.zeros(self.num_envs, history, row, device=device)
        self._begin()

    @property
    def finished(self) -> EpisodeRecords | None:
        """Records of the episodes that ended in the last step, by ascending environment."""
        return self.inner.finished

    def get_observations(self) -> TensorDict:
        """Observation groups after the last step or reset."""
        return self._observations

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict]:
        """One control step of 50 ms with joint targets (N, A) [rad] before smoothing.

        Raises:
            ValueError: As the simulator does.
        """
        observations, reward, dones, extras = self.inner.step(actions)
        self._observations = self._observe(observations, dones > 0)
        return self._observations, reward, dones, extras

    def use_task(self, task: TaskConfig) -> None:
        """Go on with other commands or episodes, from new episodes."""
        self.inner.use_task(task)
        self._begin()

    def seed(self, seed: int) -> None:
        """Draw the cameras' noise from this seed from now on."""
        self._generator.manual_seed(seed + CAMERA_SEED)

    def reset(self) -> None:
        """New episodes everywhere."""
        self.inner.reset()
        self._begin()

    def close(self) -> None:
        """End the simulation."""
        self.inner.close()

    def state_dict(self) -> dict:
        """All that later steps depend on; empty if the simulator cannot tell."""
        saved = getattr(self.inner, "state_dict", dict)()
        if not saved:
            return {}
        return {
            "inner": saved,
            "camera": self._camera.state_dict(),
            "history": self._history.clone(),
            "observations": {name: value.clone() for name, value in self._observations.items()},
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`; from new episodes if it is empty.

        Raises:
            ValueError: If it is of another number of environments.
        """
        if not state:
            return
        if len(state["history"]) != self.num_envs:
            raise ValueError(
                f"the state is of {len(state['history'])} environments, not {self.num_envs}"
            )
        getattr(self.inner, "load_state_dict")(state["inner"])  # noqa: B009  # the twin has it
        self._camera.load_state_dict(state["camera"])
        there = self._history.device
        self._history = state["history"].to(there, copy=True)
        seen = {name: value.to(there) for name, value in state["observations"].items()}
        self._observations = TensorDict(seen, batch_size=[self.num_envs])
        restore_generator(self._generator, state["generator"])

    def _begin(self) -> None:
        fresh = torch.ones(self.num_envs, dtype=torch.bool, device=self._history.device)
        self._observations = self._observe(self.inner.get_observations(), fresh)

    def _observe(self, seen: Mapping[str, Tensor], fresh: Tensor) -> TensorDict:
        row, current = seen["student_history"][:, -1], seen["student_current"]
        joints = self._joints
        row = self._row(row, fresh) if self.config.camera else row[:, :joints]
        self._history = torch.cat([self._history[:, 1:], row[:, None]], dim=1)
        self._history[fresh] = row[fresh, None]
        target = current[:, joints : 2 * joints]
        # Where nothing has been done yet, the hand holds still.
        previous = torch.where(fresh[:, None], target, current[:, :joints])
        groups = {
            "history": self._history,
            "command": torch.cat([previous, target], dim=1),
            "goal": current[:, 2 * joints :],
            "hold": target,
            "fresh": fresh,
            "teacher": seen["teacher"],
        }
        return TensorDict(groups, batch_size=[self.num_envs])

    def _row(self, row: Tensor, fresh: Tensor) -> Tensor:
        """Joints and pose (N, A + 7) with the pose as a camera tells it."""
        joints = self._joints
        if fresh.any():
            self._camera.reset(fresh.nonzero()[:, 0])
        pose = self._camera.see(row[:, joints:])
        return torch.cat([row[:, :joints], pose[:, :3], self._turn(pose)], dim=1)

    def _turn(self, pose: Tensor) -> Tensor:
        """Rotations (N, 4), w >= 0, of poses (N, 7)."""
        quat = pose[:, 3:]
        if self.config.symmetric_rotation:
            return rotations.reduced_rotation(quat, self._shape)
        return quat * torch.where(quat[:, 3:] < 0, -1.0, 1.0)


def student_features(hand: Hand, *, camera: bool = True) -> dict[str, int]:
    """Numbers per step of the student's groups (paper F.3, Fig. 7).

    `history` (N, 4, A + 7), oldest first: joint angles [rad] A, cube position relative to its
    origin [m] 3, its rotation (xyzw, w >= 0) 4; without a camera (N, O, A). `command` (N, 2 A):
    the last action [rad] A, the smoothed target the servos follow [rad] A. `goal` (N, 1):
    commanded spin [rad/s].
    """
    joints = hand.num_joints
    return {"history": joints + (POSE_SIZE if camera else 0), "command": 2 * joints, "goal": 1}


def radian_constants(constants: TaskConstants) -> TaskConstants:
    """The same task with joint targets [rad] before smoothing as its actions.

    A simulator built with these executes exactly what the student, or a hand, was told.
    """
    return replace(
        constants,
        action_centre=torch.zeros_like(constants.action_centre),
        action_scale=torch.ones_like(constants.action_scale),
    )
