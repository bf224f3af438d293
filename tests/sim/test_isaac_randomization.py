"""What is randomised really arrives in the solver, in its range, where and when it should."""

from collections.abc import Iterator

import numpy as np
import pytest
import roma
import torch
from first_hand import JOINTS
from torch import Tensor

from tasks.cube_spin import rotations
from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.cube_spin.physics import RANDOMIZED, Physics
from tasks.cube_spin.physics_file import load_physics

pytestmark = pytest.mark.sim
COUNT = 128


def read_back(env: IsaacCubeSpin) -> dict[str, Tensor]:
    """The physical parameters as the solver's model holds them, (N, ...) each."""
    lab = env.unwrapped
    solver, hand, cube = lab.sim.physics_manager._solver, lab.scene["robot"], lab.scene["cube"]
    lab.scene.write_data_to_sim()
    lab.sim.step(render=False)  # changes reach the solver with the next physics step
    model, ids = solver.mjw_model, env.tracker.joint_ids
    nominal = torch.tensor([(row.stiffness, row.damping, *row.limits_rad) for row in JOINTS])
    gain = torch.from_numpy(model.actuator_gainprm.numpy()[:, :, 0])
    priority = model.geom_priority.numpy()
    friction = torch.from_numpy(model.geom_friction.numpy()[:, :, 0])
    cube_geom, platform_geom = int(priority.argmax()), len(priority) - 1
    hand_geoms = [g for g in range(len(priority)) if g not in (cube_geom, platform_geom)]
    limits = torch.from_numpy(model.jnt_range.numpy())[:, ids]
    shift = limits - nominal[:, 2:]
    joints = gain[:, :34].reshape(len(gain), 17, 2)[:, ids]  # position and velocity servo in turn
    return {
        "link_friction": friction[:, hand_geoms],
        "contact_friction": friction[:, cube_geom],
        "link_mass_scale": hand.data.body_mass.torch / hand.data.body_mass.torch.mean(dim=0),
        "cube_mass_kg": cube.data.body_mass.torch[:, 0],
        "cube_inertia": cube.data.body_inertia.torch[:, 0, 0],
        "stiffness_scale": joints[:, :, 0] / nominal[:, 0],
        "damping_scale": joints[:, :, 1] / nominal[:, 1],
        "joint_limit_offset_rad": shift,
        "gravity_m_s2": torch.from_numpy(model.opt.gravity.numpy())[:, 2],
    }


@pytest.fixture(scope="module")
def env() -> Iterator[IsaacCubeSpin]:
    env = make_isaac_env(num_envs=COUNT, seed=11)
    yield env
    env.close()


@pytest.fixture(scope="module")
def drawn(env: IsaacCubeSpin) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in read_back(env).items()}


@pytest.mark.parametrize(
    "name", ["link_friction", "cube_mass_kg", "stiffness_scale", "damping_scale"]
)
def test_uniform_items_fill_their_range(drawn: dict[str, Tensor], name: str) -> None:
    low, high = getattr(RANDOMIZED, name)
    values = drawn[name]
    assert values.min() >= low - 1e-5
    assert values.max() <= high + 1e-5
    assert values.max() - values.min() > 0.85 * (high - low)


def test_gains_are_log_uniform_and_independent_per_joint(drawn: dict[str, Tensor]) -> None:
    for name in ("stiffness_scale", "damping_scale"):
        low, high = np.log(getattr(RANDOMIZED, name))
        assert drawn[name].log().mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
        assert drawn[name].std(dim=1).min() > 0.05


@pytest.mark.parametrize("name", ["joint_limit_offset_rad", "gravity_m_s2"])
def test_gaussian_items_have_their_mean_and_spread(drawn: dict[str, Tensor], name: str) -> None:
    mean, std = getattr(RANDOMIZED, name)
    assert drawn[name].mean() == pytest.approx(mean, abs=0.4 * std)
    assert drawn[name].std() == pytest.approx(std, rel=0.25)


def test_links_are_scaled_together_and_within_five_percent(drawn: dict[str, Tensor]) -> None:
    factor = drawn["link_mass_scale"]
    assert factor.std(dim=1).max() < 1e-4
    assert 0.92 < factor.min() < 0.97
    assert 1.03 < factor.max() < 1.08  # relative to the sample mean, not to the nominal mass


