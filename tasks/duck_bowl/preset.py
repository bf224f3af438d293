"""Settings of the duck task: the paper's for a real robot, and sizes for one core in simulation."""

from dataclasses import replace

from sernf_isaac import config
from sernf_isaac.learning.offline.config import as_baseline
from sernf_isaac.learning.offline.run import OfflineRun
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.learning.online.training import OnlineSchedule
from sernf_isaac.learning.small import CRITICS, HELD_OUT_SHARE, IMPROVEMENT, SMALL_FLOW
from sernf_isaac.models.architecture import ActConfig, FlowMatchingConfig
from tasks.duck_bowl.definition import TASK
from tasks.manipulation.settings import SPEC, real_robot_run

SMALL_ACT = ActConfig(num_heads=4, num_layers=3, feedforward=512)
SMALL_FLOW_MATCHING = FlowMatchingConfig(num_heads=4, num_layers=4, feedforward=512)
"""The paper's layers at the small flow's width. Of a flow of the paper's layout, six couplings this
wide, they have about the share of weights that they have in the paper: 0.44 and 0.41, paper 0.42
and 0.46."""

AVERAGING = 0.995
"""Decay of the weights' average: over some 200 updates."""
DISCOUNT = 0.99
"""Per step, so that waiting costs; the paper has 0.997."""


def offline_run() -> OfflineRun:
    """Stages I to III from teleoperated demonstrations (`train_offline.py --task duck_bowl`)."""
    return real_robot_run(TASK.name)


def simulated(seed: int, kind: str = "flow") -> FourStageRun:
    """All stages on the simulated table, in minutes on one core.

    Args:
        seed: Of weights, batches and starts.
        kind: Of the policy, one of `architecture.KINDS`; those without a likelihood only imitate.
    """
    policy = config.PolicyConfig(
        token_dim=64,
        width=64,
        num_heads=4,
        noise_std=0.02,
        imitation_dropout=0.1,
        rl_dropout=0.0,
        **SMALL_FLOW,
    )
    critic = config.CriticConfig(
        support=(0, 2),
        token_dim=64,
        num_heads=4,
        num_layers=2,
        feedforward=128,
        dropout=0,
        **CRITICS,
    )
    learner = config.LearnerConfig(
        policy,
        critic,
        config.OptimizerConfig(
            imitation_learning_rate=2e-3, rl_learning_rate=5e-4, averaging=AVERAGING
        ),
        config.ImprovementConfig(candidates=4, sigma=0.3, imitation_weight=5.0, **IMPROVEMENT),
    )
    run = FourStageRun(
        seed=seed,
        batch_size=128,
        rl_batch_size=64,
        imitation_steps=1_500,
        warm_up_steps=1_000,
        offline_steps=0,
        successes_only=True,
        held_out_share=HELD_OUT_SHARE,
        spec=replace(SPEC, discount=DISCOUNT),
        learner=learner,
        save_every=500,
        # 15 rollouts in 3 rounds; the number of steps only bounds them.
        online=OnlineSchedule(
            15 * 200,
            updates_per_step=0.3,
            candidates=4,
            improves_policy=False,
            timeouts_fail=True,
        ),
    )
    return _as(run, kind)


def _as(run: FourStageRun, kind: str) -> FourStageRun:
    """The same run for another kind of policy, small like the flow."""
    if kind == "flow":
        return run
    sizes = replace(run.architecture, act=SMALL_ACT, flow_matching=SMALL_FLOW_MATCHING)
    return as_baseline(replace(run, architecture=sizes), kind)
