"""One call that builds the right environment for a policy file and evaluates it there."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin.config import CommandConfig, TaskConfig, evaluation_task
from tasks.cube_spin.episodes import EpisodeEnv, EpisodeRecords
from tasks.cube_spin.evaluation.metrics import run_episodes, summarise
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.student.environment import (
    StudentEnv,
    StudentObservationConfig,
    radian_constants,
)
from tasks.cube_spin.student.policy import Student, is_student, load_student
from tasks.cube_spin.student.pose_noise import PoseNoiseConfig
from tasks.cube_spin.teacher.policy import TeacherPolicy, load_teacher
from tasks.cube_spin.terms import TaskConstants
from tasks.cube_spin.twin.environment import CubeSpinTwin


class ActsAsStudent(Protocol):
    """A `Student`, or whatever else acts in a `StudentEnv`."""

    task: TaskConfig
    observation: StudentObservationConfig

    @property
    def history(self) -> int:
        """O, steps of the history it sees."""
        ...

    def __call__(self, observations: TensorDict, /) -> Tensor: ...


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, where, and how long."""

    policy: Path
    sim: str = "twin"
    episodes: int = 256
    seed: int = 1000
    physics: str = "randomized"
    speeds: tuple[float, ...] = ()
    """Fixed spins to evaluate one by one besides the task's own commands [rad/s]."""
    num_envs: int = 256
    threads: int | None = None
    device: str = "cpu"
    candidates: int = 1
    """Chunks K a student draws per decision."""
    sigma: float | None = None
    """Standard deviation of a student's latent; the file's own when None."""
    rank: str = "likelihood"
    """What a student chooses by: "likelihood" or "value"."""
    pose_noise: bool = False
    """Show a student the cube through the camera it was distilled with: late, lost, wrong."""


def evaluate(request: EvaluationRequest) -> tuple[dict, EpisodeRecords]:
    """Play episodes; returns JSON-ready numbers and the records under the task's commands.

    Raises:
        ValueError: For an unknown simulator or physics, or a policy of another task.
        FileNotFoundError: If the policy file does not exist.
    """
    return evaluate_policy(_load(request), request)


def evaluate_policy(
    policy: TeacherPolicy | ActsAsStudent, request: EvaluationRequest
) -> tuple[dict, EpisodeRecords]:
    """`evaluate` for a policy in memory; the request's file is only named."""
    if request.episodes < 1 or request.num_envs < 1:
        raise ValueError("episodes and num_envs must be at least 1")
    task = evaluation_task(policy.task)
    # One mode for playing and resetting: tensors made in inference mode cannot be edited outside.
    with closing(_environment(request, policy, task)) as env, torch.inference_mode():
        records = run_episodes(env, policy, request.episodes, "task commands")
        by_speed = {}
        for speed in request.speeds:
            env.use_task(replace(task, command=CommandConfig.fixed(speed)))
            fixed = run_episodes(env, policy, request.episodes, f"{speed:+.2g} rad/s")
            by_speed[f"{speed:g}"] = summarise(fixed)
    settings = {
        "policy": request.policy.name,
        "sim": request.sim,
        "physics": request.physics,
        "seed": request.seed,
        "horizon_s": task.episode.length_s,
    }
    if isinstance(policy, Student):
        settings |= {"candidates": request.candidates, "sigma": policy.policy.sigma}
        settings |= {"rank": request.rank, "pose_noise": request.pose_noise}
    return settings | summarise(records) | {"by_speed": by_speed}, records


def load_any(path: Path, device: str = "cpu", **acting: object) -> TeacherPolicy | Student:
    """A teacher or a student, whatever the file holds; `acting` goes to a `Student`.

    Raises:
        FileNotFoundError, ValueError: As `load_teacher` and `load_student`.
    """
    if is_student(path):
        return load_student(path, device, **acting)
    return load_teacher(path).to(device)


def _load(request: EvaluationRequest) -> TeacherPolicy | Student:
    policy = load_any(
        request.policy,
        _device_of(request),
        candidates=request.candidates,
        rank=request.rank,
        seed=request.seed,
    )
    if isinstance(policy, Student) and request.sigma is not None:
        policy.policy.sigma = request.sigma
    if isinstance(policy, TeacherPolicy) and request.pose_noise:
        raise ValueError("pose_noise is for students; a teacher is told the pose")
    return policy


def _environment(
    request: EvaluationRequest, policy: TeacherPolicy | ActsAsStudent, task: TaskConfig
) -> EpisodeEnv:
    if isinstance(policy, TeacherPolicy):
        return _simulator(request, task, policy.constants)
    constants = radian_constants(task_constants(task))
    inner = _simulator(request, task, constants, student=True)
    camera = policy.observation.pose_noise if request.pose_noise else PoseNoiseConfig.none()
    observation = replace(policy.observation, pose_noise=camera)
    there, shape = _device_of(request), task.object.shape
    return StudentEnv(
        inner,
        observation,
        seed=request.seed,
        device=there,
        shape=shape,
        history=policy.history,
    )


def _device_of(request: EvaluationRequest) -> str:
    """Where the simulator's tensors are; the twin's are on the CPU."""
    return request.device if request.sim == "isaac" else "cpu"


def _simulator(
    request: EvaluationRequest, task: TaskConfig, constants: TaskConstants, student: bool = False
) -> EpisodeEnv:
    count = min(request.num_envs, request.episodes)
    if request.sim == "twin":
        return CubeSpinTwin(
            count,
            task,
            load_physics(request.physics, task.object),
            seed=request.seed,
            threads=request.threads,
            student=student,
            constants=constants,
        )
    if request.sim != "isaac":
        raise ValueError(f"sim must be 'twin' or 'isaac', not '{request.sim}'")
    from tasks.cube_spin.isaac.environment import TRAIN_TASK, make_isaac_env  # starts a simulator

    return make_isaac_env(
        "Sernf-Orca-CubeSpin-Distill" if student else TRAIN_TASK,
        num_envs=count,
        seed=request.seed,
        device=request.device,
        physics=request.physics,
        task=task,
        constants=constants,
    )
