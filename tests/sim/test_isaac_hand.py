"""The hand in Isaac Lab against the MJCF it was made from."""

from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from first_hand import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, JOINTS, ROOT_BODY, V1

from tasks.cube_spin.isaac.environment import IsaacCubeSpin, make_isaac_env
from tasks.orca.hand import hand_spec
from tasks.orca.joints import ARMATURE
from tasks.orca.official import original_spec

pytestmark = pytest.mark.sim
NUM_ENVS, ROUNDS = 100, 10
MAX_FK_ERROR_M = 1e-5


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsaacCubeSpin]:
    weightless = Path(tmp_path_factory.mktemp("physics")) / "weightless.yaml"
    weightless.write_text("gravity_m_s2: 0.0\n")
    env = make_isaac_env(num_envs=NUM_ENVS, physics=str(weightless))
    yield env
    env.close()


def mjcf_positions(model: mujoco.MjModel, qpos: np.ndarray, names: list[str]) -> np.ndarray:
    """Positions (bodies, 3) in the root's frame."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    root = data.body(ROOT_BODY)
    offsets = np.stack([data.body(name).xpos - root.xpos for name in names])
    return offsets @ root.xmat.reshape(3, 3)


def test_kinematics_agree_with_both_mjcfs_on_random_poses(env: IsaacCubeSpin) -> None:
    hand, joint_ids = env.unwrapped.scene["robot"], env.tracker.joint_ids
    edited, original = hand_spec(V1, visual=False).compile(), original_spec(V1).compile()
    ref = np.array([original.joint(name).qpos0[0] for name in JOINT_NAMES])
    names, rng = list(hand.body_names), np.random.default_rng(0)
    to_root = hand_rotation(hand.data.root_quat_w.torch[0].numpy()).T
    worst = 0.0
    for _ in range(ROUNDS):
        angles = rng.uniform(JOINT_LOWER, JOINT_UPPER, (NUM_ENVS, len(JOINTS)))
        hand.write_joint_position_to_sim_index(
            position=torch.from_numpy(angles).float(), joint_ids=joint_ids
        )
        env.unwrapped.sim.forward()
        where = hand.data.body_pos_w.torch - hand.data.root_pos_w.torch[:, None]
        usd = where.numpy() @ to_root.T
        tips = env.tracker.state.tip_pos  # read once, so that the cache does not hide anything
        assert torch.isfinite(tips).all()
        for row, pose in zip(usd, angles, strict=True):
            for model, qpos in ((edited, pose), (original, pose + ref)):
                worst = max(worst, np.abs(row - mjcf_positions(model, qpos, names)).max())
    assert worst < MAX_FK_ERROR_M


def hand_rotation(quat: np.ndarray) -> np.ndarray:
    """Rotation matrix of a quaternion xyzw."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat[[3, 0, 1, 2]].astype(np.float64))
    return matrix.reshape(3, 3)


def test_joint_table_arrives_in_the_simulator(env: IsaacCubeSpin) -> None:
    data, ids = env.unwrapped.scene["robot"].data, env.tracker.joint_ids
    limits = torch.tensor([row.limits_rad for row in JOINTS])
    torch.testing.assert_close(data.joint_pos_limits.torch[0, ids], limits)
    stiffness = torch.tensor([row.stiffness for row in JOINTS])
    torch.testing.assert_close(data.joint_stiffness.torch[0, ids], stiffness)
    damping = torch.tensor([row.damping for row in JOINTS])
    torch.testing.assert_close(data.joint_damping.torch[0, ids], damping)
    armature = torch.full((len(JOINTS),), ARMATURE)
    torch.testing.assert_close(data.joint_armature.torch[0, ids], armature)


def test_links_weigh_what_the_mjcf_says(env: IsaacCubeSpin) -> None:
    hand, model = env.unwrapped.scene["robot"], hand_spec(V1, visual=False).compile()
    expected = torch.tensor([model.body(name).mass[0] for name in hand.body_names]).float()
    torch.testing.assert_close(hand.data.body_mass.torch[0], expected, rtol=1e-5, atol=1e-8)


def test_rounded_fingertips_survive_the_conversion(env: IsaacCubeSpin) -> None:
    solver = env.unwrapped.sim.physics_manager._solver
    kinds = solver.mjw_model.geom_type.numpy()
    assert (kinds == int(mujoco.mjtGeom.mjGEOM_CAPSULE)).sum() == 16
    assert (kinds == int(mujoco.mjtGeom.mjGEOM_BOX)).sum() == 3  # palm, cube, platform


def test_usd_carries_drives_for_physx() -> None:
    from pxr import Usd, UsdPhysics

    from tasks.orca.usd import hand_usd

    stage = Usd.Stage.Open(str(hand_usd(V1)))
    drives = {p.GetName() for p in stage.Traverse() if p.HasAPI(UsdPhysics.DriveAPI, "angular")}
    assert drives == set(JOINT_NAMES)


def test_servos_reach_their_targets_without_gravity(env: IsaacCubeSpin) -> None:
    sim, scene, ids = env.unwrapped.sim, env.unwrapped.scene, env.tracker.joint_ids
    hand, cube = scene["robot"], scene["cube"]
    away = cube.data.root_pos_w.torch.clone()
    away[:, 2] += 1.0
    pose = torch.cat([away, cube.data.root_quat_w.torch], dim=1)
    cube.write_root_pose_to_sim_index(root_pose=pose)
    cube.write_root_velocity_to_sim_index(root_velocity=torch.zeros(NUM_ENVS, 6))
    hand.write_joint_position_to_sim_index(position=torch.zeros(NUM_ENVS, 17), joint_ids=ids)
    hand.write_joint_velocity_to_sim_index(velocity=torch.zeros(NUM_ENVS, 17), joint_ids=ids)
    generator = torch.Generator().manual_seed(0)
    # Around the open hand, where no finger can block another.
    target = 0.15 * (2.0 * torch.rand(NUM_ENVS, 17, generator=generator) - 1.0)
    hand.set_joint_position_target_index(target=target, joint_ids=ids)
    for _ in range(240):
        scene.write_data_to_sim()
        sim.step(render=False)
        scene.update(dt=1 / 120)
    error = (hand.data.joint_pos.torch[:, ids] - target).abs()
    # Dry friction of 1e-3 N m against 2 N m/rad leaves at most 5e-4 rad.
    assert error.max() < 1e-3, error.max(dim=0).values
