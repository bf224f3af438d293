"""Joint table: limits against orca_core's ranges of motion, and the map to its degrees."""

import numpy as np
import pytest

from tasks.orca.hand import original_spec
from tasks.orca.joints import (
    JOINT_LOWER,
    JOINT_NAMES,
    JOINT_UPPER,
    JOINTS,
    from_orca_degrees,
    index_of_names,
    to_orca_degrees,
)

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


def test_limits_are_orca_cores_ranges_except_where_the_mjcf_stops_earlier() -> None:
    lower, upper = to_orca_degrees(JOINT_LOWER), to_orca_degrees(JOINT_UPPER)
    for name, rom in (ORCA_CORE_ROM_DEG | MJCF_STOPS_EARLIER_DEG).items():
        assert sorted((lower[name], upper[name])) == pytest.approx(rom, abs=0.05), name


def test_all_joints_are_there_in_the_mjcfs_order() -> None:
    assert {joint.orca_name for joint in JOINTS} == set(ORCA_CORE_ROM_DEG)
    assert tuple(joint.name for joint in original_spec().joints) == JOINT_NAMES


def test_degrees_and_back_is_the_identity() -> None:
    angles = np.random.default_rng(0).uniform(JOINT_LOWER, JOINT_UPPER)
    there_and_back = from_orca_degrees(to_orca_degrees(angles))
    np.testing.assert_allclose(there_and_back, angles, atol=1e-9)


def test_only_the_wrist_changes_sign() -> None:
    degrees = to_orca_degrees(np.full(len(JOINTS), np.radians(10.0)))
    assert degrees.pop("wrist") == pytest.approx(-10.0)
    assert list(degrees.values()) == pytest.approx([10.0] * 16)


def test_names_are_found_in_any_order() -> None:
    shuffled = sorted(JOINT_NAMES)
    assert [shuffled[i] for i in index_of_names(shuffled)] == list(JOINT_NAMES)


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
        index_of_names(names)


def test_wrong_shapes_and_degree_names_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        to_orca_degrees(np.zeros(16))
    angles = to_orca_degrees(np.zeros(17))
    angles["thumb_cmc"] = angles.pop("thumb_mcp")
    with pytest.raises(ValueError, match="thumb_cmc"):
        from_orca_degrees(angles)
