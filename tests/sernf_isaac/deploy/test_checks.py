"""What a robot's computer has to have, on a computer that has none of it."""

import os
import re
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from first_hand import HAND

from sernf_isaac.deploy import checks
from sernf_isaac.deploy.checks import NotReadyError
from sernf_isaac.deploy.hand.orca import OrcaDriver
from sernf_isaac.deploy.hand.orca_config import check_config
from tasks.orca.hands import driven_hand

MOTORS = range(1, 18)
DONE = "calibrated: true\nwrist_calibrated: true\n"
LIMITS = "motor_limits: {" + ", ".join(f"{m}: [-1.0, 2.0]" for m in MOTORS) + "}\n"
RATIOS = "joint_to_motor_ratios: {" + ", ".join(f"{m}: 0.03" for m in MOTORS) + "}\n"
CALIBRATED = DONE + LIMITS + RATIOS
check_hand_config = partial(checks.check_hand_config, hand_of=driven_hand)


@pytest.fixture
def config(tmp_path) -> Path:
    """A calibrated hand's."""
    orca_core = pytest.importorskip("orca_core", reason="needs the extra 'hand'")
    packaged = Path(orca_core.__file__).parent / "models/v1/orcahand-right/config.yaml"
    shutil.copy(packaged, tmp_path / "config.yaml")
    (tmp_path / "calibration.yaml").write_text(CALIBRATED)
    return tmp_path / "config.yaml"


@pytest.fixture
def serial_port():
    """A terminal that nobody listens to."""
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def at_port(config: Path, port: object) -> Path:
    config.write_text(re.sub("^port: .*", f"port: {port}", config.read_text(), flags=re.M))
    return config


def test_a_calibrated_hand_passes(config):
    assert check_hand_config(config) == f"{config}, ORCA v1, right, calibrated"


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "there is no .*calibration.yaml"),
        ("calibrated: [", "calibration.yaml cannot be read"),
        ("3", "calibration.yaml cannot be read"),
        ("{}", "that the hand is calibrated"),
        ("calibrated: true", "that the wrist is calibrated"),
        ("calibrated: 1\nwrist_calibrated: 1", "that the hand is calibrated"),
        (DONE, r"motor 1 \(thumb_pip\) the limits \[None, None\]"),
        (DONE + LIMITS, r"motor 1 \(thumb_pip\) the ratio 0.0"),
        (DONE + LIMITS.replace("3: [-1.0, 2.0]", "3: [1.0, 1.0]") + RATIOS, r"motor 3 .*no range"),
        (DONE + LIMITS.replace("3: [-1.0, 2.0]", "3: [2.0, 1.0]") + RATIOS, r"motor 3 .*no range"),
        (DONE + LIMITS.replace("3: [-1.0, 2.0]", "3: [0, .nan]") + RATIOS, r"motor 3 .*no range"),
        (DONE + LIMITS.replace("3: [-1.0, 2.0]", "3: [1, 1.1]") + RATIOS, r"motor 3 .*no range"),
        (DONE + LIMITS + RATIOS.replace("17: 0.03", "17: .inf"), r"motor 17 \(wrist\) the ratio"),
    ],
)
def test_a_hand_without_a_finished_calibration_is_told(config, calibration, message):
    beside = config.with_name("calibration.yaml")
    beside.unlink() if calibration is None else beside.write_text(calibration)
    with pytest.raises(NotReadyError, match=message) as told:
        check_hand_config(config)
    assert "calibrate with orca_core" in told.value.remedy


@pytest.mark.parametrize("check", [check_hand_config, checks.check_motor_port])
def test_a_config_that_is_missing_or_damaged_is_told(config, check):
    with pytest.raises(NotReadyError, match="not given"):
        check(None)
    config.write_text("motor_ids: [1, 2")
    with pytest.raises(NotReadyError, match=r"config.yaml cannot be read"):
        check(config)
    config.unlink()
    with pytest.raises(NotReadyError, match=r"there is no .*config.yaml"):
        check(config)


