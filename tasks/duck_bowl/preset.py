"""Settings of the duck task: the paper's for a real robot, and sizes for one core in simulation."""

from dataclasses import replace

from sernf_isaac import config
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.learning.four_stages import FourStageRun
from sernf_isaac.learning.offline import OfflineRun
from sernf_isaac.learning.online import OnlineSchedule
from tasks.duck_bowl.definition import TASK
from tasks.manipulation.settings import SPEC, real_robot_run


def offline_run() -> OfflineRun:
    """Stages I to III from teleoperated demonstrations (`train_offline.py --task duck_bowl`)."""
    return real_robot_run(TASK.name)


def simulated(seed: int) -> FourStageRun:
    """All stages on the simulated table, in minutes on one core."""
    policy = config.PolicyConfig(
        token_dim=64,
        width=64,
        num_couplings=6,
        num_heads=4,
        noise_std=0.02,
        imitation_dropout=0.1,
        rl_dropout=0.0,
    )
    critic = config.CriticConfig(
        support=(0, 2), token_dim=64, num_heads=4, num_layers=2, feedforward=128, dropout=0
    )
    learner = config.LearnerConfig(
        policy,
        critic,
        config.OptimizerConfig(imitation_learning_rate=2e-3, rl_learning_rate=5e-4),
        config.ImprovementConfig(candidates=4, target_candidates=2, imitation_weight=0.1),
    )
    offline = replace(
        offline_run(),
        seed=seed,
        batch_size=128,
        rl_batch_size=64,
        imitation_steps=1_500,
        warm_up_steps=600,
        offline_steps=300,
        support_from_data=False,
        spec=spec(),
        learner=learner,
        save_every=500,
    )
    # 15 rollouts in 3 rounds; the number of steps only bounds them.
    schedule = OnlineSchedule(15 * 200, updates_per_step=0.4, batch_size=64, candidates=16)
    return FourStageRun(offline, schedule)


def spec() -> ChunkSpec:
    """The paper's chunks; a discount at which a second is worth ten per cent."""
    return replace(SPEC, discount=0.99)
