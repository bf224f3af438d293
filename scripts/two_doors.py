"""Two doors: all four stages of SERNF in three minutes on one core, on a task with two answers.

    python scripts/two_doors.py
    python scripts/two_doors.py --seed 1 --out runs/two_doors/seed_1 offline.imitation_steps=2000

Demonstrations go through either of two doors at random, at any pace, and some miss. The mean of the
two hits the wall, so a Gaussian policy fails; a flow keeps both, and RL finds the faster way.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sernf_isaac import config
from sernf_isaac.cli import apply_overrides, run_main
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.learning.acting import act
from sernf_isaac.learning.offline.run import OfflineRun
from sernf_isaac.learning.online.in_memory import FourStageRun, FourStages, Milestone, Problem
from sernf_isaac.learning.online.training import OnlineSchedule, collect
from sernf_isaac.models.architecture import Architecture
from tasks.two_doors.demonstrator import Demonstrator
from tasks.two_doors.environment import ACTION_DIM, FEATURES, STATE_LIMIT, TwoDoors
from tasks.two_doors.report import line, runs_of, save, table

ENVS, CANDIDATES, STILL = 200, 16, torch.zeros(ACTION_DIM)
STEP_BY_STEP = ChunkSpec(history=1, prefix=0, horizon=1, history_keys=())


def settings() -> FourStageRun:
    policy = config.PolicyConfig(32, 32, 4, num_heads=2, imitation_dropout=0, rl_dropout=0)
    critic = config.CriticConfig(
        support=(0, 1), token_dim=32, num_heads=2, num_layers=2, feedforward=64, dropout=0
    )
    rates = config.OptimizerConfig(imitation_learning_rate=2e-3, rl_learning_rate=1e-3)
    # At the paper's 0.1 the policy leaves the data faster than critics this young can follow.
    improvement = config.ImprovementConfig(candidates=8, imitation_weight=0.3)
    offline = OfflineRun(
        name="two_doors",
        batch_size=128,
        rl_batch_size=128,
        imitation_steps=800,
        warm_up_steps=300,
        offline_steps=250,
        successes_only=True,
        spec=ChunkSpec(history=1, prefix=0, horizon=8, discount=0.98, history_keys=()),
        learner=config.LearnerConfig(policy, critic, rates, improvement),
    )
    online = OnlineSchedule(6_000, updates_per_step=0.04, batch_size=128, candidates=CANDIDATES)
    return FourStageRun(offline, online, critic_updates=2, evaluate_every=6_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=200, help="per evaluation")
    parser.add_argument("--out", type=Path, default=Path("runs/two_doors"))
    args, overrides = parser.parse_known_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    run = apply_overrides(settings(), [f"offline.seed={args.seed}", *overrides])
    demonstrator = Demonstrator(ENVS, seed=args.seed + 1)
    shown = collect(TwoDoors(ENVS, seed=args.seed), demonstrator, STEP_BY_STEP, hold=STILL)
    stages = {"demonstrations": runs_of(shown)}

    def report(at: Milestone) -> None:
        name = "gaussian" if at.stage == "imitation" and "gaussian" not in stages else at.stage
        env, decide = TwoDoors(args.episodes, seed=99), act(at.policy, CANDIDATES, args.seed)
        stages[name] = runs_of(collect(env, decide, run.offline.spec, hold=STILL))
        print(line(name, stages[name]))

    limits = {"state": STATE_LIMIT, ACTION: (1.0,) * ACTION_DIM}
    normalizer = Normalizer({k: (-np.array(v), np.array(v)) for k, v in limits.items()})
    named = {str(number): episode for number, episode in enumerate(shown)}
    problem = Problem(named, normalizer, FEATURES, ACTION_DIM)
    only_imitation = replace(run.offline, warm_up_steps=0, offline_steps=0)
    gaussian = replace(only_imitation, architecture=Architecture("gaussian"))
    plain = replace(run, offline=gaussian)
    FourStages(plain, problem, args.out / "gaussian", report).train_offline()
    flow = FourStages(run, problem, args.out / "flow", report)
    flow.train_offline()
    flow.train_online(TwoDoors(32, seed=args.seed + 3), hold=STILL)
    save(args.out, stages)
    print(f"\n{table(stages)}\n{(time.monotonic() - started) / 60:.1f} min, seed {args.seed}")
    print(f"paths   -> {args.out / 'paths.png'}\nnumbers -> {args.out / 'results.json'}")


if __name__ == "__main__":
    run_main(main)
