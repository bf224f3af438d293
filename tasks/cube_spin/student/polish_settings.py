"""Everything that determines RL of a student in simulation."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from sernf_isaac.config import (
    CriticConfig,
    ImprovementConfig,
    LearnerConfig,
    OptimizerConfig,
    refuse_unused,
)
from sernf_isaac.learning.finetune.run import NO_BUDGET
from sernf_isaac.learning.online.polishing import PolishPlan
from sernf_isaac.run_folder import load_settings
from tasks.assets import DEFAULT_STUDENT
from tasks.cube_spin.config import CONTROL_DT_S, CommandConfig, EpisodeConfig, TaskConfig


@dataclass
class PolishRun:
    """Settings; the learner's are those of fine-tuning, so that its critics can go on there."""

    student: str = str(DEFAULT_STUDENT)
    """Policy file to begin with."""
    seed: int = 0
    """Of worlds, networks and draws."""
    num_envs: int = 128
    """Worlds per process."""
    physics: str = "wide_distillation"
    """Preset or YAML file: what is randomised, and how noisy the sensors are."""
    noise_std: float = 0.01
    """Noise on imitated actions, as in fine-tuning (paper G: 0.01 on real data)."""
    fresh_critics: bool = False
    """Start with new critics, also if the student brings some. False: go on with those it has."""
    eval_every: int = 10
    """Rounds between evaluations on the twin; the last round is evaluated too. 0: none."""
    eval_episodes: int = 64
    """Episodes of each evaluation."""
    eval_candidates: int = 24
    """Chunks K per decision in evaluations."""
    command: CommandConfig = field(
        default_factory=lambda: CommandConfig(speed_rad_s=(0.3, 1.6), both_directions=True)
    )
    episode: EpisodeConfig = field(
        default_factory=lambda: EpisodeConfig(support_s=(0.0, 2.0), finite_horizon=False)
    )
    """The plan's `episode_steps` say how long episodes are, not `length_s`."""
    plan: PolishPlan = field(default_factory=PolishPlan)
    learner: LearnerConfig = field(
        default_factory=lambda: LearnerConfig(improvement=ImprovementConfig(sigma=None))
    )
    """With `improvement.sigma=null`, the student's."""

    def __post_init__(self) -> None:
        refuse_unused(
            self.learner,
            ("policy", "optimizer.imitation_learning_rate"),
            "networks and dropout are those of the student, which is not distilled any further",
        )
        refuse_unused(self.learner, ("improvement.budget",), NO_BUDGET)


def preset(name: str) -> PolishRun:
    """ "small": students of a CPU's size; "paper": sizes of C.3 and G, for a GPU.

    Raises:
        ValueError: For another name.
    """
    if name == "small":
        critic = CriticConfig(
            support=(-4.0, 18.0), token_dim=128, num_heads=4, num_layers=2, feedforward=128
        )
        optimizer = OptimizerConfig(rl_learning_rate=3e-4)
        improvement = ImprovementConfig(candidates=4, sigma=None, imitation_weight=1.0)
        return PolishRun(
            learner=LearnerConfig(critic=critic, optimizer=optimizer, improvement=improvement)
        )
    if name == "paper":
        return PolishRun(
            num_envs=1024,
            plan=PolishPlan(
                candidates=24, updates_per_round=1000, critic_updates=1, batch_size=512
            ),
        )
    raise ValueError(f"preset must be 'small' or 'paper', not '{name}'")


def load_run(run_dir: Path) -> PolishRun:
    """The settings a run was started with; errors as `run_folder.load_settings`."""
    return load_settings(run_dir, PolishRun)


def task_of(run: PolishRun, student: TaskConfig) -> TaskConfig:
    """The student's task under this run's commands; episodes that only the plan ends."""
    length_s = (run.plan.episode_steps + 1) * CONTROL_DT_S
    episode = replace(run.episode, length_s=length_s, finite_horizon=False)
    return replace(student, command=run.command, episode=episode)
