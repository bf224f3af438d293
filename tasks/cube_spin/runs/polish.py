"""Puts RL in simulation together: student, worlds, learner, folder, evaluation."""

from contextlib import closing, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

from sernf_isaac.learning.build import learner_from
from sernf_isaac.learning.online.polishing import Polisher
from sernf_isaac.learning.workers import Workers, seed_of
from sernf_isaac.run_folder import git_commit, new_run_dir, save_settings, writing
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.runs.simulators import student_simulator
from tasks.cube_spin.student.environment import radian_constants
from tasks.cube_spin.student.lockstep import LockstepHands
from tasks.cube_spin.student.policy import Student, load_student, save_student
from tasks.cube_spin.student.polish_settings import PolishRun, task_of

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
        learner, policy = learner_from(
            student.policy,
            run.learner,
            fresh_critics=run.fresh_critics,
            noise_std=run.noise_std,
            seed=run.seed,
            device=device,
        )
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
    task = task_of(run, student.task)
    inner = student_simulator(
        sim,
        run.num_envs,
        task,
        radian_constants(task_constants(task)),
        physics=run.physics,
        latency_steps=None,
        run_dir=run_dir,
        seed=seed,
        device=device,
        threads=threads,
        auto_reset=False,
    )
    shape = task.object.shape
    return LockstepHands(inner, student.observation, seed=seed, device=device, shape=shape)


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
