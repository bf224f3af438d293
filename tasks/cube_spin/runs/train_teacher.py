"""Puts a teacher training run on the twin together: settings, folder, resume, evaluation, video."""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from sernf_isaac.run_folder import git_commit, load_settings, one_at_a_time, save_settings
from tasks.cube_spin.config import TaskConfig, evaluation_task, paper_task, training_task, wide_task
from tasks.cube_spin.evaluation.figures import training_figure
from tasks.cube_spin.evaluation.metrics import run_episodes, summarise
from tasks.cube_spin.latency import physics_with_latency
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.teacher.curriculum import Curriculum
from tasks.cube_spin.teacher.policy import POLICY_FILE, save_teacher, teacher_from_rsl_rl
from tasks.cube_spin.teacher.ppo import STATE_FILE, PpoConfig, TeacherTraining, paper_ppo
from tasks.cube_spin.twin.environment import CubeSpinTwin

LATENCY_STEPS = 2
"""Largest action latency in training where nobody says another."""


@dataclass
class TwinRun:
    """Everything that determines a training run on the twin."""

    seed: int = 0
    """Of networks, worlds and draws."""
    num_envs: int = 256
    """Worlds simulated side by side."""
    iterations: int = 1500
    """Rollouts, each followed by an update."""
    max_minutes: float = float("inf")
    """Stop after this much training time, whatever comes first."""
    start_from: str = ""
    """A `training_state.pt` or teacher file whose networks to begin with; random when empty."""
    physics: str = "randomized"
    """Preset or YAML file (`physics.py`)."""
    latency_steps: int | None = None
    """Largest action latency to train against, drawn per episode [control steps of 50 ms]; 0 adds
    none. Null: that of `physics` if it says one, else 2."""
    curriculum: Curriculum = field(default_factory=Curriculum)
    eval_every: int = 250
    """Iterations between evaluations while training; 0 switches them off."""
    eval_episodes: int = 64
    """Episodes of each evaluation."""
    task: TaskConfig = field(default_factory=training_task)
    ppo: PpoConfig = field(default_factory=PpoConfig)


def preset(name: str) -> TwinRun:
    """Settings by name.

    "wide": both directions in all worlds, as the shipped teacher learned; "fast": one direction and
    the paper's randomisation; "paper": Tables III and IV and the literal task.
    """
    if name == "fast":
        return TwinRun()
    if name == "wide":
        return TwinRun(
            num_envs=128,  # with 256, the hand holds the cube after a quarter more steps
            iterations=2500,
            physics="wide",
            curriculum=Curriculum(randomised=(0.12, 0.25), begin=0.3, end=0.6),
            task=wide_task(),
            ppo=PpoConfig(hidden=(256, 256, 128)),
        )
    if name == "paper":
        return TwinRun(
            latency_steps=0,
            curriculum=Curriculum(begin=0.0, end=0.0),
            task=paper_task(),
            ppo=paper_ppo(),
        )
    raise ValueError(f"preset must be 'wide', 'fast' or 'paper', not '{name}'")


def load_run(run_dir: Path) -> TwinRun:
    """The settings a run was started with; errors as `run_folder.load_settings`."""
    return load_settings(run_dir, TwinRun)


@one_at_a_time
def train(run: TwinRun, run_dir: Path, *, threads: int | None = None, resume: bool = False) -> Path:
    """Train, or continue training, and return the policy file.

    Raises:
        FileNotFoundError: If a run should be resumed but holds no resume point.
        ValueError: If settings contradict each other.
    """
    torch.manual_seed(run.seed)
    physics = physics_with_latency(run.physics, run.latency_steps, LATENCY_STEPS, run.task.object)
    env = CubeSpinTwin(run.num_envs, run.task, physics, seed=run.seed, threads=threads)
    if not resume:
        save_settings(run_dir, run)
    export = partial(_export, run=run, env=env, run_dir=run_dir, commit=git_commit())
    training = TeacherTraining(env, run.ppo, run_dir, export)
    if resume:
        training.resume(run_dir)
    elif run.start_from:
        training.start_from(Path(run.start_from))
    training.before_iteration = lambda done: env.draw_from(
        run.curriculum.commands(run.task.command, done), run.curriculum.physics(physics, done)
    )
    training.after_save = partial(_evaluate, run=run, env=env, threads=threads)
    training.run(run.iterations, run.max_minutes * 60.0)
    title = f"teacher, seed {run.seed}, {training.progress.wall_s / 60:.1f} min"
    training_figure(run_dir / "training.png", training.progress.history, title)
    return run_dir / POLICY_FILE


def first_and_last(run_dir: Path, share: float = 0.05) -> tuple[dict[str, float], dict[str, float]]:
    """Mean reward, hold_s and rpm over the first and the last `share` of a run's iterations."""
    state = torch.load(run_dir / STATE_FILE, weights_only=True)
    history = state["progress"]["history"]
    count = max(1, round(share * len(history)))
    return tuple(
        {name: _mean(rows, name) for name in ("reward", "hold_s", "rpm")}
        for rows in (history[:count], history[-count:])
    )  # type: ignore[return-value]  # two of them


def _mean(rows: list[dict[str, float]], name: str) -> float:
    """Mean of one entry over the rows that have it; nan if none has."""
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values) if values else float("nan")


def _export(
    actor: nn.Module,
    iteration: int,
    *,
    run: TwinRun,
    env: CubeSpinTwin,
    run_dir: Path,
    commit: str,
) -> None:
    policy = teacher_from_rsl_rl(actor, run.task, env.constants)
    steps = iteration * run.ppo.rollout_steps * run.num_envs
    notes = {"seed": run.seed, "iteration": iteration, "env_steps": steps, "commit": commit}
    save_teacher(run_dir / POLICY_FILE, policy, notes | {"ppo": asdict(run.ppo)})


def _evaluate(
    training: TeacherTraining, *, run: TwinRun, env: CubeSpinTwin, threads: int | None
) -> dict[str, float]:
    """Evaluation while training: the paper's episode, held-out seed."""
    if not run.eval_every or training.progress.iteration % run.eval_every:
        return {}
    policy = teacher_from_rsl_rl(training.ppo.actor, run.task, env.constants)
    twin = CubeSpinTwin(
        run.eval_episodes,
        evaluation_task(run.task),
        load_physics(run.physics, run.task.object),
        seed=10_000 + run.seed,
        threads=threads,
        constants=env.constants,
    )
    summary = summarise(run_episodes(twin, policy, run.eval_episodes, "evaluating"))
    shown = ("rpm_in_hand", "spin_ratio", "drop_fraction", "hold_median_s", "turns_per_run")
    return {f"Eval/{name}": float(summary[name]) for name in shown}  # type: ignore[arg-type]
