"""A hand that nobody here describes: read from a model and a YAML file, wrong ones refused."""

from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from tiny_hand import JOINTS, facts, write_tiny_hand

from tasks.orca.description import Hand
from tasks.orca.hand import hand_mjcf, hand_spec
from tasks.orca.hands import load_hand
from tasks.orca.kinematics import FingertipKinematics
from tasks.orca.names import hand_key

SHADOW = "examples/own_hand/shadow.yaml"


@pytest.fixture
def tiny(tmp_path: Path) -> Hand:
    return load_hand(str(write_tiny_hand(tmp_path)))


@pytest.fixture
def shadow() -> Hand:
    if find_spec("gymnasium_robotics") is None:  # its import needs more than the file that is read
        pytest.skip("gymnasium-robotics is not installed")
    return load_hand(SHADOW)


def furthest_from_mujoco(hand: Hand) -> float:
    """The largest error [m] of the fingertips over random poses."""
    model = hand_spec(hand, visual=False).compile()
    data, tips_of = mujoco.MjData(model), FingertipKinematics(model, hand)
    poses = np.random.default_rng(0).uniform(hand.lower_rad, hand.upper_rad, (20, hand.num_joints))
    found = tips_of(torch.tensor(poses, dtype=torch.float32)).numpy()
    error = 0.0
    for pose, tips in zip(poses, found, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        for tip, place in zip(hand.fingertips, tips, strict=True):
            body = data.body(tip.body)
            there = body.xpos + body.xmat.reshape(3, 3) @ np.array(tip.centre_m)
            error = max(error, float(np.abs(there - place).max()))
    return error


def at_rest(hand: Hand) -> mujoco.MjData:
    model = hand_spec(hand, visual=False).compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return data


def test_joints_are_in_the_models_order_whatever_the_yaml_has(tiny: Hand) -> None:
    assert tiny.joint_names == JOINTS and tiny.num_fingertips == 3
    assert tiny.is_wrist.tolist() == [True] + [False] * 7
    assert tiny.driver.driver_names[0] == "x:wrist" and tiny.driver.signs[3] == -1
    assert [joint.opens for joint in tiny.joints] == [False, False] + [True] * 6


def test_limits_are_the_files_counted_from_its_drawing_or_the_yamls(tiny: Hand) -> None:
    degrees = np.degrees([tiny.lower_rad, tiny.upper_rad]).T
    np.testing.assert_allclose(degrees[1], [-30, 30], atol=1e-3)
    np.testing.assert_allclose(degrees[3], [0, 100], atol=1e-3)  # whatever sign the driver has
    np.testing.assert_allclose(degrees[4], [-20, 100], atol=1e-3)  # ref="10"


def test_only_the_hand_is_left_of_the_file(tiny: Hand) -> None:
    model = hand_spec(tiny).compile()
    assert model.njnt == model.nu == model.nv == 8 and model.nmocap == 0
    assert (model.ntendon, model.neq, model.nsensor, model.ncam) == (0, 0, 0, 0)
    assert {model.body(i).name for i in range(model.nbody)}.isdisjoint({"box", "follows"})
    assert model.actuator_gainprm[:, 0].tolist() == [20.0] + [4.0] * 7
    np.testing.assert_allclose(model.jnt_range, np.array([tiny.lower_rad, tiny.upper_rad]).T)


def test_the_palm_faces_down_and_the_grasp_point_is_below_it(tiny: Hand) -> None:
    palm = at_rest(tiny).body("palm")
    turn = palm.xmat.reshape(3, 3)
    np.testing.assert_allclose(turn @ [0, 0, 1], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(tiny.grasp_point_m, palm.xpos - [0, 0, 0.07], atol=1e-6)


def test_fingertips_move_as_in_mujoco_also_beyond_the_last_hinge(tiny: Hand) -> None:
    assert furthest_from_mujoco(tiny) < 1e-6


def test_a_welded_hinge_does_not_turn(tmp_path: Path) -> None:
    joints = {name: row for name, row in facts()["joints"].items() if name != "wrist"}
    hand = load_hand(str(write_tiny_hand(tmp_path, joints=joints, welded=["wrist"])))
    assert hand.joint_names == JOINTS[1:] and furthest_from_mujoco(hand) < 1e-6


def test_the_label_is_of_the_contents(tmp_path: Path, tiny: Hand) -> None:
    assert tiny.label.startswith("tiny-") and load_hand(tiny.key).label == tiny.label
    other = tmp_path / "other"
    other.mkdir()
    assert load_hand(str(write_tiny_hand(other))).label == tiny.label, "wherever it is"
    stiffer = load_hand(str(write_tiny_hand(other, servo={"stiffness": 5.0})))
    assert stiffer.label != tiny.label and stiffer.name == "tiny"


def test_a_changed_file_is_read_again(tmp_path: Path, tiny: Hand) -> None:
    write_tiny_hand(tmp_path, grasp_point_m=[0, 0, -0.06])
    assert load_hand(tiny.key).grasp_point_m[2] == pytest.approx(tiny.grasp_point_m[2] + 0.01)


def test_it_is_written_as_mjcf(tiny: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERNF_CACHE_DIR", str(tmp_path))
    assert mujoco.MjModel.from_xml_path(str(hand_mjcf(tiny))).nu == 8


def test_a_urdf_makes_a_hand(tmp_path: Path) -> None:
    link = '<link name="{}"><inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" '
    link += 'ixy="0" ixz="0" iyz="0"/></inertial><collision><geometry><sphere radius="0.01"/>'
    link += "</geometry></collision></link>"
    joint = '<joint name="{0}_j" type="revolute"><parent link="palm"/><child link="{0}"/>'
    joint += '<origin xyz="{1} 0 0"/><axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="1" '
    joint += 'velocity="1"/></joint><joint name="{0}_f" type="fixed"><parent link="{0}"/>'
    joint += '<child link="{0}_tip"/><origin xyz="0 0 0.05"/></joint>'
    links = [link.format(name) for name in ("palm", "a", "b", "a_tip", "b_tip")]
    parts = [*links, joint.format("a", -0.05), joint.format("b", 0.05)]
    (tmp_path / "two.urdf").write_text(f'<robot name="two">{"".join(parts)}</robot>')
    tips = {f"{name}_tip": {"centre_m": [0, 0, 0], "radius_m": 0.01} for name in "ab"}
    changes = {"model": "two.urdf", "prefix": None, "root_body": "palm", "fingertips": tips}
    joints = {"a_j": 0.5, "b_j": {"search_from": -0.5, "limits_rad": [-0.9, 0.9]}}
    hand = load_hand(str(write_tiny_hand(tmp_path, joints=joints, **changes)))
    assert hand.joint_names == ("a_j", "b_j") and hand.upper_rad.tolist() == [1.0, 0.9]
    assert furthest_from_mujoco(hand) < 1e-6


WRONG = [
    ({"model": None}, "entry 'model' is missing .the MJCF or URDF file"),
    ({"modle": "a"}, "unknown entry 'modle'; did you mean model?"),
    ({"model": "none.xml"}, "model 'none.xml': there is no file .*none.xml; give its path"),
    ({"model": "package:no_such_thing/a.xml"}, "no_such_thing is not installed; pip install no-su"),
    ({"root_body": "mont"}, "root_body: tiny.xml has no body 'mont' .*there are"),
    ({"palm": {"body": "plam", "normal": [0, 0, 1], "fingers": [1, 0, 0]}}, "did you mean palm"),
    (
        {"palm": {"body": "palm", "normal": [0, 0, 1], "fingers": [0, 0, 2]}},
        "palm: normal and fing",
    ),
    ({"palm": {"body": "palm", "normal": [0, 1]}}, "palm: entry 'fingers' is missing"),
    ({"grasp_point_m": [0, 0]}, r"grasp_point_m must be 3 numbers, not \[0, 0\]"),
    ({"fingertips": {"index_nail": {"centre_m": [0, 0, 0], "radius_m": 0.01}}}, "two or more"),
    ({"fingertips": {"nail": {"centre_m": [0, 0, 0], "radius_m": 0.01}}}, "no body 'nail'"),
    ({"side": "both"}, "side must be right or left, not 'both'"),
    ({"name": "orca_v1_right"}, "name 'orca_v1_right' must be"),
    ({"fitted": ["index_nail"]}, "'index_nail' has no collision mesh"),
]
ROWS = [
    ("elbow", 0.0, "joints: tiny.xml has no joint 'elbow'"),
    ("wrist", None, r"hinges that are neither in `joints` nor in `welded`: wrist"),
    (
        "wrist",
        {"search_from": 0.0, "limits_rad": [0.1, -0.1]},
        "wrist: limits 0.1 to -0.1 rad are r",
    ),
    ("wrist", {"search_from": 0.0, "limits_deg": [-30, 10]}, "exceed the model's -0.349"),
    ("wrist", {"search_from": 0.6}, "wrist: search_from is 0.6 rad, outside of the limits"),
    ("wrist", {"search_from": 0.0, "stiffness": -1}, "wrist: stiffness is -1.0, expected more"),
    ("wrist", {"search_from": "a"}, "wrist: search_from must be a number, not 'a'"),
    ("wrist", {"typical": 0.0}, "wrist: entry 'search_from' is missing"),
    ("wrist", {"search_from": 0.0, "wirst": True}, "unknown entry 'wirst'; did you mean wrist?"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=str)
def test_a_wrong_entry_is_named_with_its_file(tmp_path: Path, change: dict, said: str) -> None:
    path = write_tiny_hand(tmp_path, **change)
    if set(change) - set(facts()) == {"fitted"}:
        said = f"no hand can be made of .*{said}"
    with pytest.raises((ValueError, FileNotFoundError), match=rf"tiny\.yaml.*{said}"):
        load_hand(str(path))


@pytest.mark.parametrize(("joint", "row", "said"), ROWS, ids=str)
def test_a_wrong_joint_is_named_with_its_file(
    tmp_path: Path, joint: str, row: object, said: str
) -> None:
    joints = facts()["joints"] | {joint: row}
    joints = {name: content for name, content in joints.items() if content is not None}
    path = write_tiny_hand(tmp_path, joints=joints)
    with pytest.raises(ValueError, match=rf"tiny\.yaml.*{said}"):
        load_hand(str(path))


def test_a_fingertip_without_a_shape_is_refused(tmp_path: Path) -> None:
    path = write_tiny_hand(tmp_path)
    model = (tmp_path / "tiny.xml").read_text()
    nail = '<geom type="capsule" fromto="0 0 0 0.015 0 0" size="0.009"/>'
    (tmp_path / "tiny.xml").write_text(
        model.replace(nail, '<geom size="0.001" mass="0" contype="0" conaffinity="0"/>')
    )
    with pytest.raises(ValueError, match=r"fingertips: index_nail has no collision shape"):
        load_hand(str(path))


def test_a_file_that_is_gone_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no hand at /nowhere/mine\.yaml: a setting or a"):
        load_hand("/nowhere/mine.yaml")
    with pytest.raises(ValueError, match=r"no hand 'leap'; there are orca_v1_right, .* YAML"):
        load_hand("leap")


def test_a_hand_of_the_project_is_kept_by_its_place_in_it(tmp_path: Path) -> None:
    assert hand_key(str(Path(SHADOW).absolute())) == SHADOW
    assert hand_key(str(tmp_path / "a.yaml")) == str(tmp_path / "a.yaml")


def test_the_shadow_hand_hangs_palm_down_and_its_fingertips_are_where_mujoco_has_them(
    shadow: Hand,
) -> None:
    assert shadow.num_joints == 24 and shadow.is_wrist.sum() == 2
    assert hand_spec(shadow).compile().nu == 24
    palm = at_rest(shadow).body("palm")
    np.testing.assert_allclose(palm.xmat.reshape(3, 3) @ [0, -1, 0], [0, 0, -1], atol=1e-5)
    assert furthest_from_mujoco(shadow) < 1e-4
