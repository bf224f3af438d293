"""From a bag of the scissors task to a policy: layout, cameras, relative actions, DINOv2."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bags import COMMAND, HAND, HAND_COMMAND, MESSAGE, POSE, Topic, header, jpeg, pose, ticks, write
from first_hand import JOINTS

from sernf_isaac.data.bags.load import load_bag
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.data.windows import make_batch
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.policy import load_policy
from tasks.manipulation.actions import ACTION_NAMES
from tasks.manipulation.definition import Topics
from tasks.presets import preset
from tasks.scissors_tape.definition import TASK

SECONDS = 3.0
CAMERAS = {name: f"/{name}/image_raw/compressed" for name in TASK.cameras}


def hand(time_s: float, index: int = 0):
    names = [joint.driver_name for joint in JOINTS]
    return MESSAGE["sensor_msgs/msg/JointState"](
        header=header(time_s),
        name=names[::-1],  # bags have an order of their own
        position=np.arange(len(names))[::-1] / 100 + 0.1 * time_s,
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    arm, joints = "geometry_msgs/msg/PoseStamped", "sensor_msgs/msg/JointState"
    topics = {
        POSE: Topic(arm, pose, ticks(50, 0, SECONDS)),
        COMMAND: Topic(arm, pose, ticks(50, 0, SECONDS)),
        HAND: Topic(joints, hand, ticks(40, 0, SECONDS)),
        HAND_COMMAND: Topic(joints, hand, ticks(40, 0, SECONDS)),
    }
    image = "sensor_msgs/msg/CompressedImage"
    topics |= {topic: Topic(image, jpeg, ticks(10, 0, SECONDS)) for topic in CAMERAS.values()}
    bag = write(tmp_path_factory.mktemp("bags") / "demo", topics)
    found = load_bag(bag, TASK.bag_layout(Topics(cameras=CAMERAS)))
    return replace(found.episode, outcome="success", is_offline=True)


def test_the_layout_takes_all_that_the_task_observes_and_does(episode: Episode) -> None:
    assert set(TASK.groups) <= set(episode.observation)
    assert episode.action_dim == len(ACTION_NAMES)
    assert episode.observation["hand"].shape[1] == 17
    assert np.allclose(np.diff(episode.action[:, 7:], axis=1), 0.01, atol=1e-5)  # our order
    for camera in TASK.cameras:
        assert episode.observation[camera].shape[1:] == (3, 224, 224)


def test_a_command_at_the_pose_is_the_origin_and_later_ones_lie_ahead(episode: Episode) -> None:
    batch = make_batch(episode, preset(TASK.name).spec)
    origin = np.array([0, 0, 0, 0, 0, 0, 1.0])
    assert np.abs(batch.prefix[:, 0, :7].numpy() - origin).max() < 1e-5
    distance = batch.chunk[..., :3].norm(dim=-1)
    assert (distance.diff(dim=1)[: len(batch) - 12] > 0).all()


@pytest.mark.slow
def test_stages_one_to_three_run_on_three_cameras(episode: Episode, tmp_path: Path) -> None:
    run_dir = tmp_path / "store"
    create_run(run_dir, {"task": TASK.name})
    with RunWriter(run_dir, "importer") as writer:
        writer.commit(episode)
    run = preset(TASK.name)
    policy = replace(run.learner.policy, token_dim=32, width=16, num_couplings=4, num_heads=2)
    critic = replace(run.learner.critic, token_dim=32, num_heads=2, num_layers=1, feedforward=16)
    eyes = VisionConfig(variant="vit_small_patch14_reg4_dinov2")
    small = replace(
        run,
        data=[str(run_dir)],
        keys=list(TASK.groups),
        learner=replace(run.learner, policy=policy, critic=critic),
        architecture=Architecture(vision=eyes),
        batch_size=2,
        rl_batch_size=2,
        imitation_steps=1,
        warm_up_steps=1,
        offline_steps=1,
        log_every=1,
        save_every=1,
    )
    with pytest.warns(UserWarning, match="untrained"):
        file = offline.train(small, tmp_path / "run")
    trained, contract = load_policy(file)
    assert trained.layout.spec.pose_frame == "pose" == contract.action["pose_frame"]
    assert contract.joint_names == ACTION_NAMES and contract.control_rate_hz == 10