REFUSED = {
    "control_mode: position": ("control_mode: current_based_position", "control_mode: position"),
    "index_mcp may be commanded": ("index_mcp: [-20, 95]", "index_mcp: [-20, 60]"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_the_driver_refuses_is_told_before(config, why):
    before, after = REFUSED[why]
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after))
    with pytest.raises(NotReadyError, match=why) as told:
        check_hand_config(config)
    assert f"correct {config}" in told.value.remedy
    driver = OrcaDriver(HAND, mock=True, config_path=str(config))
    with pytest.raises(RuntimeError) as refused:
        driver.connect()
    assert str(refused.value) == str(told.value), "the doctor says what the driver says"


def packaged(version: str, side: str) -> Path:
    import orca_core

    return Path(orca_core.__file__).parent / f"models/{version}/orcahand-{side}/config.yaml"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_of_another_version_is_recognised(config, side):
    shutil.copy(packaged("v2", side), config)
    assert check_hand_config(config) == f"{config}, ORCA v2, {side}, calibrated"


def test_a_hand_without_a_description_is_told(config):
    shutil.copy(packaged("v1", "left"), config)
    with pytest.raises(NotReadyError, match="ORCA v1, left hand, which has no description"):
        check_hand_config(config)


def test_a_hand_is_not_driven_as_the_other_side_or_version(config):
    driver = OrcaDriver(HAND, mock=True, config_path=str(config))
    config.write_text(config.read_text().replace("type: right", "type: left"))
    with pytest.raises(RuntimeError, match="says type: left; it is to be driven as a right hand"):
        driver.connect()


def test_the_driver_refuses_another_version_by_its_joints():
    pytest.importorskip("orca_core", reason="needs the extra 'hand'")
    from orca_core.hand_config import OrcaHandConfig

    other = OrcaHandConfig.from_config_path(str(packaged("v2", "right")))
    with pytest.raises(RuntimeError, match=r"missing .*unknown"):
        check_config(HAND, other)


def test_a_port_must_be_there_be_serial_and_be_open_to_this_user(config, serial_port, monkeypatch):
    assert checks.check_motor_port(at_port(config, serial_port)) == serial_port
    with pytest.raises(NotReadyError, match=r"ttyHAND is no serial port|there is no .*ttyHAND"):
        checks.check_motor_port(at_port(config, config.parent / "ttyHAND"))
    with pytest.raises(NotReadyError, match=r"calibration.yaml is no serial port"):
        checks.check_motor_port(at_port(config, config.with_name("calibration.yaml")))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(NotReadyError, match=f"read and write {serial_port}") as told:
        checks.check_motor_port(at_port(config, serial_port))
    assert "dialout" in told.value.remedy


def test_an_automatic_port_is_the_only_adapter(config, serial_port):
    assert checks.check_motor_port(config, lambda: [[serial_port]]) == serial_port
    with pytest.raises(NotReadyError, match="no USB adapter"):
        checks.check_motor_port(config, lambda: [])
    with pytest.raises(NotReadyError, match=r"adapters at .*, /dev/ttyX") as told:
        checks.check_motor_port(config, lambda: [[serial_port], ["/dev/ttyX"]])
    assert f"port: {serial_port}" in told.value.remedy


