"""Robot and learner as `pair_trials` starts them: both scripts, on the twin, learning quickly."""

import sys
import tempfile
from pathlib import Path

from sernf_isaac.benchmarks.pair import Commands, pair_trials
from sernf_isaac.install import ROOT
from sernf_isaac.verbs import SCRIPTS
from tasks.assets import DEFAULT_STUDENT

ITERATIONS, UPDATES = 3, 40


def twin_pair(run: Path, policy: Path) -> Commands:
    """Commands for a run with this first policy; the learner does `ITERATIONS * UPDATES` updates.

    Args:
        run: The run's folder; does not exist yet.
        policy: A student.
    """
    actor = [sys.executable, str(SCRIPTS / "run_hand.py"), "--run", str(run.resolve())]
    actor += ["twin.support_s=3", "decisions.candidates=1", "safety.command_timeout_s=0.5"]
    learner = [sys.executable, str(SCRIPTS / "finetune.py"), "--run", str(run.resolve())]
    settings = [f"updates_per_iteration={UPDATES}", "minutes_per_iteration=0.1", "rl_batch_size=8"]
    settings += ["warm_up_iterations=1", "online_iterations=1", "log_every=5", "save_every=5"]
    settings += ["learner.critic.token_dim=16", "learner.critic.num_heads=2"]
    settings += ["learner.critic.num_layers=1", "learner.critic.feedforward=16"]
    first = [*actor, "--policy", str(policy.resolve())]
    return Commands(first, actor, [*learner, *settings], [*learner, "--resume"], ROOT)


def pair_figures(kills: int) -> dict[str, float]:
    """What is lost if the shipped student's robot and its learner are killed this often each."""
    with tempfile.TemporaryDirectory() as folder:
        run, log = Path(folder) / "run", Path(folder) / "log"
        return pair_trials(run, twin_pair(run, DEFAULT_STUDENT), log, kills=kills).figures()
