"""What the paper's arm tasks share as settings of the learner (App. B, E and G)."""

from dataclasses import replace

from sernf_isaac import config
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.offline.run import OfflineRun
from sernf_isaac.models.architecture import Architecture, VisionConfig
from tasks.manipulation.actions import ACTION_NAMES, POSE_GROUP

CONTROL_RATE_HZ = 10.0
SPEC = ChunkSpec(
    history=1, prefix=3, horizon=10, discount=0.997, history_keys=(), pose_frame=POSE_GROUP
)
"""One observation, three queued actions, ten predicted (Fig. 7a), relative to the pose (E.3)."""
MIN_RANGE = 0.05
"""Narrowest range of a number: 5 cm, 3 degrees, 0.05 of a quaternion. Relative rotations stay near
the identity, where w hardly moves from 1 and a range of the data would blow its noise up."""


def real_robot_run(name: str) -> OfflineRun:
    """Stages I to III as the paper trains them on a real robot with cameras.

    Args:
        name: Of the task, for the policy's contract.
    """
    run = OfflineRun(
        name=name,
        control_rate_hz=CONTROL_RATE_HZ,
        action_names=list(ACTION_NAMES),
        batch_size=256,
        rl_batch_size=48,
        imitation_steps=200_000,
        warm_up_steps=5_000,
        offline_steps=1_000,
        successes_only=True,
        min_range=MIN_RANGE,
        spec=replace(SPEC),
        learner=config.LearnerConfig(
            config.PolicyConfig(noise_std=0.01), config.CriticConfig(support=(0.0, 2.0))
        ),
    )
    eyes = VisionConfig(backbone="dinov2", tuning="frozen", shared=True)
    return replace(run, architecture=Architecture(vision=eyes))
