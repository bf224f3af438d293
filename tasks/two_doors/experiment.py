"""The whole example: demonstrations, a Gaussian to compare with, the four stages, a report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sernf_isaac import config
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.learning.acting import act
from sernf_isaac.learning.online.in_memory import FourStageRun, FourStages, Milestone, Problem
from sernf_isaac.learning.online.rollout import collect
from sernf_isaac.learning.online.training import OnlineSchedule
from sernf_isaac.learning.small import CRITICS, HELD_OUT_SHARE, IMPROVEMENT, SMALL_FLOW
from sernf_isaac.models.architecture import Architecture
from tasks.two_doors.demonstrator import Demonstrator
from tasks.two_doors.environment import ACTION_DIM, FEATURES, STATE_LIMIT, TwoDoors
from tasks.two_doors.report import Runs, line, runs_of, save

ENVS, CANDIDATES, STILL = 200, 16, torch.zeros(ACTION_DIM)
STEP_BY_STEP = ChunkSpec(history=1, prefix=0, horizon=1, history_keys=())


def settings() -> FourStageRun:
    """Sizes with which all four stages take three minutes on one core."""
    policy = config.PolicyConfig(
        32, 32, num_heads=2, imitation_dropout=0, rl_dropout=0, **SMALL_FLOW
    )
    sizes = {"token_dim": 32, "num_heads": 2, "num_layers": 2, "feedforward": 64, "dropout": 0}
    critic = config.CriticConfig(support=(0, 1), **sizes, **CRITICS)
    rates = config.OptimizerConfig(imitation_learning_rate=2e-3, rl_learning_rate=1e-3)
    improvement = config.ImprovementConfig(
        candidates=8, imitation_weight=0.3, budget=0.1, **IMPROVEMENT
    )
    return FourStageRun(
        batch_size=128,
        rl_batch_size=128,
        imitation_steps=800,
        warm_up_steps=300,
        offline_steps=250,
        successes_only=True,
        held_out_share=HELD_OUT_SHARE,
        spec=ChunkSpec(history=1, prefix=0, horizon=8, discount=0.98, history_keys=()),
        learner=config.LearnerConfig(policy, critic, rates, improvement),
        online=OnlineSchedule(6_000, updates_per_step=0.04, candidates=CANDIDATES),
        critic_updates=2,
        evaluate_every=6_000,
    )


def demonstrations(seed: int) -> list[Episode]:
    """`ENVS` episodes of people who go through either door."""
    demonstrator = Demonstrator(ENVS, seed=seed + 1)
    return collect(TwoDoors(ENVS, seed=seed), demonstrator, STEP_BY_STEP, hold=STILL)


def problem_of(shown: Sequence[Episode]) -> Problem:
    """Demonstrations as something to learn from, scaled by the room and the greatest force."""
    limits = {"state": STATE_LIMIT, ACTION: (1.0,) * ACTION_DIM}
    normalizer = Normalizer({k: (-np.array(v), np.array(v)) for k, v in limits.items()})
    named = {str(number): episode for number, episode in enumerate(shown)}
    return Problem(named, normalizer, FEATURES, ACTION_DIM)


def play(run: FourStageRun, out: Path, *, seed: int, episodes: int) -> dict[str, Runs]:
    """Go through all stages, and write their table and picture to `out`.

    Args:
        run: Settings.
        out: Folder of policies, results.json and paths.png.
        seed: Of demonstrations and environments.
        episodes: Per evaluation.

    Returns:
        Where the masses went, by stage.
    """
    shown = demonstrations(seed)
    problem = problem_of(shown)
    stages = {"demonstrations": runs_of(shown)}

    def report(at: Milestone) -> None:
        name = "gaussian" if at.stage == "imitation" and "gaussian" not in stages else at.stage
        env, decide = TwoDoors(episodes, seed=99), act(at.policy, CANDIDATES, seed)
        stages[name] = runs_of(collect(env, decide, run.spec, hold=STILL))
        print(line(name, stages[name]))

    only_imitation = replace(run, warm_up_steps=0, offline_steps=0)
    gaussian = replace(only_imitation, architecture=Architecture("gaussian"))
    FourStages(gaussian, problem, out / "gaussian", report).train_offline()
    flow = FourStages(run, problem, out / "flow", report)
    flow.train_offline()
    flow.train_online(TwoDoors(32, seed=seed + 3), hold=STILL)
    save(out, stages)
    return stages
