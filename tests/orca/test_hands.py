"""The hands against orca_core's kinematics and configurations, and a left hand as a mirror."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml
from first_hand import V1

from sernf_isaac.deploy.hand.joint_map import JointMap
from tasks.orca.description import Hand
from tasks.orca.hand import COLLISIONS, hand_spec
from tasks.orca.hands import FOLDER, load_hand, read_hand
from tasks.orca.mirror import mirrored
from tasks.orca.names import HANDS
from tasks.orca.shapes import Box, Capsule, hull_of, inertia_of

V2 = load_hand("orca_v2_right")
FIGURES = ("orca_v2_right", "orca_v2_left")
POSES = 1000
MAX_TIP_ERROR_M = 5e-4


@pytest.fixture(params=FIGURES)
def hand(request: pytest.FixtureRequest) -> Hand:
    """A hand that is built from figures."""
    return load_hand(request.param)


def random_poses(hand: Hand, count: int) -> np.ndarray:
    """Joint angles (count, 17) over the whole range."""
    return np.random.default_rng(0).uniform(hand.lower_rad, hand.upper_rad, (count, 17))


def test_fingertips_are_where_orca_core_puts_them(hand: Hand) -> None:
    kinematics = pytest.importorskip("orca_core.kinematics")
    theirs = kinematics.HandKinematics.load(hand.side)
    names = list(hand.driver.driver_names)
    to_driver = JointMap(hand.driver, names).to_driver
    model = hand_spec(hand, visual=False).compile()
    data, worst = mujoco.MjData(model), 0.0
    for pose in random_poses(hand, POSES):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        expected = theirs.fingertip_poses(dict(zip(names, to_driver(pose), strict=True)))
        for finger, tip in zip(kinematics.FINGERS, hand.fingertips, strict=True):
            body, centre = data.body(tip.body), np.array(tip.centre_m)
            ours = body.xpos + body.xmat.reshape(3, 3) @ centre
            worst = max(worst, np.linalg.norm(ours - expected[finger].apply_to_points(centre)))
    assert worst < MAX_TIP_ERROR_M


def test_a_sign_that_is_wrong_would_be_seen() -> None:
    kinematics = pytest.importorskip("orca_core.kinematics")
    theirs, model = kinematics.HandKinematics.load("right"), hand_spec(V2, visual=False).compile()
    for index, joint in enumerate(V2.joints):
        pose = np.zeros(17)
        pose[index] = 0.2
        data = mujoco.MjData(model)
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        wrong = theirs.fingertip_poses({joint.driver_name: -joint.sign * np.degrees(0.2)})
        off = [
            np.linalg.norm(data.body(tip.body).xpos - wrong[finger].translation)
            + np.abs(data.body(tip.body).xmat.reshape(3, 3) - wrong[finger].rotation).max()
            for finger, tip in zip(kinematics.FINGERS, V2.fingertips, strict=True)
        ]
        assert max(off) > 0.1, joint.name


@pytest.mark.parametrize("name", HANDS)
def test_limits_are_within_what_the_hands_configuration_allows(name: str) -> None:
    orca_core = pytest.importorskip("orca_core")
    hand = load_hand(name)
    models = Path(orca_core.__file__).parent / "models" / hand.version
    for config in models.glob(f"orcahand*-{hand.side}/config.yaml"):
        allowed = yaml.safe_load(config.read_text())["joint_roms"]
        assert set(allowed) == set(hand.driver.driver_names)
        for joint in hand.joints:
            assert list(joint.rom_deg) == allowed[joint.driver_name], joint.name
            ends = sorted(np.degrees(joint.sign * end) for end in joint.limits_rad)
            low, high = allowed[joint.driver_name]
            assert low - 0.01 <= ends[0] < ends[1] <= high + 0.01
            assert ends[1] - ends[0] > 0.9 * (high - low), f"{joint.name} lost its range"


def test_palm_faces_down_and_fingers_curl_down_and_point_forward(hand: Hand) -> None:
    model = hand_spec(hand, visual=False).compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    straight = {tip.body: data.body(tip.body).xpos.copy() for tip in hand.fingertips[1:]}
    palm = data.body(hand.palm_body)
    np.testing.assert_allclose(palm.xmat.reshape(3, 3) @ [0, 1, 0], [0, 0, -1], atol=1e-5)
    for row, joint in enumerate(hand.joints):
        if joint.driver_name.endswith("mcp") and "thumb" not in joint.driver_name:
            data.qpos[row] = 1.0
    mujoco.mj_kinematics(model, data)
    for body, before in straight.items():
        assert before[1] > palm.xpos[1] + 0.05
        assert data.body(body).xpos[2] < before[2] - 0.02


def test_the_grasp_point_lies_between_thumb_and_fingers(hand: Hand) -> None:
    model = hand_spec(hand, visual=False).compile()
    data = mujoco.MjData(model)
    data.qpos[:] = hand.search_from_rad
    mujoco.mj_kinematics(model, data)
    tips = np.array([data.body(tip.body).xpos for tip in hand.fingertips])
    point = np.array(hand.grasp_point_m)
    assert tips[0, 1] < point[1] < tips[2, 1], "the thumb is behind, the middle finger in front"
    assert min(tips[1, 0], tips[4, 0]) < point[0] < max(tips[1, 0], tips[4, 0])


def test_a_left_hand_mirrors_every_body_at_the_same_angles() -> None:
    right, left = load_hand("orca_v2_right"), load_hand("orca_v2_left")
    models = [hand_spec(hand, visual=False).compile() for hand in (right, left)]
    for pose in random_poses(right, 20):
        places = []
        for hand, model in zip((right, left), models, strict=True):
            data = mujoco.MjData(model)
            data.qpos[:] = pose
            mujoco.mj_kinematics(model, data)
            geoms = [data.geom(f"{body.name}_collision").xpos for body in hand.bodies[1:]]
            places.append(np.array([data.body(b.name).xpos for b in hand.bodies] + geoms))
        np.testing.assert_allclose(places[0] * [-1, 1, 1], places[1], atol=1e-9)
    np.testing.assert_allclose(models[0].body_mass, models[1].body_mass)
    np.testing.assert_allclose(models[0].body_inertia, models[1].body_inertia, rtol=1e-9)


def test_the_mirror_of_a_mirror_is_the_hand() -> None:
    assert mirrored(mirrored(V2, "other"), V2.name) == V2


def test_a_hand_whose_model_is_a_file_has_no_mirror() -> None:
    with pytest.raises(ValueError, match="orca_v1_right has no figures"):
        mirrored(V1, "orca_v1_left")


def test_unknown_hands_are_refused_and_known_ones_named() -> None:
    with pytest.raises(ValueError, match=r"'orca_v3_right'; there are .*orca_v2_left"):
        load_hand("orca_v3_right")


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("collisions", COLLISIONS)
def test_nothing_touches_in_the_rest_pose(name: str, collisions: str) -> None:
    hand = load_hand(name)
    model = hand_spec(hand, visual=False, collisions=collisions).compile()
    data = mujoco.MjData(model)
    data.qpos[:] = hand.rest_rad
    mujoco.mj_forward(model, data)
    pairs = [(model.geom(c.geom1).name, model.geom(c.geom2).name) for c in data.contact]
    assert pairs == []


def test_a_picture_shows_the_primitives_and_leaves_the_physics_alone() -> None:
    plain, seen = (hand_spec(V2, visual=visual).compile() for visual in (False, True))
    assert seen.ngeom > plain.ngeom + 17
    np.testing.assert_allclose(plain.body_mass, seen.body_mass)
    solid = seen.geom_contype != 0
    assert solid.sum() == plain.ngeom


def test_hulls_reach_exactly_as_far_as_the_meshes_do() -> None:
    for body in V2.bodies[1:]:
        assert body.hull_bounds_m is not None
        corners = hull_of(body.shapes[0], body.hull_bounds_m)
        np.testing.assert_allclose(corners.min(axis=0), body.hull_bounds_m[0], atol=1e-12)
        np.testing.assert_allclose(corners.max(axis=0), body.hull_bounds_m[1], atol=1e-12)


@pytest.mark.parametrize(
    "shape",
    [
        Box((0.01, 0.0, -0.02), (0.03, 0.01, 0.02)),
        Capsule((0.0, 0.0, 0.0), (0.03, 0.01, 0.02), 0.01),
    ],
)
def test_inertia_is_what_mujoco_computes(shape: Box | Capsule) -> None:
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name="b")
    if isinstance(shape, Box):
        kind = {"type": mujoco.mjtGeom.mjGEOM_BOX, "pos": shape.centre, "size": shape.half_size}
    else:
        kind = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "fromto": [*shape.start, *shape.end]}
        kind |= {"size": [shape.radius, 0.0, 0.0]}
    body.add_geom(mass=0.02, **kind)
    model = spec.compile()
    centre, inertia = inertia_of(shape, 0.02)
    np.testing.assert_allclose(centre, model.body("b").ipos, atol=1e-9)
    expected = sorted(model.body("b").inertia)
    np.testing.assert_allclose(np.linalg.eigvalsh(inertia), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("side: right\n", "", "side"),
        ("palm_body: palm", "palm_body: palm\ncolour: red", "colour"),
        ("- {capsule: {start_m", "- {sphere: {start_m", "no shape 'sphere'"),
        ("  wrist: {rom_deg", "  elbow: {rom_deg", "joint names"),
    ],
)
def test_a_wrong_description_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (FOLDER / "orca_v2_right.yaml").read_text()
    assert old in text
    (tmp_path / "hand.yaml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"hand\.yaml is no hand.*{message}"):
        read_hand(tmp_path / "hand.yaml")


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="typical_rad has 16 entries"):
        replace(V2, typical_rad=V2.typical_rad[1:])
