"""The simulator that students act in, by its name."""

from pathlib import Path

import torch

from tasks.cube_spin.config import TaskConfig
from tasks.cube_spin.latency import physics_for_isaac, physics_with_latency
from tasks.cube_spin.student.lockstep import Simulated
from tasks.cube_spin.student.settings import LATENCY_STEPS
from tasks.cube_spin.terms import TaskConstants
from tasks.cube_spin.twin.environment import CubeSpinTwin


def student_simulator(
    sim: str,
    num_envs: int,
    task: TaskConfig,
    constants: TaskConstants,
    *,
    physics: str,
    latency_steps: int | None,
    run_dir: Path,
    seed: int,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    teacher_sensed: bool = True,
    auto_reset: bool = True,
) -> Simulated:
    """N environments with the student's observation groups.

    Args:
        sim: "twin" or "isaac".
        num_envs: N.
        task: Task settings.
        constants: Action centre and limits.
        physics: Preset or YAML file.
        latency_steps: As of `physics_with_latency`; None where neither says one: `LATENCY_STEPS`.
        run_dir: Where Isaac Lab finds physics that got a latency.
        seed: Of every draw.
        device: Of Isaac Lab.
        threads: Physics threads of the twin.
        teacher_sensed: As of `CubeSpinTwin`; in Isaac Lab the task says it.
        auto_reset: As of `CubeSpinTwin`; Isaac Lab always resets.

    Raises:
        ValueError: For an unknown simulator, or as `physics_with_latency`.
    """
    if sim == "twin":
        return CubeSpinTwin(
            num_envs,
            task,
            physics_with_latency(physics, latency_steps, LATENCY_STEPS, task.object),
            seed=seed,
            threads=threads,
            student=True,
            constants=constants,
            teacher_sensed=teacher_sensed,
            auto_reset=auto_reset,
        )
    if sim != "isaac":
        raise ValueError(f"sim must be 'twin' or 'isaac', not '{sim}'")
    from tasks.cube_spin.isaac.environment import make_isaac_env  # starts a simulator

    return make_isaac_env(
        "Sernf-Orca-CubeSpin-Distill",
        num_envs,
        seed=seed,
        device=str(device),
        physics=physics_for_isaac(physics, latency_steps, LATENCY_STEPS, run_dir, task.object),
        task=task,
        constants=constants,
    )
