"""From the description of an own hand to grasps, teacher, student and a session, all tiny."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_hand import write_tiny_hand
from tiny_student import save_tiny_student

from sernf_isaac.config import LearnerConfig, PolicyConfig
from sernf_isaac.deploy.hand.own_driver import driver_class
from sernf_isaac.learning.distill.config import DistillConfig
from tasks.cube_spin.config import EpisodeConfig, TaskConfig, training_task, wide_task
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.hand.session import hand_driver, open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs import train_teacher
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.student.policy import load_student
from tasks.cube_spin.student.settings import StudentRun
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.cube_spin.teacher.ppo import PpoConfig
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.grasp_search import GraspSearch
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand

DRIVER = "examples/own_hand/driver.py:Driver"
SHORT = EpisodeConfig(length_s=1.0, support_s=(0.5, 0.5))


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Hand:
    """With a bank beside it: of a quick search."""
    torch.set_num_threads(1)
    made = load_hand(str(write_tiny_hand(tmp_path_factory.mktemp("hand"))))
    search = GraspSearch(made, batch=24)
    found = search.search(0.0, 2, lambda: None)
    trial = search.attempt(
        search._around(found.expand(24, -1), torch.full((8,), 0.02)), search._yaw(0.0)
    )
    best = trial.score.topk(6).indices
    bank = GraspBank(
        trial.joint_pos[best], found.expand(6, -1), trial.cube_pos[best], trial.cube_quat[best]
    )
    assert made.own is not None
    bank.save(made.own.grasps, made)
    return made


@pytest.fixture(scope="module")
def teacher(hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of one iteration."""
    run = train_teacher.TwinRun(
        num_envs=4,
        iterations=1,
        task=replace(training_task(), hand=hand.key, episode=SHORT),
        ppo=PpoConfig(rollout_steps=3, hidden=(8,), epochs=1, minibatches=1),
    )
    return train_teacher.train(run, tmp_path_factory.mktemp("teacher"), threads=1)


def test_a_search_finds_grasps_that_hold(hand: Hand) -> None:
    search = GraspSearch(hand, batch=24)
    begin = search.begin(0.0)
    trial = search.attempt(begin.expand(24, -1), search._yaw(0.0))
    assert (trial.offset_m < 0.02).all() and (trial.touching >= 2).all()
    assert trial.least_touching == 3


def test_observations_have_the_hands_sizes(hand: Hand) -> None:
    twin = CubeSpinTwin(
        2, replace(wide_task(), hand=hand.key), load_physics("wide"), threads=1, student=True
    )
    seen, *_ = twin.step(torch.zeros(2, 8))
    assert seen["teacher"].shape == (2, 4 * 8 + 15 + 3 * 3 + 1 + 2 * 8 + 19)
    assert seen["student_history"].shape[-1] == 8 + 7 and seen["student_current"].shape[-1] == 17
    assert twin.constants.action_scale.tolist() == pytest.approx([0.1] + [0.4] * 7)
    twin.close()


def test_a_teacher_learns_and_is_evaluated(hand: Hand, teacher: Path) -> None:
    policy = load_teacher(teacher)
    assert policy.task.hand == hand.key and len(policy.action_centre) == 8
    request = EvaluationRequest(policy=teacher, episodes=2, num_envs=2, threads=1)
    result, records = evaluate(request)
    assert len(records) == 2 and result["by_speed"] == {}


def test_a_student_is_distilled_and_drives_the_twin(
    hand: Hand, teacher: Path, tmp_path: Path
) -> None:
    run = StudentRun(
        teacher=str(teacher),
        num_envs=2,
        batch_size=4,
        episode=SHORT,
        distill=DistillConfig(iterations=1, rollout_steps=8, updates_per_iteration=1, save_every=1),
        learner=LearnerConfig(
            policy=PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
        ),
        eval_every=0,
    )
    student = distil(run, tmp_path / "distill", threads=1)
    assert student is not None
    assert load_student(student).policy.layout.action_dim == 8
    session = HandRun()
    prepare(session, tmp_path / "run", student)
    with open_virtual_session(session, tmp_path / "run", lambda _: None) as opened:
        (result,) = opened.episodes(count=1)
    assert result.steps > 0


def test_policies_and_banks_of_other_contents_are_refused(
    hand: Hand, teacher: Path, tmp_path: Path
) -> None:
    other = load_hand(str(write_tiny_hand(tmp_path, servo={"stiffness": 5.0})))
    assert other.own is not None and hand.own is not None
    with pytest.raises(FileNotFoundError, match=r"search_grasps\.py --hand .*tiny\.yaml"):
        load_grasps(other)
    with pytest.raises(ValueError, match=rf"is for {hand.label}, not for the hand {other.label}"):
        load_grasps(other, hand.own.grasps)
    student = save_tiny_student(tmp_path / "student.pt", hand=hand)
    with pytest.raises(ValueError, match=rf"for the hand {hand.label}, not for {other.label}"):
        prepare(HandRun(model=other.key), tmp_path / "run", student)
    with pytest.raises(ValueError, match=rf"for the hand {hand.label}, not for orca_v1_right"):
        prepare(HandRun(model="orca_v1_right"), tmp_path / "run", student)


def test_a_policy_whose_hand_is_gone_says_which_file(tmp_path: Path) -> None:
    path = write_tiny_hand(tmp_path)
    student = save_tiny_student(tmp_path / "student.pt", hand=load_hand(str(path)))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no hand at .*tiny\.yaml: .* put it back"):
        load_student(student)


def test_own_drivers_are_found_by_file_and_by_module(hand: Hand) -> None:
    driver = hand_driver(HandRun(hand=DRIVER, pose="still", model=hand.key))()
    driver.connect()
    driver.set_strength(1.0)
    driver.command(np.full(8, 0.1))
    for _ in range(20):
        reading = driver.read()
    np.testing.assert_allclose(reading.joint_pos, 0.1, atol=1e-4)
    assert driver_class("sernf_isaac.deploy.hand.ideal:IdealHand").__name__ == "IdealHand"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no_such:Driver", "there is no module 'no_such' to import a driver from"),
        ("none.py:Driver", "there is no file none.py"),
        ("json:JSONDecoder", "a driver needs connect, .*; JSONDecoder lacks connect"),
        ("json:Nothing", "json has no class 'Nothing'"),
    ],
)
def test_a_driver_that_is_none_is_named(place: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        driver_class(place)


def test_the_grasps_of_the_shadow_hand_fit_its_description() -> None:
    if find_spec("gymnasium_robotics") is None:
        pytest.skip("gymnasium-robotics is not installed")
    shadow = load_hand("examples/own_hand/shadow.yaml")
    bank = load_grasps(shadow)
    lower, upper = torch.tensor(shadow.lower_rad), torch.tensor(shadow.upper_rad)
    assert len(bank) == 300
    assert ((bank.joint_target >= lower - 1e-6) & (bank.joint_target <= upper + 1e-6)).all()
    assert (bank.cube_pos - torch.tensor(shadow.grasp_point_m)).norm(dim=1).max() < 0.006


def test_settings_take_hands_by_name_or_file(hand: Hand) -> None:
    assert TaskConfig(hand=hand.key).hand == hand.key
    with pytest.raises(ValueError, match="no hand 'leap'"):
        TaskConfig(hand="leap")
    with pytest.raises(ValueError, match=r"or a driver as package.module:Class, not 'leap'"):
        HandRun(hand="leap")
