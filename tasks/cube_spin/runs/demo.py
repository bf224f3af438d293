"""The demo's steps: teacher, student, two iterations on a hand, a film of it."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from perception.cameras.recording import Recording
from perception.detector.detector import CornerDetector
from perception.detector.files import load_detector
from perception.report.evaluation import tracker_config
from perception.report.film import film
from perception.tracking.tracker import CubeTracker
from sernf_isaac.metrics import read_metrics
from sernf_isaac.run_folder import new_run_dir
from sernf_isaac.verbs import as_typed
from tasks.assets import DEFAULT_DETECTOR, DEFAULT_STUDENT, DEFAULT_TEACHER
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.evaluation.figures import evaluation_figure
from tasks.cube_spin.evaluation.metrics import report_table
from tasks.cube_spin.eyes.recording import episode_states, longest_episode, record
from tasks.cube_spin.hand.report import curve_table
from tasks.cube_spin.runs import train_teacher as runs
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.runs.play import film_policy
from tasks.cube_spin.runs.rehearse import Rehearsal, rehearsal
from tasks.cube_spin.student.settings import preset
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.orca.hands import hand_of_run

WINDOW = 3
"""Iterations whose mean is the beginning, and the end, of a curve."""


def show_everything(out: Path, minutes: float, episodes: int, seconds: float, seed: int) -> None:
    """All five steps, with what they found.

    Args:
        out: Folder of films, figures and runs.
        minutes: Of each training.
        episodes: Of the evaluation.
        seconds: Length of the films.
        seed: Of the trainings.
    """
    started = time.monotonic()
    show_teacher(out, episodes, seconds)
    found = [
        train_teacher(out, minutes, seed),
        train_student(out, minutes, seed),
    ]
    print(f"4/5  {DEFAULT_STUDENT.name} on a hand it has never met: test, data, critics, test, ...")
    for old in ("hand", "camera"):
        shutil.rmtree(out / old, ignore_errors=True)
    short_rehearsal(out / "hand", DEFAULT_STUDENT, seed)
    print("5/5  the longest run before a rendered camera")
    seen = film_episode(out, out / "hand" / "robot", seconds, seed)
    print(f"\ndone in {(time.monotonic() - started) / 60:.1f} min", *found, sep="\n")
    print(f"eyes: a pose in {100 * seen:.0f} % of the pictures")
    print(f"\nvideos, plots  {out}/teacher.mp4  evaluation.png  hand/curve.png  eyes.mp4")
    more = "scripts/train_teacher.py, scripts/distill.py, scripts/rehearse.py: see their --help"
    print(as_typed(f"more           {more}"))


def show_teacher(out: Path, episodes: int, seconds: float) -> None:
    """Evaluate the shipped teacher and film it."""
    print(f"1/5  {DEFAULT_TEACHER.name} on the twin: {episodes} runs of 32 s, randomised physics")
    result, records = evaluate(EvaluationRequest(DEFAULT_TEACHER, episodes=episodes))
    print(report_table(result))
    title = f"shipped teacher, {episodes} runs, randomised physics"
    evaluation_figure(out / "evaluation.png", records, {}, title)
    film_policy(load_teacher(), out / "teacher.mp4", seconds=seconds, spin_rad_s=1.5)


def train_teacher(out: Path, minutes: float, seed: int) -> str:
    """Train a teacher from nothing; how its numbers changed, in words."""
    print(f"2/5  a fresh teacher, {minutes:g} minutes from nothing: watch hold_s rise")
    run = runs.TwinRun(seed=seed, iterations=100_000, max_minutes=minutes, eval_every=0)
    run.task.command.speed_rad_s = (0.3, 1.5)
    run.latency_steps, run.ppo.schedule, run.ppo.final_std = 0, "fixed", None
    run_dir = new_run_dir(out / "teacher")
    runs.train(run, run_dir)
    first, last = runs.first_and_last(run_dir)
    return (
        f"fresh teacher: cube held {first['hold_s']:.1f} -> {last['hold_s']:.1f} s, "
        f"reward per step {first['reward']:.2f} -> {last['reward']:.2f}\n  {run_dir}"
    )


def train_student(out: Path, minutes: float, seed: int) -> str:
    """Distil a student from nothing; how its numbers changed, in words."""
    print(f"3/5  a fresh student, {minutes:g} minutes from nothing: watch action_error fall")
    policy, ends = short_distillation(out / "student", minutes, seed)
    error, share = ends["distill/action_error"], ends["distill/student_share"]
    return (
        f"fresh student: error of its joint targets {error[0]:.3f} -> {error[1]:.3f} rad while its "
        f"share of the steps rose {100 * share[0]:.0f} -> {100 * share[1]:.0f} %\n  {policy}"
    )


def short_distillation(out: Path, minutes: float, seed: int) -> tuple[Path, dict]:
    """A student of the shipped teacher, from nothing; its file, and how its numbers changed."""
    run = preset("small")
    settings = replace(
        run.distill, iterations=1000, teacher_decay=0.8, updates_per_iteration=60, rollout_steps=64
    )
    run = replace(run, seed=seed, num_envs=128, max_minutes=minutes, eval_every=0, distill=settings)
    policy = distil(run, out)
    assert policy is not None, "the only process"
    names = ("actor/bc", "distill/action_error", "distill/student_share")
    curves = {name: [value for _, value in read_metrics(policy.parent, name)] for name in names}
    ends = {n: (np.mean(c[:WINDOW]), np.mean(c[-WINDOW:])) for n, c in curves.items()}
    return policy, ends


def short_rehearsal(out: Path, student: Path, seed: int) -> None:
    """Two iterations of fine-tuning with two minutes of data each, and tests of two minutes."""
    run = replace(
        rehearsal(),
        seed=seed,
        minutes_per_test=2.0,
        minutes_per_iteration=2.0,
        updates_per_iteration=50,
        warm_up_iterations=1,
        offline_iterations=0,
        online_iterations=1,
    )
    curve = Rehearsal(run, student, out, tqdm.write).play()
    print(curve_table(curve))


def film_episode(out: Path, run: Path, seconds: float, seed: int) -> float:
    """Film a run's longest episode before a rendered camera, with what the eyes make of it.

    Returns:
        The part of the pictures with a pose.
    """
    record(
        hand_of_run(run), episode_states(longest_episode(run), seconds), out / "camera", seed=seed
    )
    file = load_detector(DEFAULT_DETECTOR)
    tracker = CubeTracker(CornerDetector(file.network, file.config), tracker_config(file))
    return film(Recording(out / "camera"), tracker, out / "eyes.mp4", rate_hz=1 / CONTROL_DT_S)
