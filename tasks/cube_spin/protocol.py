"""One call that builds the right environment for a policy file and evaluates it there."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tasks.cube_spin.config import CommandConfig, TaskConfig, evaluation_task
from tasks.cube_spin.episodes import EpisodeRecords
from tasks.cube_spin.evaluation import EpisodeEnv, run_episodes, summarise
from tasks.cube_spin.physics import load_physics
from tasks.cube_spin.teacher import TeacherPolicy, load_teacher
from tasks.cube_spin.twin import CubeSpinTwin


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


def evaluate(request: EvaluationRequest) -> tuple[dict, EpisodeRecords]:
    """Run the protocol; returns JSON-ready numbers and the episodes under the task's commands.

    Raises:
        ValueError: For an unknown simulator or physics, or a policy of another task.
        FileNotFoundError: If the policy file does not exist.
    """
    if request.episodes < 1 or request.num_envs < 1:
        raise ValueError("episodes and num_envs must be at least 1")
    policy = load_teacher(request.policy)
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
    return settings | summarise(records) | {"by_speed": by_speed}, records


def _environment(request: EvaluationRequest, policy: TeacherPolicy, task: TaskConfig) -> EpisodeEnv:
    count = min(request.num_envs, request.episodes)
    physics = load_physics(request.physics)
    if request.sim == "twin":
        return CubeSpinTwin(
            count,
            task,
            physics,
            seed=request.seed,
            threads=request.threads,
            constants=policy.constants,
        )
    if request.sim != "isaac":
        raise ValueError(f"sim must be 'twin' or 'isaac', not '{request.sim}'")
    from tasks.cube_spin.isaac import make_isaac_env  # starts a simulator

    return make_isaac_env(
        num_envs=count,
        seed=request.seed,
        device=request.device,
        physics=request.physics,
        task=task,
        constants=policy.constants,
    )
