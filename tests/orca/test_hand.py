"""The edited hand against the untouched one: same kinematics; servos reach their targets."""

import mujoco
import numpy as np
import pytest
from first_hand import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, JOINTS, PALM_BODY, ROOT_BODY, V1

from tasks.orca.hand import hand_mjcf, hand_spec
from tasks.orca.official import original_spec

POSES = 1000
MAX_FK_ERROR_M = 1e-5


@pytest.fixture(scope="module")
def hand() -> mujoco.MjModel:
    return hand_spec(V1, visual=False).compile()


@pytest.fixture(scope="module")
def original() -> mujoco.MjModel:
    return original_spec(V1).compile()


def body_positions(model: mujoco.MjModel, qpos: np.ndarray) -> dict[str, np.ndarray]:
    """Body positions in the root's frame at joint values `qpos`, by body name."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    root = data.body(ROOT_BODY)
    to_root = root.xmat.reshape(3, 3).T
    names = [model.body(i).name for i in range(1, model.nbody)]
    return {name: to_root @ (data.body(name).xpos - root.xpos) for name in names}


def test_kinematics_equal_the_originals_on_random_poses(
    hand: mujoco.MjModel, original: mujoco.MjModel
) -> None:
    rng = np.random.default_rng(0)
    ref = np.array([original.joint(name).qpos0[0] for name in JOINT_NAMES])
    assert np.abs(ref).max() > 0.5, "the original has no ref; this test would prove nothing"
    worst = 0.0
    for angles in rng.uniform(JOINT_LOWER, JOINT_UPPER, (POSES, len(JOINTS))):
        ours, theirs = body_positions(hand, angles), body_positions(original, angles + ref)
        assert ours.keys() == theirs.keys()
        worst = max(worst, *(np.abs(ours[name] - theirs[name]).max() for name in ours))
    assert worst < MAX_FK_ERROR_M


def test_forgetting_ref_would_be_seen(hand: mujoco.MjModel, original: mujoco.MjModel) -> None:
    angles = np.zeros(len(JOINTS))
    ours, theirs = body_positions(hand, angles), body_positions(original, angles)
    assert max(np.abs(ours[name] - theirs[name]).max() for name in ours) > 0.01


def test_limits_in_the_model_are_the_tables(hand: mujoco.MjModel) -> None:
    np.testing.assert_allclose(hand.jnt_range, np.stack([JOINT_LOWER, JOINT_UPPER], axis=1))
    np.testing.assert_allclose(hand.actuator_ctrlrange, hand.jnt_range)


def test_palm_faces_down_and_fingers_point_forward(hand: mujoco.MjModel) -> None:
    data = mujoco.MjData(hand)
    mujoco.mj_kinematics(hand, data)
    palm, tip = data.body(PALM_BODY), data.body("right_middle_ip")
    np.testing.assert_allclose(data.body(ROOT_BODY).xpos, 0.0, atol=1e-12)
    np.testing.assert_allclose(
        data.body(ROOT_BODY).xmat.reshape(3, 3) @ [0, 1, 0], [0, 0, -1], atol=1e-9
    )
    assert tip.xpos[1] > palm.xpos[1] + 0.05


def test_curling_fingers_move_down(hand: mujoco.MjModel) -> None:
    data = mujoco.MjData(hand)
    mujoco.mj_kinematics(hand, data)
    straight = data.body("right_index_ip").xpos[2]
    data.joint("right_index_mcp").qpos[0] = 1.0
    mujoco.mj_kinematics(hand, data)
    assert data.body("right_index_ip").xpos[2] < straight - 0.02


def settle(model: mujoco.MjModel, target: np.ndarray, seconds: float) -> np.ndarray:
    """Joint angles after holding servo targets for a while."""
    data = mujoco.MjData(model)
    data.ctrl[:] = target
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return data.qpos.copy()


def test_servos_reach_their_targets_without_gravity() -> None:
    spec = hand_spec(V1, visual=False)
    spec.option.gravity = np.zeros(3)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model = spec.compile()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    middle, half = (JOINT_LOWER + JOINT_UPPER) / 2, (JOINT_UPPER - JOINT_LOWER) / 2
    for seed in range(3):
        target = middle + 0.9 * half * np.random.default_rng(seed).uniform(-1, 1, len(JOINTS))
        # Dry friction of 1e-3 N m against 2 N m/rad leaves at most 5e-4 rad.
        np.testing.assert_allclose(settle(model, target, 4.0), target, atol=6e-4)


def test_wrist_hardly_sags_under_gravity(hand: mujoco.MjModel) -> None:
    assert abs(settle(hand, np.zeros(len(JOINTS)), 2.0)[0]) < 0.02


@pytest.mark.parametrize(("collisions", "kind"), [("primitives", "CAPSULE"), ("hulls", "MESH")])
def test_collision_shapes_are_what_was_asked_for(collisions: str, kind: str) -> None:
    model = hand_spec(V1, visual=False, collisions=collisions).compile()
    solid = model.geom_type[model.geom_contype != 0]
    assert (solid == getattr(mujoco.mjtGeom, f"mjGEOM_{kind}")).sum() >= 16
    tower = model.body(ROOT_BODY).id
    assert not ((model.geom_bodyid == tower) & (model.geom_contype != 0)).any()


def test_masses_are_the_originals(hand: mujoco.MjModel, original: mujoco.MjModel) -> None:
    np.testing.assert_allclose(hand.body_mass, original.body_mass, rtol=1e-9)
    np.testing.assert_allclose(hand.body_inertia, original.body_inertia, rtol=1e-6)


def test_unknown_collision_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="spheres"):
        hand_spec(V1, collisions="spheres")


def test_cached_mjcf_loads_and_is_reused(hand: mujoco.MjModel) -> None:
    path = hand_mjcf(V1)
    assert hand_mjcf(V1) == path
    assert mujoco.MjModel.from_xml_path(str(path)).njnt == hand.njnt
