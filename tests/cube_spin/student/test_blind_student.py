"""A student without a camera: what it sees, how it begins, what its file promises."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_hand import V1
from tiny_student import POLICY, save_tiny_student

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.models.build import build_reflex
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import ChunkPolicy, load_policy
from tasks.assets import BLIND_STUDENT, DEFAULT_STUDENT
from tasks.cube_spin.config import EpisodeConfig, tuned_task
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.hand.session import prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.student.blind import without_camera
from tasks.cube_spin.student.environment import (
    StudentEnv,
    StudentObservationConfig,
    radian_constants,
    student_features,
)
from tasks.cube_spin.student.policy import load_student
from tasks.cube_spin.student.pose_noise import PoseNoiseConfig
from tasks.cube_spin.student.settings import StudentRun
from tasks.cube_spin.twin.environment import CubeSpinTwin

BLIND = StudentObservationConfig(camera=False)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory) -> Path:
    """A student with a camera and a reflex."""
    torch.set_num_threads(1)
    path = save_tiny_student(tmp_path_factory.mktemp("p") / "student.pt", with_critics=False)
    student = load_student(path)
    first = student.policy
    layout = replace(first.layout, reflex=ReflexConfig(0.1, width=8))
    reflex = build_reflex(layout)
    assert reflex is not None
    with torch.no_grad():
        for weight in reflex.parameters():
            weight.normal_(std=0.3)
    both = ChunkPolicy(layout, first.actor, None, first.normalizer, reflex=reflex)
    content = load_checkpoint(path)
    both.save(path, content.contract, content.config["notes"])
    return path


def test_its_history_holds_joints_alone_as_many_steps_as_asked_for():
    task = tuned_task()
    constants = radian_constants(task_constants(task))

    def make(config: StudentObservationConfig, history: int) -> StudentEnv:
        twin = CubeSpinTwin(2, task, NOMINAL, seed=1, threads=1, student=True, constants=constants)
        return StudentEnv(twin, config, seed=1, history=history)

    blind, clear = make(BLIND, 9), make(StudentObservationConfig(), 4)
    for env in (blind, clear):
        for _ in range(6):
            env.step(env.get_observations()["hold"] + 0.02)
    seen, told = blind.get_observations(), clear.get_observations()
    assert seen["history"].shape == (2, 9, V1.num_joints)
    assert student_features(V1, camera=False)["history"] == V1.num_joints
    torch.testing.assert_close(seen["history"][:, -4:], told["history"][..., : V1.num_joints])
    torch.testing.assert_close(seen["command"], told["command"])


def test_it_begins_as_the_student_to_whom_the_cube_never_moves(seeing):
    first = load_student(seeing).policy
    second = without_camera(first, V1, 4, first.layout.reflex)
    observation, prefix = first.example_inputs(3, torch.Generator().manual_seed(0))
    middle = first.normalizer.denormalize("history", torch.zeros(1, 24))
    observation["history"][..., 17:] = middle[..., 17:]
    joints = observation | {"history": observation["history"][..., :17]}
    chunks = [
        policy.decide(seen, prefix, candidates=1, generator=torch.Generator().manual_seed(1))
        for policy, seen in ((first, observation), (second, joints))
    ]
    torch.testing.assert_close(*chunks)
    moved = first.correct(observation, chunks[0][:, 0])
    torch.testing.assert_close(second.correct(joints, chunks[0][:, 0]), moved)
    assert (moved - chunks[0][:, 0]).abs().max() > 0.01, "the reflex is there"
    longer = without_camera(first, V1, 6, first.layout.reflex)
    before = torch.cat([torch.randn(3, 2, 17), joints["history"]], dim=1)
    torch.testing.assert_close(longer.correct(joints | {"history": before}, chunks[0][:, 0]), moved)
    with pytest.raises(ValueError, match=r"spec.history \(3\) must be at least the 4 steps"):
        without_camera(first, V1, 3, first.layout.reflex)


def a_run(start_from: Path | str, history: int = 6, **changes: object) -> StudentRun:
    run = StudentRun(
        start_from=str(start_from),
        num_envs=2,
        batch_size=8,
        observation=BLIND,
        spec=ChunkSpec(history=history),
        reflex=ReflexConfig(0.1, width=8),
        episode=EpisodeConfig(length_s=2.0, support_s=(1.0, 1.5)),
        distill=DistillConfig(iterations=1, rollout_steps=10, updates_per_iteration=1),
        learner=LearnerConfig(policy=POLICY),
        eval_every=0,
    )
    return replace(run, **changes)


@pytest.fixture(scope="module")
def blind(seeing, tmp_path_factory) -> Path:
    path = distil(a_run(seeing), tmp_path_factory.mktemp("runs"), threads=1)
    assert path is not None
    return path


def test_a_file_says_that_no_pose_is_seen_and_a_hand_with_a_camera_refuses_it(blind):
    student = load_student(blind)
    assert not student.observation.camera and student.history == 6
    policy, contract = load_policy(blind)
    names = list(contract.observations)
    assert names == [
        *("history.joint_pos", "command.previous_action", "command.joint_target", "goal.spin")
    ]
    there = {"hand": V1, "symmetric_rotation": True, "smoothing": 0.5}
    check_student(policy, contract, camera=False, **there)
    with pytest.raises(ValueError, match=r"cube_pos.*expected"):
        check_student(policy, contract, **there)


def test_it_is_evaluated_like_any_other(blind):
    result, _ = evaluate(EvaluationRequest(blind, episodes=1, threads=1, pose_noise=True))
    assert result["episodes"] == 1


def test_it_may_begin_anew_or_go_on(blind, tmp_path):
    for start in ("", blind):
        path = distil(a_run(start), tmp_path, threads=1)
        assert path is not None and not load_student(path).observation.camera


def test_what_does_not_fit_together_is_refused(blind, tmp_path):
    with pytest.raises(ValueError, match=r"has no camera: give observation.camera=false"):
        distil(a_run(blind, 4, observation=StudentObservationConfig()), tmp_path, threads=1)
    with pytest.raises(ValueError, match=r"spec.history \(5\) must be 6, as in"):
        distil(a_run(blind, 5), tmp_path, threads=1)
    with pytest.raises(ValueError, match=r"4 steps of 'history', not \(6, .*without a camera"):
        distil(a_run("", observation=StudentObservationConfig()), tmp_path, threads=1)
    with pytest.raises(ValueError, match="no pose is seen"):
        StudentObservationConfig(camera=False, pose_noise=PoseNoiseConfig(delay_steps=(1, 1)))


def test_the_shipped_one_is_a_fallback_of_the_shipped_student(tmp_path):
    assert BLIND_STUDENT.stat().st_size < 8e6
    assert not load_student(BLIND_STUDENT).observation.camera
    prepare(HandRun(fallback=str(BLIND_STUDENT)), tmp_path / "run", DEFAULT_STUDENT)
    request = EvaluationRequest(BLIND_STUDENT, episodes=4, num_envs=4, seed=7, threads=1)
    summary, _ = evaluate(request)
    assert 0.4 < float(summary["spin_ratio"]) < 1.2
