"""Hands that are built from figures, in Isaac Lab, against the MJCF they were made from."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.orca.description import Hand
from tasks.orca.hand import hand_spec
from tasks.orca.hands import load_hand
from tasks.orca.joints import ARMATURE
from tasks.orca.usd import hand_usd

pytestmark = pytest.mark.sim
NUM_ENVS, ROUNDS = 50, 4
MAX_FK_ERROR_M = 1e-5


@pytest.fixture(scope="module", params=["orca_v2_right", "orca_v2_left"])
def hand(request: pytest.FixtureRequest) -> Hand:
    return load_hand(request.param)


@pytest.fixture(scope="module")
def env(hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsaacCubeSpin]:
    weightless = Path(tmp_path_factory.mktemp("physics")) / "weightless.yaml"
    weightless.write_text("gravity_m_s2: 0.0\n")
    task = replace(tuned_task(), hand=hand.name)
    env = make_isaac_env(num_envs=NUM_ENVS, physics=str(weightless), task=task)
    yield env
    env.close()


def body_positions(model: mujoco.MjModel, qpos: np.ndarray, names: list[str]) -> np.ndarray:
    """Positions (bodies, 3) from the root, axes of the world."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    return np.stack([data.body(name).xpos for name in names])


def test_kinematics_agree_with_the_mjcf_on_random_poses(env: IsaacCubeSpin, hand: Hand) -> None:
    robot, model = env.unwrapped.scene["robot"], hand_spec(hand, visual=False).compile()
    names, rng = list(robot.body_names), np.random.default_rng(0)
    assert set(names) == {body.name for body in hand.bodies}
    worst = 0.0
    for _ in range(ROUNDS):
        angles = rng.uniform(hand.lower_rad, hand.upper_rad, (NUM_ENVS, 17))
        robot.write_joint_position_to_sim_index(
            position=torch.from_numpy(angles).float(), joint_ids=env.tracker.joint_ids
        )
        env.unwrapped.sim.forward()
        usd = robot.data.body_pos_w.torch - robot.data.root_pos_w.torch[:, None]
        for row, pose in zip(usd.numpy(), angles, strict=True):
            worst = max(worst, np.abs(row - body_positions(model, pose, names)).max())
    assert worst < MAX_FK_ERROR_M


def test_the_joint_table_and_masses_arrive_in_the_simulator(env: IsaacCubeSpin, hand: Hand) -> None:
    robot, ids = env.unwrapped.scene["robot"], env.tracker.joint_ids
    data, model = robot.data, hand_spec(hand, visual=False).compile()
    limits = torch.tensor([row.limits_rad for row in hand.joints])
    torch.testing.assert_close(data.joint_pos_limits.torch[0, ids], limits)
    stiffness = torch.tensor([row.stiffness for row in hand.joints])
    torch.testing.assert_close(data.joint_stiffness.torch[0, ids], stiffness)
    armature = torch.full((17,), ARMATURE)
    torch.testing.assert_close(data.joint_armature.torch[0, ids], armature)
    expected = torch.tensor([model.body(name).mass[0] for name in robot.body_names]).float()
    torch.testing.assert_close(data.body_mass.torch[0], expected, rtol=1e-5, atol=1e-8)


def test_primitives_survive_the_conversion(env: IsaacCubeSpin) -> None:
    kinds = env.unwrapped.sim.physics_manager._solver.mjw_model.geom_type.numpy()
    assert (kinds == int(mujoco.mjtGeom.mjGEOM_CAPSULE)).sum() == 16
    assert (kinds == int(mujoco.mjtGeom.mjGEOM_BOX)).sum() == 3  # palm, cube, platform


def test_an_episode_begins_with_a_cube_in_the_grasp(env: IsaacCubeSpin, hand: Hand) -> None:
    env.reset()
    offset = env.tracker.state.cube_pos - torch.tensor(hand.grasp_point_m)
    assert offset.norm(dim=1).max() < 0.01
    observations, reward, *_ = env.step(torch.zeros(NUM_ENVS, 17))
    assert torch.isfinite(reward).all() and torch.isfinite(observations["teacher"]).all()


@pytest.mark.parametrize("collisions", ["primitives", "hulls"])
def test_usd_carries_drives_for_physx_and_the_shapes_asked_for(hand: Hand, collisions: str) -> None:
    from pxr import Usd, UsdGeom, UsdPhysics

    stage = Usd.Stage.Open(str(hand_usd(hand, collisions)))
    prims = list(stage.Traverse())
    drives = {p.GetName() for p in prims if p.HasAPI(UsdPhysics.DriveAPI, "angular")}
    assert drives == set(hand.joint_names)
    solid = [p for p in prims if p.HasAPI(UsdPhysics.CollisionAPI)]
    kind = UsdGeom.Mesh if collisions == "hulls" else UsdGeom.Capsule
    assert sum(p.IsA(kind) for p in solid) >= 16
