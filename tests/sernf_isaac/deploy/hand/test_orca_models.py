"""Every ORCA hand that is described, on orca_core's mocks, and what a configuration tells."""

import subprocess
import sys
from pathlib import Path

import pytest

from sernf_isaac.deploy.hand.orca_model import OrcaModel, detect_hand, detect_sensors
from sernf_isaac.deploy.hand.sensors import HandSensors, SensorOptions
from tasks.orca.hands import hand_of_config, load_hand
from tasks.orca.names import HANDS

orca_core = pytest.importorskip("orca_core", reason="needs the extra 'hand'")

MODELS = Path(orca_core.__file__).parent / "models"
CONFIGS = sorted(path.parent for path in MODELS.glob("*/*/config.yaml"))
DRIVE = """
import sys
import numpy as np
from sernf_isaac.deploy.hand.orca import OrcaDriver
from tasks.orca.hands import hand_of_config
rng = np.random.default_rng(0)
for path in sys.argv[1:]:
    hand = hand_of_config(path).driver
    driver = OrcaDriver(hand, mock=True, config_path=path, clock=lambda: 0.0)
    driver.connect()
    driver.set_strength(1.0)
    for _ in range(5):
        pose = rng.uniform(hand.lower_rad, hand.upper_rad)
        driver.command(pose)
        np.testing.assert_allclose(driver.read().joint_pos, pose, atol=1e-9)
    told = driver._orca.get_joint_position().as_dict()
    for name, driver_name, sign, angle in zip(
        hand.joint_names, hand.driver_names, hand.signs, pose, strict=True
    ):
        assert abs(told[driver_name] - sign * np.degrees(angle)) < 1e-9, name
    driver.set_strength(0.0)
    driver.close()
    print("drove", path)
"""


def described(folder: Path) -> bool:
    model = detect_hand(folder / "config.yaml")
    return any(
        (load_hand(n).version, load_hand(n).side) == (model.version, model.side) for n in HANDS
    )


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_version_and_side_of_every_packaged_model_are_found(folder: Path) -> None:
    side = folder.name.rpartition("-")[2]
    assert detect_hand(folder / "config.yaml") == OrcaModel(folder.parent.name, side)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_all_described_models_go_where_they_are_sent(version: str) -> None:
    """In a process of their own: orca_core keeps the joint names of the first version it meets."""
    paths = [
        str(folder / "config.yaml")
        for folder in CONFIGS
        if folder.parent.name == version and described(folder)
    ]
    assert len(paths) == {"v1": 1, "v2": 8}[version]
    done = subprocess.run(
        [sys.executable, "-c", DRIVE, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("drove")] == [
        f"drove {path}" for path in paths
    ]


@pytest.mark.parametrize("folder", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_sensors_of_every_packaged_model_are_found(folder: Path) -> None:
    found, name = detect_sensors(folder / "config.yaml"), folder.name
    assert len(found.encoders) == (17 if "joint" in name or "full" in name else 0)
    assert found.touch == ("touch" in name or "full" in name)
    sizes = found.sizes(17)
    assert ("motor_pos" in sizes) == ("measured" in sizes) == bool(found.encoders)
    assert sizes.get("touch") == (15 if found.touch else None)
    columns = found.columns([f"joint {number}" for number in range(17)])
    assert {group: len(names) for group, names in columns.items()} == sizes


@pytest.mark.parametrize(
    ("content", "joints"),
    [
        ("joint_encoder_joints: [wrist]", ("wrist",)),
        ("joint_encoder_joints: [wrist]\nuse_joint_feedback: false", ()),
        ("joint_encoder_joints: [ALL]\nuse_joint_feedback: true", ("wrist", "thumb_cmc")),
        ("joint_encoder_joints:", ()),
        ("", ()),
    ],
)
def test_encoders_are_declared_as_orca_core_reads_it(
    tmp_path: Path, content: str, joints: tuple[str, ...]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"joint_roms: {{wrist: [0, 1], thumb_cmc: [0, 1]}}\n{content}")
    assert detect_sensors(path) == HandSensors(joints)


def test_a_session_may_leave_sensors_out() -> None:
    everything = HandSensors(("wrist",), touch=True)
    assert everything.used(SensorOptions()) == everything
    assert everything.used(SensorOptions(encoders=False, touch=False)) == HandSensors()
    with pytest.raises(ValueError, match=r"encoder_timeout_s .* must be at most 1"):
        SensorOptions(encoder_timeout_s=2.0)
    with pytest.raises(ValueError, match=r"touch_timeout_s .* must be positive"):
        SensorOptions(touch_timeout_s=float("nan"))


def test_a_described_hand_is_found_by_its_configuration() -> None:
    assert hand_of_config(MODELS / "v2/orcahand-full-left/config.yaml").name == "orca_v2_left"
    with pytest.raises(ValueError, match="ORCA v1, left hand, which has no description"):
        hand_of_config(MODELS / "v1/orcahand-left/config.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("type: right", "has no joint_roms"),
        ("- 1", "has no joint_roms"),
        ("type: right\njoint_roms: {elbow: [0, 1]}", "no known ORCA hand: .*it has elbow"),
        ("type: both\njoint_roms: {thumb_cmc: [0, 1]}", "says type: both"),
        ("joint_roms: {thumb_pip: [0, 1]}", "says type: None"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        detect_hand(path)


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no hand's configuration"):
        detect_hand(tmp_path / "config.yaml")
