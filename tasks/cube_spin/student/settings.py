"""Everything that determines a distillation, and its two presets."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from sernf_isaac.config import (
    CriticConfig,
    ImprovementConfig,
    LearnerConfig,
    OptimizerConfig,
    PolicyConfig,
    refuse_unused,
)
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.run_folder import load_settings
from tasks.assets import DEFAULT_STUDENT, DEFAULT_TEACHER, SMOOTH_TEACHER
from tasks.cube_spin.config import CommandConfig, EpisodeConfig, TaskConfig
from tasks.cube_spin.student.environment import StudentObservationConfig
from tasks.cube_spin.student.pose_noise import PoseNoiseConfig
from tasks.cube_spin.teacher.policy import TeacherPolicy

LATENCY_STEPS = 1
"""Largest action latency in distillation where nobody says another."""


@dataclass
class StudentRun:
    """Everything that determines a distillation."""

    teacher: str = str(SMOOTH_TEACHER)
    """Policy file of the teacher; the shipped students' one has steadier actions."""
    start_from: str = ""
    """Policy file of a student to begin with: its networks, critics and sigma stay. Empty: begin
    anew."""
    kind: str = "flow"
    """Of the student: "flow" or, to compare with, "gaussian" of the same size."""
    seed: int = 0
    """Of networks, worlds and draws."""
    num_envs: int = 1024
    """Worlds per process."""
    batch_size: int = 1024
    """Windows per gradient step (paper G)."""
    max_minutes: float = float("inf")
    """Stop after this much time, whatever comes first."""
    physics: str = "distillation"
    """Preset or YAML file: what is randomised, and how noisy the sensors are (F.5)."""
    latency_steps: int | None = None
    """Largest action latency, drawn per episode [control steps of 50 ms]; 0 adds none. Null: that
    of `physics` if it says one, else 1."""
    eval_every: int = 20
    """Iterations between evaluations on the twin, under the run's noise, made where it saves; the
    last iteration is evaluated too. 0 switches them off."""
    eval_episodes: int = 64
    """Episodes of each evaluation."""
    command: CommandConfig = field(default_factory=CommandConfig)
    episode: EpisodeConfig = field(
        default_factory=lambda: EpisodeConfig(
            length_s=16.0, support_s=(0.0, 6.0), finite_horizon=False
        )
    )
    observation: StudentObservationConfig = field(default_factory=StudentObservationConfig)
    reflex: ReflexConfig = field(default_factory=ReflexConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    spec: ChunkSpec = field(default_factory=ChunkSpec)
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(policy=PolicyConfig(imitation_dropout=0.5))
    )

    def __post_init__(self) -> None:
        if self.kind not in ("flow", "gaussian"):
            raise ValueError(f"kind must be 'flow' or 'gaussian', not '{self.kind}'")
        if self.batch_size < 1:
            raise ValueError(f"batch_size ({self.batch_size}) must be >= 1")
        if not self.reflex.bound:
            refuse_unused(self.reflex, ("width",), "reflex.bound is 0", group="reflex")
        reinforcement = ("candidates", "target_candidates", "polyak", "imitation_weight")
        reinforcement += ("likelihood_rows", "budget", "scaled_value", "target_critics")
        refuse_unused(
            self.learner,
            ("optimizer.rl_learning_rate", *(f"improvement.{name}" for name in reinforcement)),
            "distillation only imitates; fine-tuning has this setting",
        )
        windows = ("align_to_decisions", "pose_frame")
        why = "distill.turns says where windows start, and joint targets are no poses"
        refuse_unused(self.spec, windows, why, group="spec")


PRESETS = ("wide", "reflex", "blind", "small", "paper")
BLIND_HISTORY = 16
"""Steps that a student without a camera sees, 0.8 s: what the object does shows in how the joints
give way, over a while."""


def preset(name: str) -> StudentRun:
    """Settings to begin from.

    "wide": the shipped student's chunks, on a CPU; "reflex": the reflex behind them, which needs
    `start_from`; "blind": without a camera, from the shipped student; "small": one direction, from
    a steady teacher; "paper": F.5 and G, for a GPU.

    Raises:
        ValueError: For another name.
    """
    if name in ("wide", "reflex", "blind"):
        small = preset("small")
        wide = replace(
            small,
            teacher=str(DEFAULT_TEACHER),
            physics="wide_distillation",
            command=CommandConfig(speed_rad_s=(0.3, 1.7), both_directions=True),
            distill=replace(
                small.distill,
                turns="steps",
                least_teacher_share=0.0,
                rollout_steps=64,
                kept_rollouts=16,
            ),
        )
        return {"wide": lambda run: run, "reflex": _reflex_of, "blind": _blind_of}[name](wide)
    if name == "small":
        return StudentRun(
            teacher=str(SMOOTH_TEACHER),
            num_envs=256,
            batch_size=128,
            distill=DistillConfig(
                iterations=50,
                rollout_steps=128,
                teacher_decay=0.93,
                least_teacher_share=0.5,
                turns="chunks",
                updates_per_iteration=150,
                kept_rollouts=25,
                sigmas=[0.5],
                final_learning_rate=0.05,
            ),
            learner=LearnerConfig(
                policy=PolicyConfig(
                    token_dim=64,
                    width=64,
                    num_couplings=8,
                    num_heads=4,
                    noise_std=0.025,
                    imitation_dropout=0.0,
                ),
                critic=CriticConfig(token_dim=128, num_heads=4, num_layers=2, feedforward=256),
                optimizer=OptimizerConfig(imitation_learning_rate=1.5e-3),
                improvement=ImprovementConfig(sigma=0.25),
            ),
        )
    if name == "paper":
        return StudentRun(
            latency_steps=0,
            episode=EpisodeConfig(),
            observation=StudentObservationConfig(
                symmetric_rotation=False, pose_noise=PoseNoiseConfig.none()
            ),
        )
    raise ValueError(f"preset must be one of {PRESETS}, not '{name}'")


def _reflex_of(wide: StudentRun) -> StudentRun:
    """The student drives all the time, for that is where its reflex will be."""
    return replace(
        wide,
        reflex=ReflexConfig(bound=0.15),
        distill=replace(
            wide.distill,
            learns="reflex",
            iterations=40,
            teacher_share=0.0,
            rollout_steps=48,
            kept_rollouts=10,
            updates_per_iteration=100,
            sigmas=[],
        ),
    )


def _blind_of(wide: StudentRun) -> StudentRun:
    """The shipped student without its camera; chunks and reflex learn together."""
    return replace(
        wide,
        start_from=str(DEFAULT_STUDENT),
        num_envs=128,
        observation=StudentObservationConfig(camera=False),
        spec=ChunkSpec(history=BLIND_HISTORY),
        reflex=ReflexConfig(bound=0.15),
        distill=replace(
            wide.distill,
            iterations=40,
            teacher_share=0.6,
            teacher_decay=0.85,
            kept_rollouts=20,
        ),
    )


def load_run(run_dir: Path) -> StudentRun:
    """The settings a run was started with; errors as `run_folder.load_settings`."""
    return load_settings(run_dir, StudentRun)


def task_of(run: StudentRun, teacher: TeacherPolicy) -> TaskConfig:
    """The teacher's task under this run's commands and episodes."""
    return replace(teacher.task, command=run.command, episode=run.episode)
