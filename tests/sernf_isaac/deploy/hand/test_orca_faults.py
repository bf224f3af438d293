"""Lost sensors, hot motors and slipping tendons of ORCA v2 hands, on orca_core's mocks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("orca_core", reason="needs the extra 'hand'")

HELPERS = Path(__file__).resolve().parents[3] / "helpers"
GOES_ON = ["OFF", "RAMP", "READY", "FOLLOW"]
ENDS = [*GOES_ON, "HOLD", "RELAX", "OFF"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What came of each scene of `orca_mock_faults.py`, by its name."""
    folder = tmp_path_factory.mktemp("faults")
    script = str(HELPERS / "orca_mock_faults.py")
    places = os.pathsep.join([str(HELPERS), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        [sys.executable, script, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert done.returncode == 0, done.stderr
    lines = [line[7:] for line in done.stdout.splitlines() if line.startswith("played ")]
    return {found.pop("scene"): found for found in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        ("nothing", ""),
        ("small_slip", "over 10 degrees between encoder and motor of index_mcp"),
        ("warm_motor", "over 60 degrees Celsius: motor 1 (wrist), motor 2 (index_pip), motor 3"),
        ("silent_fingertips", "the fingertips are silent for over 1 s"),
        ("without_encoders", ""),
        ("some_encoders", ""),
    ],
)
def test_what_is_of_no_consequence_is_only_told(scenes: dict, scene: str, says: str) -> None:
    found = scenes[scene]
    assert found["states"] == GOES_ON and found["reason"] == "NONE" and found["torque"]
    assert says in found["error"] and bool(says) == bool(found["error"])


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (
            "silent_link",
            "the joint encoders was silent for over 0.1 s; check its cable",
        ),
        ("dead_port", "was silent for over 0.1 s (mock device disconnected)"),
        ("flagged_joint", "the encoder of index_mcp gave no valid angle for over 0.1 s"),
        ("slip", "over 20 degrees between encoder and motor of index_mcp"),
        ("hot_motor", "over 68 degrees Celsius: motor 3 (index_mcp)"),
        ("strong_motor", "over 2 times the allowed current: motor 3 (index_mcp)"),
        ("overload", "motor 3 (index_mcp): reports overload"),
    ],
)
def test_what_is_lost_or_unwell_ends_with_an_open_hand_without_torque(
    scenes: dict, scene: str, says: str
) -> None:
    found = scenes[scene]
    assert found["states"] == ENDS and found["reason"] == "HEALTH" and not found["torque"]
    assert says in found["error"]


def test_a_motor_at_fault_is_asked_once_what_it_is(scenes: dict) -> None:
    """Each question is a read of the bus, and it says that it is at fault with every answer."""
    assert scenes["overload"]["asked"] == 1


def test_a_lost_encoder_leaves_its_joint_to_the_motor(scenes: dict) -> None:
    """So that the hand opens by angles that are alive."""
    found = scenes["flagged_joint"]
    assert found["measured"].count(0.0) == 1 and abs(found["index"]) < 1e-9
    assert set(scenes["silent_link"]["measured"]) == {0.0}
    assert scenes["silent_link"]["off_by"] < 1e-9


def test_a_joint_is_where_its_encoder_says(scenes: dict) -> None:
    assert scenes["small_slip"]["index"] == pytest.approx(0.2618, abs=5e-4)  # 15 degrees
    assert 0.0 < scenes["nothing"]["off_by"] < 2e-4, "half a step of an encoder"
    assert scenes["without_encoders"]["off_by"] < 1e-9, "the motors' angles have no steps"


def test_joints_without_encoder_are_the_motors(scenes: dict) -> None:
    assert sum(scenes["some_encoders"]["measured"]) == 1.0
    assert scenes["without_encoders"]["measured"] is None


def test_a_fault_that_persists_cannot_be_cleared(scenes: dict) -> None:
    found = scenes["cleared"]
    assert found["still"] == "HEALTH"
    assert found["states"] == [*ENDS, "RAMP", "READY"] and found["error"] == ""


@pytest.mark.parametrize(
    ("check", "verdict", "says"),
    [
        ("health of full", "ok", "17 motors at "),
        ("health of full", "ok", "of 300 mA, encoders at most 0.0 degrees from the motors"),
        ("health of full", "ok", "fingertips feel at most 0.0 N"),
        ("health of hot", "watch", "over 60 degrees Celsius: motor 1 (wrist)"),
        ("health of faulty", "unwell", "motor 3 (index_mcp): error bits 0x20"),
        ("plain", "ok", "no encoders: joint angles are the motors'; no touch"),
        ("no anchor", "missing", "calibration.yaml has no anchor of any joint encoder"),
        (
            "one anchor",
            "partly",
            "encoders measure 1 of 17 joints; no anchor, so by the motor",
        ),
        ("anchors", "ok", "encoders measure 17 of 17 joints; touch"),
    ],
)
def test_the_doctor_says_what_a_session_would(
    scenes: dict, check: str, verdict: str, says: str
) -> None:
    found = scenes["doctor"][check]
    assert found["verdict"] == verdict and says in found["said"]
