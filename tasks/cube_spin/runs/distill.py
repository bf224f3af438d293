"""Puts a distillation together: teacher, environments, student, folder, evaluation."""

from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from sernf_isaac.config import given
from sernf_isaac.learning.build import learner_of
from sernf_isaac.learning.distill.distiller import Distiller
from sernf_isaac.learning.workers import Workers, seed_of
from sernf_isaac.metrics import read_metrics
from sernf_isaac.models.build import build_actor, build_critics, build_reflex
from sernf_isaac.policy import ChunkPolicy
from sernf_isaac.run_folder import git_commit, new_run_dir, save_settings, writing
from tasks.cube_spin.config import evaluation_task
from tasks.cube_spin.evaluation.metrics import run_episodes, summarise
from tasks.cube_spin.held_object import HeldObject, refuse_other_object
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.runs.simulators import student_simulator
from tasks.cube_spin.student.blind import without_camera
from tasks.cube_spin.student.environment import StudentEnv, radian_constants
from tasks.cube_spin.student.labels import label_with
from tasks.cube_spin.student.policy import (
    load_student,
    save_student,
    student_layout,
    student_normalizer,
)
from tasks.cube_spin.student.settings import (
    StudentRun,
    task_of,
)
from tasks.cube_spin.teacher.policy import TeacherPolicy, load_teacher
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand

POLICY_FILE = "student.pt"
_SHOWN = (
    *("rpm_in_hand", "spin_ratio", "drop_fraction", "drops_per_minute"),
    *("hold_median_s", "turns_per_run"),
)
"""What is logged of an evaluation, as `eval/<name>` and `eval_teacher/<name>`."""


def distil(
    run: StudentRun,
    root: Path,
    *,
    sim: str = "twin",
    device: str = "cpu",
    threads: int | None = None,
    resume: Path | None = None,
) -> Path | None:
    """Distil, or go on, and return the student's file; None in processes that do not write it.

    Args:
        run: Settings.
        root: Folder of the runs.
        sim: "twin" or "isaac".
        device: "cpu" or "cuda:N", of Isaac Lab and of the learning.
        threads: Physics threads of the twin.
        resume: A run's folder to go on in.

    Raises:
        FileNotFoundError: If there is nothing to resume, or no teacher.
        ValueError: If settings do not fit together.
    """
    workers = Workers.from_environment(device)
    try:
        run_dir = workers.agree(resume or (new_run_dir(root) if workers.rank == 0 else root))
        teacher = load_teacher(run.teacher)
        seed = seed_of(run.seed, workers.rank)
        alone = writing(run_dir) if workers.rank == 0 else nullcontext()
        with alone, closing(make_env(run, teacher, sim, run_dir, seed, device, threads)) as env:
            distiller = _distiller(run, run_dir, env, teacher, workers, device)
            if resume:
                distiller.resume()
            elif workers.rank == 0:
                save_settings(run_dir, run)
            distiller.after_save = partial(_after_save, run=run, teacher=teacher, threads=threads)
            distiller.run(run.max_minutes * 60.0)
    finally:
        workers.close()
    return run_dir / POLICY_FILE if workers.rank == 0 else None


def make_env(
    run: StudentRun,
    teacher: TeacherPolicy,
    sim: str,
    run_dir: Path,
    seed: int,
    device: str = "cpu",
    threads: int | None = None,
) -> StudentEnv:
    """The environments of one process, somewhere within their first episodes.

    Raises:
        ValueError: For an unknown simulator.
    """
    inner = student_simulator(
        sim,
        run.num_envs,
        task_of(run, teacher),
        radian_constants(teacher.constants),
        physics=run.physics,
        latency_steps=run.latency_steps,
        run_dir=run_dir,
        seed=seed,
        device=device,
        threads=threads,
        teacher_sensed=False,
    )
    # So that not all episodes end at the same time.
    draw = torch.Generator().manual_seed(seed)
    passed = torch.randint(int(inner.max_episode_length), (run.num_envs,), generator=draw)
    inner.episode_length_buf = passed.to(device)
    shape = teacher.task.object.shape
    steps = run.spec.history
    return StudentEnv(inner, run.observation, seed=seed, device=device, shape=shape, history=steps)


def _distiller(
    run: StudentRun,
    run_dir: Path,
    env: StudentEnv,
    teacher: TeacherPolicy,
    workers: Workers,
    device: str,
) -> Distiller:
    hand = load_hand(teacher.task.hand)
    policy = _first_policy(run, hand, teacher.task.object, device)
    critics = policy.critics or build_critics(policy.layout, policy.actor)
    config = replace(run.learner, policy=policy.layout.policy, critic=policy.layout.critic)
    learner = learner_of(policy.actor, critics, config, seed=run.seed, device=device)
    acting = policy.with_networks(policy.layout, learner.acting, policy.critics, policy.sigma)
    return Distiller(
        env,
        label_with(teacher.to(device)),
        acting,
        learner,
        run.distill,
        run_dir,
        batch_size=run.batch_size,
        action_names=hand.joint_names,
        seed=run.seed,
        workers=workers,
    )


