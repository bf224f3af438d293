"""Joint table: limits against orca_core's ranges of motion, and the map to its degrees."""

import numpy as np
import pytest
from first_hand import HAND, JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, JOINTS, V1

from sernf_isaac.deploy.hand.joint_map import JointMap
from tasks.orca.official import original_spec

# orca_core 0.12.0, models/v1/orcahand-right: joint_roms_dict, in its own order.
ORCA_CORE_ROM_DEG = {
    "thumb_mcp": (-50, 50),
    "thumb_abd": (-20, 42),
    "thumb_pip": (-12, 108),
    "thumb_dip": (-20, 112),
    "index_abd": (-37, 37),
    "index_mcp": (-20, 95),
    "index_pip": (-20, 108),
    "middle_abd": (-37, 37),
    "middle_mcp": (-20, 91),
    "middle_pip": (-20, 107),
    "ring_abd": (-37, 37),
    "ring_mcp": (-20, 91),
    "ring_pip": (-20, 107),
    "pinky_abd": (-37, 37),
    "pinky_mcp": (-20, 98),
    "pinky_pip": (-20, 108),
    "wrist": (-50, 30),
}
MJCF_STOPS_EARLIER_DEG = {"thumb_pip": (-12, 104.0), "ring_abd": (-37, 36.4)}


def in_driver_degrees(joint_pos: np.ndarray) -> dict[str, float]:
    """Angles (17,) [rad] as orca_core counts them."""
    there = JointMap(HAND, list(HAND.driver_names)).to_driver(joint_pos)
    return dict(zip(HAND.driver_names, there, strict=True))


def test_limits_are_orca_cores_ranges_except_where_the_mjcf_stops_earlier() -> None:
    lower, upper = in_driver_degrees(JOINT_LOWER), in_driver_degrees(JOINT_UPPER)
    for name, rom in (ORCA_CORE_ROM_DEG | MJCF_STOPS_EARLIER_DEG).items():
        assert sorted((lower[name], upper[name])) == pytest.approx(rom, abs=0.05), name


def test_all_joints_are_there_in_the_mjcfs_order() -> None:
    assert {joint.driver_name for joint in JOINTS} == set(ORCA_CORE_ROM_DEG)
    assert tuple(joint.name for joint in original_spec(V1).joints) == JOINT_NAMES


def test_only_the_wrist_changes_sign() -> None:
    degrees = in_driver_degrees(np.full(len(JOINTS), np.radians(10.0)))
    assert degrees.pop("wrist") == pytest.approx(-10.0)
    assert list(degrees.values()) == pytest.approx([10.0] * 16)


def test_names_are_found_in_any_order() -> None:
    shuffled = sorted(JOINT_NAMES)
    assert [shuffled[i] for i in V1.index_of(shuffled)] == list(JOINT_NAMES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (JOINT_NAMES[1:], "missing.*right_wrist"),
        ((*JOINT_NAMES, "right_thumb_cmc"), "unknown.*right_thumb_cmc"),
        ((*JOINT_NAMES, "right_wrist"), "doubled.*right_wrist"),
    ],
)
def test_wrong_joint_names_are_refused_by_name(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        V1.index_of(names)
