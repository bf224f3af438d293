"""Sensor model: perfect without noise, offsets per episode, delays in whole steps."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from tasks.cube_spin.physics import DISTILLATION, NOMINAL, Physics
from tasks.cube_spin.sensors import SensorModel
from tasks.cube_spin.terms import TaskState

N = 5
OFFSETS_ONLY = Physics(
    joint_bias_rad=(0.1, 0.1), cube_position_bias_m=(0.01, 0.01), cube_rotation_bias_rad=(0.1, 0.1)
)
JOINTS = 17
SENSED = ("joint_pos", "joint_vel", "cube_pos", "cube_quat")


def sensor(physics: Physics, count: int = N, seed: int = 0) -> SensorModel:
    model = SensorModel(count, JOINTS, physics, torch.Generator().manual_seed(seed))
    model.reset(torch.arange(count))
    return model


def truth(count: int = N, step: int = 0) -> TaskState:
    """A state whose cube moves by 1 m per step, so that a delay can be read off."""
    shapes = {f.name: (count,) for f in fields(TaskState)}
    joints = ("joint_pos", "joint_vel", "joint_target", "action", "previous_action", "joint_acc")
    shapes |= {name: (count, 17) for name in joints}
    vectors = ("cube_pos", "cube_lin_vel", "cube_ang_vel", "spin", "previous_spin")
    shapes |= {name: (count, 3) for name in vectors} | {"tip_pos": (count, 5, 3)}
    state = TaskState(
        cube_quat=torch.zeros(count, 4),
        **{name: torch.randn(shape) for name, shape in shapes.items() if name != "cube_quat"},
    )
    quat = torch.nn.functional.normalize(torch.randn(count, 4), dim=1)
    return replace(state, cube_quat=quat, cube_pos=torch.full((count, 3), float(step)))


def sensed(state: TaskState) -> dict[str, Tensor]:
    return {name: getattr(state, name) for name in SENSED}


def test_perfect_sensors_tell_the_truth() -> None:
    model, state = sensor(NOMINAL), truth()
    seen = model.read(state)
    for name, value in sensed(state).items():
        torch.testing.assert_close(getattr(seen, name), value, rtol=0, atol=1e-7)


def test_what_is_no_reading_stays_untouched() -> None:
    state = truth()
    seen = sensor(DISTILLATION).read(state)
    for name in {f.name for f in fields(TaskState)} - set(SENSED):
        assert torch.equal(getattr(seen, name), getattr(state, name)), name
    for name, value in sensed(state).items():  # negative control
        assert not torch.allclose(getattr(seen, name), value), name


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("joint_noise_rad", "joint_pos"),
        ("joint_velocity_noise_rad_s", "joint_vel"),
        ("cube_position_noise_m", "cube_pos"),
    ],
)
def test_noise_has_its_standard_deviation_and_is_fresh(parameter: str, name: str) -> None:
    state = truth(2000)
    model = sensor(Physics(**{parameter: (0.02, 0.02)}), count=2000)
    errors = [getattr(model.read(state), name) - getattr(state, name) for _ in range(2)]
    assert errors[0].std() == pytest.approx(0.02, rel=0.05)
    assert abs(errors[0].mean()) < 0.001
    assert abs(torch.corrcoef(torch.stack([e.flatten() for e in errors]))[0, 1]) < 0.05


def test_noise_levels_may_vary_between_environments() -> None:
    model = sensor(Physics(joint_noise_rad=(0.0, 1.0)), count=300)
    state = truth(300)
    spread = (model.read(state).joint_pos - state.joint_pos).std(dim=1)
    assert spread.min() < 0.1 and spread.max() > 0.8


def test_offsets_are_constant_within_an_episode() -> None:
    model, state = sensor(OFFSETS_ONLY), truth()
    first, second = model.read(state), model.read(state)
    for name in ("joint_pos", "cube_pos", "cube_quat"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.allclose(getattr(first, name), getattr(state, name))


def test_offsets_are_redrawn_at_reset_and_only_there() -> None:
    model, state = sensor(OFFSETS_ONLY), truth()
    before = model.read(state)
    model.reset(torch.tensor([1, 3]))
    after = model.read(state)
    for name in ("joint_pos", "cube_pos", "cube_quat"):
        same = (getattr(before, name) == getattr(after, name)).all(dim=1)
        assert same.tolist() == [True, False, True, False, True], name


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_delay_shifts_the_cube_by_whole_steps(delay: int) -> None:
    steps = (float(delay), float(delay))
    model = sensor(Physics(observation_delay_steps=steps))
    seen = []
    for step in range(6):
        state = truth(step=step)
        read = model.read(state)
        seen.append(float(read.cube_pos[0, 0]))
        assert torch.equal(read.joint_pos, state.joint_pos)  # joints are read without delay
    assert seen == [max(0.0, step - delay) for step in range(6)]


def test_delays_differ_between_environments_and_a_reset_forgets_old_poses() -> None:
    model = sensor(Physics(observation_delay_steps=(0.0, 2.0)), count=60)
    for step in range(4):
        seen = model.read(truth(60, step))
    assert set((3 - seen.cube_pos[:, 0]).tolist()) == {0.0, 1.0, 2.0}
    model.reset(torch.arange(30))
    seen = model.read(truth(60, step=4))
    assert (seen.cube_pos[:30] == 4.0).all() and (seen.cube_pos[30:] < 4.0).any()


def test_disturbed_rotations_stay_unit_quaternions() -> None:
    physics = Physics(cube_rotation_noise_rad=(0.5, 0.5), cube_rotation_bias_rad=(0.5, 0.5))
    state = truth(200)
    seen = sensor(physics, count=200).read(state).cube_quat
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(200))
    assert (seen * state.cube_quat).sum(1).abs().min() < 0.9


def test_a_saved_sensor_continues_bit_for_bit() -> None:
    physics = replace(DISTILLATION, observation_delay_steps=(0.0, 3.0))
    generator = torch.Generator().manual_seed(3)
    model = SensorModel(N, JOINTS, physics, generator)
    model.reset(torch.arange(N))
    states = [truth(step=step) for step in range(8)]
    for state in states[:4]:
        model.read(state)
    saved, drawn = model.state_dict(), generator.get_state()
    expected = [sensed(model.read(state)) for state in states[4:]]
    other = SensorModel(N, JOINTS, physics, torch.Generator())
    other.load_state_dict(saved)
    other._generator.set_state(drawn)
    for state, values in zip(states[4:], expected, strict=True):
        seen = other.read(state)
        assert all(torch.equal(getattr(seen, name), value) for name, value in values.items())
