"""Tasks as data: layouts that the importer reads back, presets that fit together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_isaac.data.bags.layout import read_layout
from sernf_isaac.data.bags.load import load_bag
from sernf_isaac.data.bags.made_up import joint_angles, tool_pose, write_made_up_bag
from tasks.arm.catalogue import TASKS, task_called
from tasks.arm.task import ArmTask
from tasks.duck_bowl.definition import TASK as DUCK
from tasks.manipulation.actions import ACTION_DIM, ACTION_NAMES, JOINTS, POSE, hold_action
from tasks.manipulation.definition import (
    ManipulationTask,
    Topics,
    example_topics,
    layout_yaml,
    made_up_recording,
)
from tasks.presets import PRESETS, preset
from tasks.scissors_tape.definition import TASK as SCISSORS


@pytest.mark.parametrize("task", [SCISSORS, DUCK], ids=lambda task: task.name)
def test_a_layout_written_as_yaml_is_read_back(task: ManipulationTask, tmp_path: Path) -> None:
    layout = task.bag_layout(example_topics(task))
    file = tmp_path / "layout.yaml"
    file.write_text(layout_yaml(layout))
    assert layout_yaml(read_layout(file)) == layout_yaml(layout)
    assert tuple(layout.observation) == task.groups and len(task.cameras) == 3
    assert len(layout.action[1].joints) == 17 and layout.rate_hz == 10


def test_a_reward_topic_is_taken_over_and_a_missing_camera_is_named() -> None:
    topics = example_topics(SCISSORS)
    layout = SCISSORS.bag_layout(Topics(reward="/judge", cameras=topics.cameras))
    assert layout.reward is not None and layout.reward.topic == "/judge"
    with pytest.raises(ValueError, match=r"no topic for the cameras \['under_hand'"):
        SCISSORS.bag_layout(Topics())


@pytest.mark.parametrize("task", [SCISSORS, DUCK], ids=lambda task: task.name)
def test_there_are_two_rewards_and_ten_configurations(task: ManipulationTask) -> None:
    assert len(task.rewards) == 2 and task.tests.size == 10
    assert len(set(task.tests.names())) == 10


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_made_up_bags_are_imported_by_the_tasks_layout(tmp_path: Path, storage: str) -> None:
    pytest.importorskip("rosbags", reason="needs the extra 'bags'")
    topics = example_topics(SCISSORS)
    recording = replace(made_up_recording(topics), size=(48, 64))
    for seed in range(2):
        write_made_up_bag(tmp_path / f"{seed}", recording, 1.5, storage=storage, seed=seed)
    episodes = [
        load_bag(tmp_path / f"{seed}", SCISSORS.bag_layout(topics)).episode for seed in range(2)
    ]
    assert set(SCISSORS.groups) <= set(episodes[0].observation)
    for episode, seed in zip(episodes, range(2), strict=True):
        phase_s = 4.0 * np.random.default_rng(seed).random()
        times_s = phase_s + np.arange(len(episode)) / 10
        poses = np.array([tool_pose(time_s) for time_s in times_s])
        np.testing.assert_allclose(episode.observation["pose"], poses, atol=1e-4)
        ahead = np.array([joint_angles(time_s + 0.1, 17) for time_s in times_s])
        np.testing.assert_allclose(episode.action[:, JOINTS], ahead, atol=1e-3)
    assert np.abs(episodes[0].action - episodes[1].action).max() > 0.01, "another phase"
    for name, size in ArmTask.features.items():
        assert episodes[0].observation[name].shape[1] == size


def test_tasks_with_an_arm_are_found_by_name() -> None:
    assert all(task_called(name) is task for name, task in TASKS.items())
    with pytest.raises(ValueError, match="no task 'tea' with an arm"):
        task_called("tea")


def test_an_action_is_a_pose_and_all_joints() -> None:
    assert ACTION_DIM == 24 == len(set(ACTION_NAMES))
    pose, joints = torch.arange(7.0), torch.arange(17.0)
    action = hold_action(pose, joints)
    assert torch.equal(action[POSE], pose) and torch.equal(action[JOINTS], joints)
    with pytest.raises(ValueError, match="expected a pose of 7"):
        hold_action(joints, pose)


def test_presets_are_the_papers() -> None:
    scissors = preset("scissors_tape")
    spec = scissors.spec
    assert (spec.horizon, spec.prefix, spec.history, spec.pose_frame) == (10, 3, 1, "pose")
    assert (scissors.batch_size, scissors.rl_batch_size) == (256, 48)
    steps = (scissors.imitation_steps, scissors.warm_up_steps, scissors.offline_steps)
    assert steps == (200_000, 5_000, 1_000) and scissors.successes_only
    assert tuple(scissors.action_names) == ACTION_NAMES and scissors.min_range == 0.05
    assert preset("robomimic").spec.pose_frame is None


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_may_be_trained_with(name: str) -> None:
    preset(name).check()
