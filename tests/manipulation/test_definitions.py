"""Tasks as data: layouts that the importer reads back, presets that fit together."""

from pathlib import Path

import pytest
import torch

from sernf_isaac.data.importers.bag_layout import read_layout
from tasks.duck_bowl.definition import TASK as DUCK
from tasks.manipulation.actions import ACTION_DIM, ACTION_NAMES, JOINTS, POSE, hold_action
from tasks.manipulation.definition import ManipulationTask, Topics, example_topics, layout_yaml
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
