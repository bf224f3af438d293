"""Settings of the paper's RoboMimic experiments (Table II, App. G) for `train_offline.py`.

    python scripts/train_offline.py --task robomimic --data can_mh.hdf5 --keys agentview_image \
      robot0_eye_in_hand_image robot0_eef_pos robot0_eef_quat robot0_gripper_qpos

Two cameras of 84 x 84 through a ResNet-18 each, or low-dimensional with other --keys. Rollouts take
place in robosuite, which runs in an environment of its own: `scripts/robomimic.py`.
"""

from dataclasses import replace

from sernf_isaac import config
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.offline.run import OfflineRun
from sernf_isaac.models.architecture import Architecture, VisionConfig

CONTROL_RATE_HZ = 20.0
CAMERAS = ("agentview", "robot0_eye_in_hand")
IMAGE_KEYS = tuple(f"{camera}_image" for camera in CAMERAS)
NUMBER_KEYS = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")


def offline_run() -> OfflineRun:
    """Stages I to III; actions are robosuite's own, relative already, so no pose frame."""
    learner = config.LearnerConfig(
        config.PolicyConfig(imitation_dropout=0.5), config.CriticConfig(support=(0.0, 1.0))
    )
    eyes = VisionConfig(backbone="resnet18", tuning="all", shared=False)
    return replace(
        OfflineRun(),
        name="robomimic",
        keys=[*IMAGE_KEYS, *NUMBER_KEYS],
        control_rate_hz=CONTROL_RATE_HZ,
        imitation_steps=30_000,
        spec=ChunkSpec(history=1, prefix=0, horizon=10, discount=0.997, history_keys=()),
        learner=learner,
        architecture=Architecture(vision=eyes),
    )
