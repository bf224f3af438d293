"""The twin as a real hand: same physics, same observations, its own errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from first_hand import CUBE_ORIGIN_M, HAND, V1

from sernf_isaac.deploy.protocols import PoseReading
from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.hand.pose_sources import CameraErrors, TwinCamera
from tasks.cube_spin.hand.task import CubeSpin, grasp_pose
from tasks.cube_spin.hand.twin_driver import TwinHand
from tasks.cube_spin.hand.twin_world import twin_settings
from tasks.cube_spin.physics import NOMINAL, REALITY
from tasks.cube_spin.student.environment import (
    PoseNoiseConfig,
    StudentEnv,
    StudentObservationConfig,
    radian_constants,
    student_features,
)

QUIET = replace(
    NOMINAL, link_friction=(0.9, 0.9), cube_mass_kg=(0.05, 0.05), stiffness_scale=(1.0, 1.0)
)


@pytest.fixture
def make_hand(tiny_bank):
    def make(physics=QUIET, seed=0, **options) -> TwinHand:
        return TwinHand(twin_settings(V1, physics, seed=seed, bank=tiny_bank, **options))

    return make


def test_it_moves_as_the_twin_does(make_hand, make_twin):
    """The same state and the same targets lead to the same joints and cube."""
    hand = make_hand()
    hand.set_strength(1.0)
    twin = make_twin(1, physics=QUIET)
    start = np.array(hand._data.qpos)
    twin.world.state[0, 1 : 1 + len(start)] = start
    twin.world.state[0, 1 + len(start) :] = 0.0
    rng = np.random.default_rng(0)
    for _ in range(10):
        target = start[:17] + rng.uniform(-0.1, 0.1, 17)
        for _ in range(2):  # two ticks of 25 ms are one control step
            hand.command(target)
        twin.world.step(torch.from_numpy(target[None]), torch.ones(1, dtype=torch.bool))
    read, expected = hand.read(), twin.world.read()
    np.testing.assert_allclose(read.joint_pos, expected["joint_pos"][0], atol=1e-5)
    np.testing.assert_allclose(read.cube[:3], expected["cube_pos"][0], atol=1e-5)
    np.testing.assert_allclose(read.cube[3:], expected["cube_quat"][0], atol=1e-4)


def test_latency_and_backlash_hold_commands_back(make_hand):
    late = make_hand(replace(QUIET, action_delay_steps=(1.0, 1.0)))
    assert late._settings.delay_ticks == 2
    late.set_strength(1.0)
    held = np.array(late._data.ctrl)
    for tick in range(3):
        late.command(held + 0.2)
        assert np.allclose(late._data.ctrl, held + (0.2 if tick == 2 else 0.0))
    loose = make_hand(backlash_rad=0.02)
    held = np.array(loose._data.ctrl)
    loose.command(held + 0.005)
    np.testing.assert_allclose(loose._data.ctrl, held)
    loose.command(held + 0.1)
    np.testing.assert_allclose(loose._data.ctrl, held + 0.09)


def test_without_torque_nothing_is_held(make_hand):
    hand = make_hand()
    hand.connect()
    start = hand.read().joint_pos
    for _ in range(20):
        hand.command(start + 0.5)
    assert np.abs(hand._data.actuator_force).max() == 0.0


def test_the_platform_leaves_after_its_time_and_placing_brings_it_back(make_hand):
    hand = make_hand(support_s=0.1)
    hand.set_strength(1.0)
    for tick in range(6):
        assert hand.supported == (tick < 4)
        hand.command(grasp_pose(V1))
        assert (hand._data.mocap_pos[0, 2] < -0.5) == (tick >= 4), "four whole periods of 25 ms"
    assert hand.place() and hand.supported


def test_noise_is_drawn_from_the_seed_alone(make_hand):
    first, same, other = (make_hand(REALITY, seed=seed) for seed in (1, 1, 2))
    readings = [hand.read().joint_pos for hand in (first, same, other)]
    np.testing.assert_array_equal(readings[0], readings[1])
    assert np.abs(readings[0] - readings[2]).max() > 1e-3


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_student_sees_on_the_hand_what_it_saw_in_simulation(make_twin, symmetric):
    task = tuned_task()
    twin = make_twin(3, task, NOMINAL, student=True)
    config = StudentObservationConfig(symmetric, PoseNoiseConfig.none())
    twin.constants = radian_constants(twin.constants)
    env = StudentEnv(twin, config)
    action = env.get_observations()["hold"] + 0.1
    seen, _, _, _ = env.step(action)
    on_hand = CubeSpin(V1, symmetric_rotation=symmetric)
    assert dict(on_hand.features) == student_features(V1)
    state = twin.state
    for number in range(3):
        pose = PoseReading(
            0.0,
            state.cube_pos[number].double().numpy(),
            -state.cube_quat[number].double().numpy(),  # the sign means nothing
        )
        groups = on_hand.observe(
            state.joint_pos[number].numpy(),
            state.joint_target[number].numpy(),
            action[number].numpy(),
            pose,
            float(state.command[number]),
        )
        np.testing.assert_allclose(groups["history"], seen["history"][number, -1], atol=1e-5)
        np.testing.assert_allclose(groups["command"], seen["command"][number], atol=1e-5)
        np.testing.assert_allclose(groups["goal"], seen["goal"][number], atol=1e-6)


def test_a_cube_is_lost_where_the_simulations_say_so():
    task, unturned = CubeSpin(V1), np.array([0.0, 0.0, 0.0, 1.0])
    for offset, lost in (((0, 0, -0.03), 0), ((0, 0, -0.04), 1), ((0.04, 0.04, 0), 1)):
        position = np.array(CUBE_ORIGIN_M) + offset
        assert task.lost(PoseReading(0.0, position, unturned)) == bool(lost)


def look(errors: CameraErrors, seconds: float) -> list[PoseReading | None]:
    """What a camera says at 20 Hz of a cube that moves along x at 1 m/s."""
    now = {"s": 100.0}

    def truth():
        return now["s"], np.array([now["s"], 0, 0, 0, 0, 0, 1.0])

    camera, seen = TwinCamera(truth, errors), []
    for _ in range(round(seconds * 20)):
        seen.append(camera.latest())
        now["s"] += 0.05
    return seen


def test_a_camera_sees_at_its_rate_and_says_so_late():
    errors = CameraErrors(16.0, 0.06, 0.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0.0)
    seen = look(errors, 10.0)
    assert seen[0] is None
    known = [pose for pose in seen if pose]
    assert len({pose.time_s for pose in known}) == pytest.approx(160, abs=3)
    for step, pose in enumerate(seen):
        if pose:
            assert pose.position_m[0] == pose.time_s  # stamped with when it was there
            assert 100.0 + 0.05 * step - pose.time_s >= 0.06 - 1e-9


def test_a_camera_without_errors_tells_the_truth_at_once():
    for step, pose in enumerate(look(CameraErrors.none(), 1.0)):
        assert pose.position_m[0] == pytest.approx(100.0 + 0.05 * step)


def test_a_camera_loses_sight_and_sees_wrong_now_and_then():
    errors = CameraErrors(16.0, 0.0, 0.0, 0.0, 0.05, (0.2, 0.4), 0.1, 0.02)
    seen = [pose for pose in look(errors, 60.0) if pose]
    turned = np.array([abs(pose.quaternion[3]) < 0.99 for pose in seen])
    times = np.array([pose.time_s for pose in seen])
    assert 0.03 < turned.mean() < 0.2 and np.diff(times).max() > 0.2


def test_the_hand_is_described_by_the_joint_table():
    assert HAND.num_joints == 17 and HAND.driver_names[0] == "wrist" and HAND.signs[0] == -1
