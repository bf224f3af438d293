"""The demo's steps after the teacher: a student, two iterations on a hand, a film of it."""

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
from tasks.assets import DEFAULT_DETECTOR
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.eyes.recording import episode_states, longest_episode, record
from tasks.cube_spin.hand.report import curve_table
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.runs.rehearse import Rehearsal, RehearsalRun
from tasks.cube_spin.student.settings import preset

WINDOW = 3
"""Iterations whose mean is the beginning, and the end, of a curve."""


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
    run = RehearsalRun(seed=seed, minutes_per_test=2.0)
    learner = replace(
        run.learner,
        minutes_per_iteration=2.0,
        updates_per_iteration=50,
        warm_up_iterations=1,
        offline_iterations=0,
        online_iterations=1,
    )
    curve = Rehearsal(replace(run, learner=learner), student, out, tqdm.write).play()
    print(curve_table(curve))


def film_episode(out: Path, run: Path, seconds: float, seed: int) -> float:
    """Film a run's longest episode before a rendered camera, with what the eyes make of it.

    Returns:
        The part of the pictures with a pose.
    """
    record(episode_states(longest_episode(run), seconds), out / "camera", seed=seed)
    file = load_detector(DEFAULT_DETECTOR)
    tracker = CubeTracker(CornerDetector(file.network, file.config), tracker_config(file))
    return film(Recording(out / "camera"), tracker, out / "eyes.mp4", rate_hz=1 / CONTROL_DT_S)