def test_contact_friction_is_the_mean_of_hand_and_cube(drawn: dict[str, Tensor]) -> None:
    low, high = RANDOMIZED.cube_friction
    assert drawn["link_friction"].std(dim=1).max() < 1e-6, "one value for the whole hand"
    cube = 2.0 * drawn["contact_friction"] - drawn["link_friction"][:, 0]
    assert cube.min() >= low - 1e-5
    assert cube.max() <= high + 1e-5
    assert cube.max() - cube.min() > 0.85 * (high - low)


def test_cubes_inertia_follows_its_mass(env: IsaacCubeSpin, drawn: dict[str, Tensor]) -> None:
    size = env.unwrapped.cfg.scene.cube.spawn.size[0]
    expected = drawn["cube_mass_kg"] * size**2 / 6.0
    torch.testing.assert_close(drawn["cube_inertia"], expected, rtol=1e-4, atol=0.0)


def test_episodes_start_in_grasps_of_the_bank_with_every_face_up(env: IsaacCubeSpin) -> None:
    env.reset()
    state, bank = env.tracker.state, env.tracker.bank
    offset = distance_to_nearest(env.tracker.joint_target, bank.joint_target)
    assert offset.max() < 1e-6, "the first target should be a grasp's"
    joints = distance_to_nearest(state.joint_pos, bank.joint_pos)
    assert 0.01 < joints.mean() < 0.08, "17 joints with 0.01 rad of noise each"
    up = roma.quat_action(state.cube_quat, torch.tensor([0.0, 0.0, 1.0]).expand(COUNT, 3))
    assert (up[:, 2].abs() < 0.5).sum() > COUNT // 3, "the cube should lie on its side in many"
    assert rotations.tilt_rad(state.cube_quat).max() < 0.3
    assert 0.005 < state.cube_lin_vel.std() < 0.015


def distance_to_nearest(rows: Tensor, bank: Tensor) -> Tensor:
    """Distance (N,) of each row to the nearest of `bank`; exact, unlike cdist's default."""
    return torch.cdist(rows, bank, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values


def test_resets_redraw_what_belongs_to_the_episode_only(
    env: IsaacCubeSpin, drawn: dict[str, Tensor]
) -> None:
    env.reset()
    again = read_back(env)
    for name in ("contact_friction", "gravity_m_s2"):
        assert (again[name] != drawn[name]).float().mean() > 0.9, name
    for name in ("link_friction", "link_mass_scale", "stiffness_scale", "cube_mass_kg"):
        torch.testing.assert_close(again[name], drawn[name])  # startup, or too soon


def test_slow_items_are_redrawn_after_their_interval(
    env: IsaacCubeSpin, drawn: dict[str, Tensor]
) -> None:
    lab = env.unwrapped
    lab._sim_step_counter += 640 * lab.cfg.decimation
    env.reset()
    again = read_back(env)
    for name in ("stiffness_scale", "damping_scale", "joint_limit_offset_rad", "cube_mass_kg"):
        assert (again[name] != drawn[name]).float().mean() > 0.9, name
    low, high = RANDOMIZED.cube_mass_kg
    assert low - 1e-6 <= again["cube_mass_kg"].min() <= again["cube_mass_kg"].max() <= high + 1e-6
    inertia = again["cube_mass_kg"] * lab.cfg.scene.cube.spawn.size[0] ** 2 / 6.0
    torch.testing.assert_close(again["cube_inertia"], inertia, rtol=1e-4, atol=0.0)


def test_limits_of_actions_stay_nominal(env: IsaacCubeSpin) -> None:
    lower = torch.tensor([row.limits_rad[0] for row in JOINTS])
    torch.testing.assert_close(env.tracker.constants.joint_lower, lower)


@pytest.mark.parametrize("preset", ["nominal"])
def test_negative_control_nothing_varies_in_nominal_physics(
    env: IsaacCubeSpin, preset: str
) -> None:
    env.close()  # last test of this module: two environments cannot live at once
    calm = make_isaac_env(num_envs=8, physics=preset, seed=11)
    physics: Physics = load_physics(preset)
    values = read_back(calm)
    calm.close()
    for name, value in values.items():
        assert (
            value.flatten(1).std(dim=0).max() < 1e-6 if value.dim() > 1 else value.std() < 1e-6
        ), name
    assert values["gravity_m_s2"][0] == pytest.approx(physics.gravity_m_s2[0])
    assert values["contact_friction"][0] == pytest.approx(0.9)
    assert values["cube_mass_kg"][0] == pytest.approx(physics.cube_mass_kg[0])
