"""The whole imitation route with cameras: bags of a lab, a store, three stages, a policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bags import MESSAGE, Topic, header, jpeg, pose, ticks, write
from first_hand import JOINTS

pytest.importorskip("timm", reason="needs the extra 'vision'")

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.bags.layout import read_layout
from sernf_isaac.data.importers.into_store import import_run
from sernf_isaac.data.importers.readings import bag_readings
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.models.vision import Dinov2Tokens
from sernf_isaac.policy import load_policy
from tasks.manipulation.definition import example_topics, layout_yaml
from tasks.presets import preset
from tasks.scissors_tape.definition import TASK

NAMES = [joint.driver_name for joint in JOINTS]
SECONDS = 2.4


def hand(time_s, index=0):
    angles = 0.1 * np.sin(time_s + np.arange(len(NAMES)))
    return MESSAGE["sensor_msgs/msg/JointState"](
        header=header(time_s), name=NAMES, position=angles, velocity=np.zeros(0), effort=np.zeros(0)
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two bags of the scissors task, imported by its own layout."""
    topics = example_topics(TASK)
    arm, joints, camera = "PoseStamped", "JointState", "CompressedImage"
    spoken = {
        topics.arm_pose: Topic(f"geometry_msgs/msg/{arm}", pose, ticks(50, 0, SECONDS)),
        topics.arm_command: Topic(f"geometry_msgs/msg/{arm}", pose, ticks(25, 0, SECONDS)),
        topics.hand_joints: Topic(f"sensor_msgs/msg/{joints}", hand, ticks(20, 0, SECONDS)),
        topics.hand_command: Topic(f"sensor_msgs/msg/{joints}", hand, ticks(20, 0, SECONDS)),
    }
    for name in topics.cameras.values():
        spoken[name] = Topic(f"sensor_msgs/msg/{camera}", jpeg, ticks(15, 0, SECONDS))
    bags = [write(tmp_path / f"demo_{index}", spoken) for index in range(2)]
    (tmp_path / "layout.yaml").write_text(layout_yaml(TASK.bag_layout(topics)))
    layout = read_layout(tmp_path / "layout.yaml")
    info, readings = bag_readings(bags, layout, "success", 1, is_offline=True)
    import_run(tmp_path / "store", info, readings)
    return tmp_path / "store"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the cameras")
def test_bags_of_the_scissors_task_become_a_policy_with_three_cameras(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dinov2Tokens, "IMAGE_SIZE", 56)  # 16 patches instead of 256
    task = preset("scissors_tape")
    eyes = replace(task.architecture.vision, variant="vit_small_patch14_reg4_dinov2", cache=True)
    policy_sizes = PolicyConfig(16, 16, 4, num_heads=2, noise_std=0.01)
    critic_sizes = CriticConfig(2, (0.0, 2.0), 21, token_dim=16, num_heads=2, num_layers=1)
    run = replace(
        task,
        data=[str(store)],
        imitation_steps=2,
        warm_up_steps=1,
        offline_steps=1,
        batch_size=8,
        rl_batch_size=4,
        learner=replace(task.learner, policy=policy_sizes, critic=critic_sizes),
        architecture=replace(task.architecture, vision=eyes),
        log_every=1,
        save_every=4,
    )
    policy, contract = load_policy(offline.train(run, tmp_path / "run"))
    assert set(policy.layout.architecture.vision.cameras) == set(TASK.cameras)
    assert contract.task == "scissors_tape" and len(contract.joint_names) == 24
    images = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
    observation = {name: torch.zeros(1, size) for name, size in policy.layout.features.items()}
    observation |= dict.fromkeys(TASK.cameras, images)
    observation["pose"] = torch.tensor([[0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]])
    prefix = torch.cat([observation["pose"], torch.zeros(1, 17)], dim=1)[:, None].expand(1, 3, 24)
    chunk = policy.decide(observation, prefix, candidates=2)
    assert chunk.shape == (1, 10, 24)
    assert (chunk[..., 3:7].norm(dim=-1) - 1).abs().max() < 1e-4, "rotations of unit length"