def _first_policy(run: StudentRun, hand: Hand, held: HeldObject, device: str) -> ChunkPolicy:
    """The student that the run begins with, with a reflex if one is asked for.

    Raises:
        ValueError: If the first student is of another hand or object, its reflex differs, or it
            lacks the camera that the run has.
    """
    torch.manual_seed(run.seed)
    if run.distill.learns == "reflex" and not run.start_from:
        raise ValueError(
            "distill.learns=reflex learns behind chunks that are there: give start_from=STUDENT.pt"
        )
    if run.start_from:
        student = load_student(run.start_from, device)
        if (theirs := load_hand(student.task.hand).label) != hand.label:
            raise ValueError(
                f"{run.start_from} is for the hand {theirs}, the teacher for {hand.label}"
            )
        remedy = f"give a teacher for it, or a student for the {held.label}"
        refuse_other_object(student.task.object.label, held, run.start_from, remedy)
        first = student.policy
        if run.observation.camera and not student.observation.camera:
            raise ValueError(
                f"{run.start_from} has no camera: give observation.camera=false spec.history="
                f"{student.history}, or a student with a camera"
            )
        if student.observation.camera and not run.observation.camera:
            return without_camera(first, hand, run.spec.history, run.reflex)
        if first.layout.spec.history != run.spec.history:
            raise ValueError(
                f"spec.history ({run.spec.history}) must be {student.history}, as in "
                f"{run.start_from}"
            )
        reflex = first.reflex
        if reflex is not None and first.layout.reflex != run.reflex:
            raise ValueError(
                f"{run.start_from} has a reflex of {asdict(first.layout.reflex)}; give the same "
                f"settings `reflex.*`, not {asdict(run.reflex)}"
            )
        layout = replace(first.layout, reflex=run.reflex)
        reflex = build_reflex(layout) if reflex is None else reflex
        moved = None if reflex is None else reflex.to(device)
        return ChunkPolicy(
            layout, first.actor, first.critics, first.normalizer, sigma=first.sigma, reflex=moved
        )
    camera = run.observation.camera
    sizes = run.learner.policy, run.learner.critic
    layout = student_layout(hand, run.spec, *sizes, run.seed, run.kind, camera=camera)
    layout = replace(layout, reflex=run.reflex)
    actor, reflex = build_actor(layout).to(device), build_reflex(layout)
    sigma = given(run.learner.improvement.sigma, "learner.improvement.sigma")
    symmetric = run.observation.symmetric_rotation
    normalizer = student_normalizer(hand, symmetric_rotation=symmetric, camera=camera).to(device)
    moved = None if reflex is None else reflex.to(device)
    return ChunkPolicy(layout, actor, None, normalizer, sigma=sigma, reflex=moved)


def _after_save(
    distiller: Distiller,
    last: bool,
    *,
    run: StudentRun,
    teacher: TeacherPolicy,
    threads: int | None,
) -> dict[str, float]:
    """Export the student at every resume point, and evaluate it now and then and in the end."""
    names = {name: Path(getattr(run, name)).name for name in ("teacher", "start_from")}
    settings = asdict(run) | names  # not where they lay
    notes = {"run": settings, "commit": git_commit(), "iteration": distiller.iteration}
    notes |= {"minutes": distiller.wall_s / 60.0}
    path = distiller.run_dir / POLICY_FILE
    save_student(path, distiller.policy, task_of(run, teacher), run.observation, notes)
    if not run.eval_every or not (last or distiller.iteration % run.eval_every == 0):
        return {}
    summary, _ = evaluate(_evaluation(path, run, threads))
    found = {f"eval/{name}": float(summary[name]) for name in _SHOWN}
    if not read_metrics(distiller.run_dir, f"eval_teacher/{_SHOWN[0]}"):
        found |= _evaluate_teacher(run, threads)
    return found


def _evaluation(path: Path, run: StudentRun, threads: int | None) -> EvaluationRequest:
    """On the twin, whatever was distilled on; under the run's physics and camera."""
    return EvaluationRequest(
        path,
        episodes=run.eval_episodes,
        seed=10_000 + run.seed,
        physics=run.physics,
        threads=threads,
        pose_noise=True,
        candidates=run.distill.candidates,
        rank=run.distill.rank,
    )


def _evaluate_teacher(run: StudentRun, threads: int | None) -> dict[str, float]:
    """The same episodes with the teacher, which sees the truth as it does when it labels."""
    teacher = load_teacher(run.teacher)
    request = _evaluation(Path(run.teacher), run, threads)
    twin = CubeSpinTwin(
        min(request.num_envs, request.episodes),
        evaluation_task(teacher.task),
        load_physics(request.physics, teacher.task.object),
        seed=request.seed,
        threads=threads,
        teacher_sensed=False,
        constants=teacher.constants,
    )
    with closing(twin):
        summary = summarise(run_episodes(twin, teacher, request.episodes, "its teacher"))
    return {f"eval_teacher/{name}": float(summary[name]) for name in _SHOWN}  # type: ignore[arg-type]  # single numbers
