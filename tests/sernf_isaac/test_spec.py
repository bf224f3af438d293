"""The contract of a policy file: plain values and back, and every difference by name."""

from dataclasses import fields, replace

import pytest

from sernf_isaac.spec import Contract

CONTRACT = Contract(
    kind="teacher",
    task="cube_spin",
    joint_names=("wrist", "thumb"),
    joint_lower_rad=(-0.5, 0.0),
    joint_upper_rad=(0.5, 1.5),
    control_rate_hz=20.0,
    quaternion_order="xyzw",
    observations={"joint_pos": 2, "command": 1},
    action={"mode": "grasp", "centre_rad": [0.1, 0.2]},
    versions={"torch": "2.11.0"},
)
OTHER_VALUES = {
    "kind": "student",
    "task": "peg",
    "joint_names": ("thumb", "wrist"),
    "joint_lower_rad": (-0.5, 0.1),
    "joint_upper_rad": (0.5, 1.6),
    "control_rate_hz": 30.0,
    "quaternion_order": "wxyz",
    "observations": {"joint_pos": 2, "command": 2},
    "action": {"mode": "limits", "centre_rad": [0.1, 0.2]},
    "hand": "another",
    "object": "sphere 50 mm",
}


def test_plain_values_and_back_is_the_identity() -> None:
    assert Contract.from_dict(CONTRACT.to_dict()) == CONTRACT


def test_lists_from_a_file_become_tuples_again() -> None:
    values = CONTRACT.to_dict()
    values["joint_names"] = list(values["joint_names"])
    assert Contract.from_dict(values) == CONTRACT


def test_a_file_without_versions_is_accepted() -> None:
    values = CONTRACT.to_dict()
    del values["versions"]
    assert Contract.from_dict(values).versions == {}


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"unknown fields \['gripper'\]"):
        Contract.from_dict(CONTRACT.to_dict() | {"gripper": "none"})


def test_a_missing_field_is_refused_by_name() -> None:
    values = CONTRACT.to_dict()
    del values["quaternion_order"]
    with pytest.raises(ValueError, match=r"lacks \['quaternion_order'\]"):
        Contract.from_dict(values)


def test_a_contract_does_not_differ_from_itself() -> None:
    assert CONTRACT.differences(CONTRACT) == []


def test_every_field_but_versions_is_compared() -> None:
    assert set(OTHER_VALUES) == {f.name for f in fields(Contract)} - {"versions"}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_difference_is_named_with_both_values(name: str) -> None:
    theirs = replace(CONTRACT, **{name: OTHER_VALUES[name]})
    (found,) = CONTRACT.differences(theirs)
    assert found.startswith(f"{name} is ") and ", expected " in found


def test_only_the_differing_entries_of_a_table_are_told() -> None:
    theirs = replace(CONTRACT, observations={"joint_pos": 2, "command": 2})
    (found,) = CONTRACT.differences(theirs)
    assert found == "observations is {'command': 1}, expected {'command': 2}"


def test_the_order_of_observations_matters() -> None:
    theirs = replace(CONTRACT, observations={"command": 1, "joint_pos": 2})
    (found,) = CONTRACT.differences(theirs)
    assert "['joint_pos', 'command']" in found and "['command', 'joint_pos']" in found


def test_a_missing_observation_is_named() -> None:
    theirs = replace(CONTRACT, observations={"joint_pos": 2})
    (found,) = CONTRACT.differences(theirs)
    assert found == "observations is {'command': 1}, expected {'command': None}"


def test_rounding_and_versions_are_no_differences() -> None:
    theirs = replace(CONTRACT, joint_lower_rad=(-0.5 + 1e-9, 0.0), versions={"torch": "3"})
    assert CONTRACT.differences(theirs) == []


def test_more_than_rounding_is_a_difference() -> None:
    assert CONTRACT.differences(replace(CONTRACT, joint_lower_rad=(-0.5 + 1e-4, 0.0)))


def test_ignored_fields_are_not_compared() -> None:
    theirs = replace(CONTRACT, kind="student", task="peg")
    assert [d.split()[0] for d in CONTRACT.differences(theirs, ignore=("kind",))] == ["task"]
