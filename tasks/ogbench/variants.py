"""Sizes for one core, and the variants that the method is compared with."""

from dataclasses import replace

from sernf_isaac import config
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.offline.config import WITHOUT_LIKELIHOOD, as_baseline
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.learning.online.training import OnlineSchedule
from sernf_isaac.models.architecture import ActConfig, Architecture, FlowMatchingConfig

VARIANTS = ("flow", "gaussian", "per_step", "no_likelihood", "one_candidate", *WITHOUT_LIKELIHOOD)
BASELINES = Architecture(
    act=ActConfig(num_heads=4, num_layers=2, feedforward=256),
    flow_matching=FlowMatchingConfig(num_heads=4, num_layers=3, feedforward=256),
)
"""Sizes for one core of what only imitates."""
DISCOUNT = 0.98
CANDIDATES = 16


def settings(variant: str, seed: int) -> FourStageRun:
    """Sizes for one core, and what a variant changes.

    Raises:
        ValueError: If there is no such variant.
    """
    policy = config.PolicyConfig(
        token_dim=64,
        width=64,
        num_couplings=6,
        num_heads=4,
        imitation_dropout=0,
        rl_dropout=0,
    )
    # Every step costs 1 until the task is solved. Fresh critics answer with the middle of their
    # support: that is the worst return, so that they need not first forget a better one.
    worst = -1 / (1 - DISCOUNT)
    critic = config.CriticConfig(
        support=(2 * worst, 0),
        token_dim=64,
        num_heads=4,
        num_layers=2,
        feedforward=128,
        dropout=0,
    )
    run = FourStageRun(
        seed=seed,
        batch_size=128,
        rl_batch_size=512,
        imitation_steps=2500,
        warm_up_steps=750,
        offline_steps=1500,
        save_every=250,
        spec=ChunkSpec(history=1, prefix=0, horizon=4, discount=DISCOUNT, history_keys=()),
        learner=config.LearnerConfig(
            policy,
            critic,
            config.OptimizerConfig(imitation_learning_rate=2e-3, rl_learning_rate=1e-3),
            config.ImprovementConfig(
                candidates=4, target_candidates=1, polyak=0.1, imitation_weight=10.0
            ),
        ),
        online=OnlineSchedule(20_000, updates_per_step=0.1, candidates=CANDIDATES),
        critic_updates=4,
        evaluate_every=10_000,
    )
    return _changed(run, variant)


def _changed(run: FourStageRun, variant: str) -> FourStageRun:
    learner = run.learner
    improvement = {
        "no_likelihood": {"imitation_weight": 0.0},
        "one_candidate": {"candidates": 1},
    }.get(variant, {})
    critic = replace(learner.critic, kind="per_step" if variant == "per_step" else "chunk")
    improvement = replace(learner.improvement, **improvement)
    learner = replace(learner, critic=critic, improvement=improvement)
    kind = "gaussian" if variant == "gaussian" else "flow"
    architecture = replace(run.architecture, kind=kind)
    run = replace(run, learner=learner, architecture=architecture)
    if variant == "one_candidate":
        return replace(run, online=replace(run.online, candidates=1))
    if variant in WITHOUT_LIKELIHOOD:
        return as_baseline(replace(run, architecture=BASELINES), variant)
    if variant not in VARIANTS:
        raise ValueError(f"variant '{variant}' is none of {VARIANTS}")
    return run
