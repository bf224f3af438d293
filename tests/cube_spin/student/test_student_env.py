"""What the student sees and does: physical units, the EMA of deployment, a camera with flaws."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from first_hand import V1
from torch import Tensor

from tasks.cube_spin import rotations
from tasks.cube_spin.config import EpisodeConfig, tuned_task
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.physics import DISTILLATION, NOMINAL, Physics
from tasks.cube_spin.student.environment import (
    GROUPS,
    StudentEnv,
    StudentObservationConfig,
    radian_constants,
    student_features,
)
from tasks.cube_spin.student.labels import label_with
from tasks.cube_spin.student.pose_noise import PoseNoise, PoseNoiseConfig
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.cube_spin.twin.environment import CubeSpinTwin

ENVS = 3
CLEAR = StudentObservationConfig(pose_noise=PoseNoiseConfig.none())
MakeEnv = Callable[..., StudentEnv]


@pytest.fixture
def make_env(make_twin: Callable[..., CubeSpinTwin], tiny_bank) -> MakeEnv:
    def make(
        physics: Physics = NOMINAL,
        config: StudentObservationConfig = CLEAR,
        task=None,
        **options: object,
    ) -> StudentEnv:
        task = task or tuned_task()
        constants = radian_constants(task_constants(task, tiny_bank))
        settings = {"student": True, "teacher_sensed": False, "constants": constants} | options
        twin = make_twin(ENVS, task, physics, **settings)
        return StudentEnv(twin, config, seed=1)

    return make


def wiggle(env: StudentEnv, scale: float = 0.1) -> Tensor:
    """Targets near the grasp."""
    return env.get_observations()["hold"] + scale * torch.randn(ENVS, 17)


# Units and time -----------------------------------------------------------------------------------


def test_groups_tell_the_state_in_physical_units(make_env: MakeEnv) -> None:
    env = make_env()
    action = wiggle(env)
    seen, *_ = env.step(action)
    state = env.inner.state
    assert {name: seen[name].shape[-1] for name in GROUPS} == student_features(V1)
    newest = seen["history"][:, -1]
    close = {"rtol": 0.0, "atol": 1e-6}
    torch.testing.assert_close(newest[:, :17], state.joint_pos, **close)
    torch.testing.assert_close(newest[:, 17:20], state.cube_pos - env.inner.constants.cube_origin)
    torch.testing.assert_close(newest[:, 20:], rotations.reduced_rotation(state.cube_quat), **close)
    assert torch.equal(seen["command"][:, :17], action)
    torch.testing.assert_close(seen["command"][:, 17:], state.joint_target, **close)
    assert torch.equal(seen["goal"][:, 0], state.command)


def test_the_full_rotation_is_shown_on_request(make_env: MakeEnv) -> None:
    env = make_env(config=replace(CLEAR, symmetric_rotation=False))
    seen, *_ = env.step(wiggle(env))
    quat = seen["history"][:, -1, 20:]
    assert (quat[:, 3] >= 0).all()
    same = (quat * env.inner.state.cube_quat).sum(dim=1).abs()
    torch.testing.assert_close(same, torch.ones(ENVS))


def test_targets_are_smoothed_as_on_the_hand_bit_for_bit(make_env: MakeEnv) -> None:
    """What distillation executes is the moving average of what was queued, and nothing else."""
    env = make_env()
    lower, upper = env.inner.constants.joint_lower, env.inner.constants.joint_upper
    target = env.inner.joint_target.clone()
    for _ in range(5):
        action = wiggle(env, scale=0.2)
        action[:, 5] = upper[5] + 1.0  # beyond what the joint can do
        _, _, dones, _ = env.step(action)
        assert not dones.any()
        target = torch.lerp(target, action.clamp(lower, upper), env.inner.task.action.smoothing)
        assert torch.equal(env.inner.joint_target, target)


def test_an_episode_begins_with_its_first_observation_and_holds(make_env: MakeEnv) -> None:
    task = replace(tuned_task(), episode=EpisodeConfig(length_s=0.3, support_s=(0.3, 0.3)))
    env = make_env(task=task)
    env.inner.episode_length_buf[:] = torch.tensor([0, 2, 4])
    for _ in range(8):
        before = env.get_observations()["history"].clone()
        seen, _, dones, _ = env.step(wiggle(env))
        assert torch.equal(seen["fresh"], dones > 0)
        for index in range(ENVS):
            history = seen["history"][index]
            if dones[index]:
                assert torch.equal(history, history[:1].expand(4, -1))
                assert torch.equal(seen["command"][index, :17], seen["hold"][index])
            else:
                assert torch.equal(history[:3], before[index, 1:])


def test_going_on_from_a_saved_state_changes_nothing(make_env: MakeEnv) -> None:
    config = StudentObservationConfig()
    env, other = (make_env(DISTILLATION, config) for _ in range(2))
    env.step(wiggle(env))
    other.load_state_dict(env.state_dict())
    for _ in range(6):
        action = wiggle(env)
        seen, also = env.step(action)[0], other.step(action)[0]
        for name in seen.keys():  # noqa: SIM118  # a TensorDict is no dict
            assert torch.equal(seen[name], also[name]), name


def test_a_state_of_other_environments_is_refused(make_env: MakeEnv) -> None:
    env = make_env()
    state = env.state_dict() | {"history": torch.zeros(9, 4, 24)}
    with pytest.raises(ValueError, match="of 9 environments, not 3"):
        env.load_state_dict(state)


# The teacher's labels -----------------------------------------------------------------------------


def test_the_teacher_acts_in_joint_targets_as_in_its_own_actions(
    make_env: MakeEnv, make_twin: Callable[..., CubeSpinTwin]
) -> None:
    teacher = load_teacher()
    constants, label = teacher.constants, label_with(teacher)
    task = teacher.task
    own = make_twin(ENVS, task, NOMINAL, constants=constants)
    radians = radian_constants(constants)
    env = make_env(task=task, constants=radians)
    for _ in range(12):
        with torch.no_grad():
            action = teacher(own.get_observations())
            wanted = label(env.get_observations())
        expected = constants.action_centre + constants.action_scale * action
        expected = expected.clamp(constants.joint_lower, constants.joint_upper)
        torch.testing.assert_close(wanted, expected, rtol=0.0, atol=2e-4)
        own.step((wanted - constants.action_centre) / constants.action_scale)
        env.step(wanted)


def test_the_teachers_label_does_not_depend_on_what_the_student_sees(make_env: MakeEnv) -> None:
    teacher = load_teacher()
    label, task = label_with(teacher), teacher.task
    blind = make_env(DISTILLATION, StudentObservationConfig(), task=task)
    clear = make_env(replace(DISTILLATION, **_perfect_sensors()), task=task)
    # The generators part ways, so the comparison is made on one state.
    seen = blind.get_observations()
    shown = seen.clone()
    for name in GROUPS:
        shown[name] = torch.randn_like(shown[name])
    with torch.no_grad():
        assert torch.equal(label(seen), label(shown))
        assert label(clear.get_observations()).shape == (ENVS, 17)


def _perfect_sensors() -> dict[str, tuple[float, float]]:
    names = [f.name for f in fields(Physics)]
    return {name: (0.0, 0.0) for name in names if "_noise_" in name or "_bias_" in name}


# The camera ---------------------------------------------------------------------------------------

COUNT, STEPS = 400, 60


def watch(config: PoseNoiseConfig, seed: int = 0) -> tuple[Tensor, Tensor]:
    """True and shown poses (T, N, 7) of cubes that move 1 mm a step, after the first step."""
    camera = PoseNoise(COUNT, config, torch.Generator().manual_seed(seed))
    pose = torch.zeros(COUNT, 7)
    pose[:, 6] = 1.0
    true, shown = [], []
    for _ in range(STEPS):
        pose = pose.clone()
        pose[:, 0] += 1e-3
        true.append(pose)
        shown.append(camera.see(pose))
    return torch.stack(true), torch.stack(shown)


def test_a_perfect_camera_changes_nothing() -> None:
    true, shown = watch(PoseNoiseConfig.none())
    assert torch.equal(true, shown)


@pytest.mark.parametrize("delay", [1, 3])
def test_late_poses_are_those_of_earlier_steps(delay: int) -> None:
    true, shown = watch(replace(PoseNoiseConfig.none(), delay_steps=(delay, delay)))
    assert torch.equal(shown[delay:], true[:-delay])
    assert torch.equal(shown[:delay], true[:1].expand(delay, -1, -1))


def test_poses_stand_as_often_as_they_should() -> None:
    _, shown = watch(replace(PoseNoiseConfig.none(), hold_probability=(0.2, 0.2)))
    stands = (shown[1:] == shown[:-1]).all(dim=-1).float()
    assert stands.mean() == pytest.approx(0.2, abs=0.01)


def test_a_lost_cube_stays_lost_for_a_while() -> None:
    config = replace(PoseNoiseConfig.none(), loss_probability=(0.05, 0.05), loss_steps=(3, 5))
    _, shown = watch(config)
    stands = (shown[1:] == shown[:-1]).all(dim=-1)  # (T - 1, N)
    lengths = [
        len(run)
        for column in stands.T.tolist()
        for run in "".join("x" if s else " " for s in column).strip("x").split()
    ]
    assert min(lengths) >= 3 and max(lengths) >= 5
    assert stands.float().mean() == pytest.approx(4 / (4 + 1 / 0.05), abs=0.02)


def test_wrong_poses_are_rare_and_plainly_wrong() -> None:
    config = replace(PoseNoiseConfig.none(), jump_probability=(0.02, 0.02), jump_m=0.02)
    true, shown = watch(config)
    wrong = (shown != true).any(dim=-1)
    assert wrong.float().mean() == pytest.approx(0.02, abs=0.005)
    offset = (shown - true)[wrong][:, :3]
    assert offset.std() == pytest.approx(0.02, rel=0.1)
    torch.testing.assert_close(shown[..., 3:].norm(dim=-1), torch.ones(STEPS, COUNT))


def test_cameras_differ_between_episodes_and_not_within() -> None:
    camera = PoseNoise(
        2,
        replace(PoseNoiseConfig.none(), hold_probability=(0.0, 1.0), delay_steps=(0, 5)),
        torch.Generator().manual_seed(0),
    )
    before = camera.state_dict()
    camera.see(torch.zeros(2, 7))
    assert torch.equal(camera.state_dict()["_rates"], before["_rates"])
    camera.reset(torch.tensor([1]))
    after = camera.state_dict()["_rates"]
    assert torch.equal(after[:, 0], before["_rates"][:, 0])
    assert after[0, 1] != before["_rates"][0, 1]


def test_impossible_cameras_are_refused() -> None:
    for settings in ({"hold_probability": (0.5, 1.5)}, {"loss_steps": (4, 2)}, {"jump_m": -0.1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            PoseNoiseConfig(**settings)
