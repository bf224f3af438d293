"""One teacher for both directions: a network for each, trained side by side and joined."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import torch

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.run_folder import git_commit, one_at_a_time, save_settings
from tasks.cube_spin.runs.train_teacher import TwinRun, train
from tasks.cube_spin.teacher.policy import POLICY_FILE, joined, load_teacher, save_teacher
from tasks.cube_spin.teacher.ppo import STATE_FILE

DIRECTIONS = {"counterclockwise": False, "clockwise": True}
"""Folders of the two trainings, and whether their commands are negative."""


def train_teacher(
    run: TwinRun, run_dir: Path, *, threads: int | None = None, resume: bool = False
) -> Path:
    """Train what the run asks for, one network or one for each direction; returns the policy file.

    Raises:
        FileNotFoundError, ValueError: As `train`.
        RuntimeError: If the training of a direction failed; its own message is above.
    """
    both = run.task.command.both_directions and run.separate_directions
    how = train_both if both else train
    return how(run, run_dir, threads=threads, resume=resume)


@one_at_a_time
def train_both(
    run: TwinRun, run_dir: Path, *, threads: int | None = None, resume: bool = False
) -> Path:
    """Train both directions in folders of their own, and join the policies.

    With one thread one comes after the other, with more they share them.
    """
    if not resume:
        save_settings(run_dir, run)
    threads = threads or len(os.sched_getaffinity(0))
    parts = []
    for name, clockwise in DIRECTIONS.items():
        folder = run_dir / name
        folder.mkdir(exist_ok=True)
        begun = resume and (folder / STATE_FILE).is_file()
        parts.append((one_way(run, clockwise=clockwise), folder, max(1, threads // 2), begun))
    if threads == 1:
        for part in parts:
            _train_one(*part)
    else:
        _train_side_by_side(parts)
    return join(run_dir, {"seed": run.seed, "commit": git_commit()})


def one_way(run: TwinRun, *, clockwise: bool) -> TwinRun:
    """The run that learns one direction."""
    command = replace(run.task.command, both_directions=False, clockwise=clockwise)
    return replace(run, task=replace(run.task, command=command))


def join(run_dir: Path, notes: dict) -> Path:
    """Write the joined policy of both folders."""
    files = [run_dir / name / POLICY_FILE for name in DIRECTIONS]
    steps = sum(load_checkpoint(file).config["notes"]["env_steps"] for file in files)
    policy = joined(*(load_teacher(file) for file in files))
    save_teacher(run_dir / POLICY_FILE, policy, notes | {"env_steps": steps})
    return run_dir / POLICY_FILE


def _train_one(run: TwinRun, folder: Path, threads: int, resume: bool) -> None:
    torch.set_num_threads(1)
    train(run, folder, threads=threads, resume=resume, label=folder.name)


def _train_side_by_side(parts: list[tuple[TwinRun, Path, int, bool]]) -> None:
    """Each in its own process; if one fails, the other is stopped at its last resume point."""
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=_train_one, args=part, daemon=True) for part in parts]
    for process in running:
        process.start()
    try:
        while any(process.is_alive() for process in running):
            for process in running:
                process.join(timeout=0.2)
            if any(process.exitcode for process in running):
                break
        failed = [part[1] for part, p in zip(parts, running, strict=True) if p.exitcode]
    finally:
        for process in running:
            process.terminate()
            process.join()
    if failed:
        raise RuntimeError(f"the training in {failed[0]} failed; its message is above")
