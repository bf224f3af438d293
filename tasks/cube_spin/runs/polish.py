"""Puts RL in simulation together: student, worlds, learner, folder, evaluation."""

from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from sernf_isaac.learning.build import learner_of
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.online.polishing import Polisher
from sernf_isaac.learning.workers import Workers, seed_of
from sernf_isaac.models.build import build_critics
from sernf_isaac.policy import ChunkPolicy
from sernf_isaac.run_folder import git_commit, new_run_dir, save_settings, writing
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.latency import physics_for_isaac
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.student.environment import radian_constants
from tasks.cube_spin.student.lockstep import LockstepHands
from tasks.cube_spin.student.policy import Student, load_student, save_student
from tasks.cube_spin.student.polish_settings import PolishRun, physics_of, task_of
from tasks.cube_spin.twin.environment import CubeSpinTwin

POLICY_FILE = "student.pt"
_SHOWN = ("rpm_in_hand", "spin_ratio", "drop_fraction", "hold_median_s", "turns_per_run")
"""What is logged of an evaluation, as `eval/<name>`."""


def polish(
    run: PolishRun,
    root: Path,
    *,
    sim: str = "twin",
    device: str = "cpu",
    threads: int | None = None,
    resume: Path | None = None,
) -> Path | None:
    """Improve a student, or go on, and return its file; None in processes that do not write it.

    Args:
        run: Settings.
        root: Folder of the runs.
        sim: "twin" or "isaac".
        device: "cpu" or "cuda:N", of Isaac Lab and of the learning.
        threads: Physics threads of the twin.
        resume: A run's folder to go on in.

    Raises:
        FileNotFoundError: If there is nothing to resume, or no student.
        ValueError: If settings do not fit together, or the student's critics do not fit them.
    """
    workers = Workers.from_environment(device)
    try:
        run_dir = workers.agree(resume or (new_run_dir(root) if workers.writes else root))
        student = load_student(run.student, device)
        learner, policy = build(run, student.policy, device)
        alone = writing(run_dir) if workers.writes else nullcontext()
        seed = seed_of(run.seed, workers.rank)
        with alone, closing(make_hands(run, student, sim, run_dir, seed, device, threads)) as env:
            polisher = Polisher(
                env, policy, learner, run.plan, run_dir, seed=run.seed, workers=workers
            )
            if resume:
                polisher.resume()
            elif workers.writes:
                save_settings(run_dir, run)
            polisher.after_save = partial(_after_save, run=run, student=student, threads=threads)
            polisher.run()
    finally:
        workers.close()
    return run_dir / POLICY_FILE if workers.writes else None


def build(run: PolishRun, first: ChunkPolicy, device: str) -> tuple[Learner, ChunkPolicy]:
    """The learner around a student's networks, and the policy that shares them.

    Critics that the student brings are kept, sizes and all, unless fresh ones are asked for.
    """
    kept = None if run.fresh_critics else first.critics
    critic = run.learner.critic if kept is None else first.layout.critic
    sigma = run.learner.improvement.sigma
    sigma = first.sigma if sigma is None else sigma
    layout = replace(first.layout, critic=critic)
    config = replace(
        run.learner,
        policy=layout.policy,
        critic=critic,
        improvement=replace(run.learner.improvement, sigma=sigma),
    )
    first.actor.flow.noise_std = run.noise_std
    torch.manual_seed(run.seed)
    critics = build_critics(layout, first.actor) if kept is None else kept
    learner = learner_of(first.actor, critics, config, seed=run.seed, device=device)
    policy = first.with_networks(layout, learner.actor, learner.critics, sigma)
    return learner, policy


def make_hands(
    run: PolishRun,
    student: Student,
    sim: str,
    run_dir: Path,
    seed: int,
    device: str = "cpu",
    threads: int | None = None,
) -> LockstepHands:
    """The simulated hands of one process.

    Raises:
        ValueError: For an unknown simulator.
    """
    if sim not in ("twin", "isaac"):
        raise ValueError(f"sim must be 'twin' or 'isaac', not '{sim}'")
    task = task_of(run, student.task)
    constants = radian_constants(task_constants(task))
    if sim == "twin":
        inner = CubeSpinTwin(
            run.num_envs,
            task,
            physics_of(run),
            seed=seed,
            threads=threads,
            student=True,
            constants=constants,
            auto_reset=False,
        )
    else:
        from tasks.cube_spin.isaac.environment import make_isaac_env  # starts a simulator

        inner = make_isaac_env(
            "Sernf-Orca-CubeSpin-Distill",
            run.num_envs,
            seed=seed,
            device=device,
            physics=physics_for_isaac(run.physics, None, 1, run_dir),
            task=task,
            constants=constants,
        )
    return LockstepHands(inner, student.observation, seed=seed, device=device)


def _after_save(
    polisher: Polisher, last: bool, *, run: PolishRun, student: Student, threads: int | None
) -> dict[str, float]:
    """Export the student at every resume point, and evaluate it now and then and in the end."""
    settings = asdict(run) | {"student": Path(run.student).name}  # not where it lay
    notes = {"polish": settings, "commit": git_commit(), "round": polisher.round}
    path = polisher.run_dir / POLICY_FILE
    save_student(path, polisher.policy, student.task, student.observation, notes)
    if not run.eval_every or not (last or polisher.round % run.eval_every == 0):
        return {}
    request = EvaluationRequest(
        path,
        episodes=run.eval_episodes,
        seed=10_000 + run.seed,
        physics=run.physics,
        threads=threads,
        candidates=run.eval_candidates,
        rank="value",
        pose_noise=True,
    )
    summary, _ = evaluate(request)
    return {f"eval/{name}": float(summary[name]) for name in _SHOWN}