@pytest.mark.parametrize(
    ("attached", "adapters"),
    [
        ([("a", None, None)], []),  # no USB
        ([("a", 0x0403, "x"), ("b", 0x1234, "y")], [["a"]]),  # one that motors are behind
        ([("a", 0x1234, "y"), ("b", None, None)], [["a"]]),  # the only one
        ([("a", 0x2F5D, "x"), ("b", 0x2F5D, "x")], [["a", "b"]]),  # a board with two ports
        ([("a", 0x0403, "x"), ("b", 0x0403, "y")], [["a"], ["b"]]),
    ],
)
def test_adapters_are_chosen_as_the_driver_does(config, monkeypatch, attached, adapters):
    ports = [
        SimpleNamespace(device=device, vid=vendor, pid=1, serial_number=number)
        for device, vendor, number in attached
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    monkeypatch.setattr(checks, "_usable", lambda port, remedy: port)
    found = [name for ports in adapters for name in ports]
    if len(adapters) == 1:
        assert checks.check_motor_port(config) == ", ".join(found)
    else:
        with pytest.raises(NotReadyError):
            checks.check_motor_port(config)


def test_a_hand_is_never_connected_to(config, serial_port, monkeypatch):
    def touched(*_, **__):
        raise AssertionError("a port was opened")

    monkeypatch.setattr("serial.Serial.open", touched)
    monkeypatch.setattr("orca_core.load_hand", touched)
    check_hand_config(at_port(config, serial_port))
    checks.check_motor_port(config)


def test_a_camera_is_counted_and_not_opened(monkeypatch):
    cameras: list[object] = []
    device = SimpleNamespace(getAllAvailableDevices=lambda: cameras)
    monkeypatch.setitem(checks.importlib.sys.modules, "depthai", SimpleNamespace(Device=device))
    monkeypatch.setattr(checks, "version", lambda name: "3")
    with pytest.raises(NotReadyError, match="no OAK camera"):
        checks.check_camera()
    cameras.append(SimpleNamespace(deviceId="A1"))
    assert checks.check_camera() == "1 found (A1), depthai 3"
    monkeypatch.setitem(checks.importlib.sys.modules, "depthai", None)
    with pytest.raises(NotReadyError, match="cannot be imported"):
        checks.check_camera()


@pytest.mark.parametrize(("late_s", "slow"), [(0.001, False), (0.02, True)])
def test_late_sleeps_are_slow(late_s, slow):
    time_s = [0.0]

    def sleep(duration_s: float) -> None:
        time_s[0] += duration_s + late_s

    if not slow:
        assert "1.0 ms late" in checks.check_clock(lambda: time_s[0], sleep)
        return
    with pytest.raises(NotReadyError, match=r"20.0 ms late") as told:
        checks.check_clock(lambda: time_s[0], sleep)
    assert told.value.verdict == "slow"


def test_priority_is_as_before_and_its_lack_is_told(monkeypatch):
    before = os.sched_getscheduler(0)
    asked = []

    def refuse(*arguments: object) -> None:
        asked.append(arguments)
        raise PermissionError("no")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with pytest.raises(NotReadyError, match="no real-time priority") as told:
        checks.check_priority()
    assert told.value.verdict == "slow" and "rtprio" in told.value.remedy
    calls = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *call: calls.append(call))
    assert "real-time" in checks.check_priority()
    assert [policy for _, policy, _ in calls] == [os.SCHED_FIFO, before]


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    usage = SimpleNamespace(free=6e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert f"6 GB free in {tmp_path}" in checks.check_space(tmp_path / "not" / "yet")
    usage.free = 1e9
    with pytest.raises(NotReadyError, match=r"1.0 GB free"):
        checks.check_space(tmp_path)


def test_a_disk_that_syncs_slowly_is_told_and_keeps_nothing(tmp_path):
    ticks = iter(0.15 * n for n in range(100))
    with pytest.raises(NotReadyError, match="in 150 ms") as told:
        checks.check_sync(tmp_path, lambda: next(ticks))
    assert told.value.verdict == "slow"
    ticks = iter(0.001 * n for n in range(100))
    assert "in 1 ms" in checks.check_sync(tmp_path / "new", lambda: next(ticks))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(checks.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("read-only")))
    with pytest.raises(NotReadyError, match="cannot be written to: read-only"):
        checks.check_sync(tmp_path)


def test_what_is_not_installed_is_told():
    assert checks.check_package("torch", "x")
    with pytest.raises(NotReadyError, match="not installed"):
        checks.check_package("sernf-isaac-nothing", "x")
