"""What a robot's computer has to have: each check says what it found, or what to do.

Nothing here moves a hand, switches torque or opens its bus; ports are looked at from outside.
"""

import importlib
import os
import shutil
import stat
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sernf_isaac.deploy.hand.orca_config import check_calibration, check_config
from sernf_isaac.deploy.hand.server import COMMAND_RATE_HZ
from sernf_isaac.deploy.loop.serve import PRIORITY
from sernf_isaac.deploy.protocols import HandDescription
from sernf_isaac.install import install_command

SLEEPS = 40
"""A second of the hand's ticks."""
MAX_LATE_S = 0.005
"""A fifth of a tick; later ones make the hand's commands uneven."""
MIN_FREE_GB = 5.0
"""A day of runs; checkpoints and resume points are most of it."""
SYNCS, SYNC_BYTES = 10, 1_000_000
MAX_SYNC_S = 0.1
"""An episode ends with four to six such writes, while a person waits."""
CALIBRATE = "calibrate with orca_core, and keep calibration.yaml beside config.yaml"


class NotReadyError(ValueError):
    """What a check found, and what to do about it."""

    def __init__(self, found: str, remedy: str, *, verdict: str = "missing") -> None:
        super().__init__(found)
        self.remedy, self.verdict = remedy, verdict


def check_package(name: str, remedy: str) -> str:
    """The version of an installed distribution.

    Raises:
        NotReadyError: If it is not installed.
    """
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise NotReadyError("not installed", remedy) from error


def check_gpu() -> str:
    """A CUDA GPU that torch can use.

    Raises:
        NotReadyError: If there is none.
    """
    if not torch.cuda.is_available():
        raise NotReadyError("none found", "the twin needs none; Isaac Lab trains on one")
    return torch.cuda.get_device_name()


def check_hand_driver() -> str:
    """orca_core can be imported.

    Raises:
        NotReadyError: If it cannot; says why.
    """
    _import("orca_core", install_command("hand"))
    return version("orca_core")


def check_hand_config(path: Path | None, hand_of: Callable[[Path], HandDescription]) -> str:
    """The driver will accept a hand's `config.yaml` and the calibration beside it.

    Args:
        path: Of the file.
        hand_of: The hand that a configuration is of.

    Raises:
        NotReadyError: If none is given, a file is missing or damaged, or the driver will refuse it;
            says what the driver would.
    """
    config = read_hand_config(path)
    assert path is not None, "read before"
    try:
        check_config(hand := hand_of(path), config)
    except (RuntimeError, ValueError) as error:
        raise NotReadyError(f"{error}", f"correct {path}") from error
    found = read_calibration(config)
    try:
        check_calibration(config, found)
    except RuntimeError as error:
        raise NotReadyError(f"{error}", CALIBRATE) from error
    return f"{path}, ORCA {hand.model}, {hand.side}, calibrated"


def check_motor_port(
    path: Path | None, adapters: Callable[[], list[list[str]]] | None = None
) -> str:
    """The motors' serial port is there, and this user may read and write it.

    Args:
        path: The hand's `config.yaml`; it names the port, or says "auto".
        adapters: Ports of each attached USB adapter that motors could be behind.

    Raises:
        NotReadyError: If there is no such port, there are several to choose from, or it is locked.
    """
    port = read_hand_config(path).port
    if port != "auto":
        return _usable(port, f"check the cable, or correct port: in {path}")
    found = (adapters or _motor_adapters)()
    if not found:
        raise NotReadyError("no USB adapter for motors is attached", "check its cable and power")
    if len(found) > 1:
        remedy = f"write the hand's into {path}, such as port: {found[0][0]}"
        raise NotReadyError(f"adapters at {', '.join(ports[0] for ports in found)}", remedy)
    return ", ".join(_usable(port, "check the cable") for port in found[0])


def check_camera() -> str:
    """depthai can be imported and sees a camera; none is opened. Tells their serial numbers.

    Raises:
        NotReadyError: If either is not so.
    """
    depthai = _import("depthai", install_command("oak"))
    found = depthai.Device.getAllAvailableDevices()
    if not found:
        remedy = "check the USB cable and, on Linux, the udev rule in docs/how_to/first_session.md"
        raise NotReadyError("no OAK camera found", remedy)
    numbers = ", ".join(info.deviceId for info in found)
    return f"{len(found)} found ({numbers}), depthai {version('depthai')}"


def check_clock(
    now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> str:
    """How late sleeps of one tick wake up, for a second; without real-time priority.

    Raises:
        NotReadyError: If the 99th percentile is a large part of a tick.
    """
    period_s, late = 1.0 / COMMAND_RATE_HZ, []
    for _ in range(SLEEPS):
        due_s = now() + period_s
        sleep(period_s)
        late.append(now() - due_s)
    p99_s = statistics.quantiles(late, n=100, method="inclusive")[98]
    resolution_ns = 1e9 * time.get_clock_info("monotonic").resolution
    found = f"{1e3 * period_s:.0f} ms sleeps {1e3 * p99_s:.1f} ms late (p99), "
    found += f"resolution {resolution_ns:.0f} ns"
    if p99_s > MAX_LATE_S:
        remedy = "end other programs; allow real-time priority; no power saving of the CPU"
        raise NotReadyError(found, remedy, verdict="slow")
    return found


def check_priority() -> str:
    """The hand's process may run with real-time priority; this one's is as before afterwards.

    Raises:
        NotReadyError: If it may not.
    """
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        os.sched_setscheduler(0, *before)
    except (OSError, AttributeError) as error:
        remedy = (
            f"add '@dialout - rtprio {PRIORITY}' to /etc/security/limits.d/hand.conf, log in again"
        )
        raise NotReadyError("no real-time priority", remedy, verdict="slow") from error
    return f"real-time, {PRIORITY}"


def check_space(folder: Path) -> str:
    """There is room for runs.

    Raises:
        NotReadyError: If there is little.
    """
    place = _existing(folder)
    free_gb = shutil.disk_usage(place).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise NotReadyError(
            f"{free_gb:.1f} GB free in {place}", f"make room for {MIN_FREE_GB:.0f} GB"
        )
    return f"{free_gb:.0f} GB free in {place}"


def check_sync(folder: Path, now: Callable[[], float] = time.monotonic) -> str:
    """How long a megabyte takes until it would survive a power failure.

    Raises:
        NotReadyError: If that is long, or the folder cannot be written to.
    """
    place, took = _existing(folder), []
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for _ in range(SYNCS):
                began_s = now()
                file.seek(0)
                file.write(os.urandom(SYNC_BYTES))
                file.flush()
                os.fsync(file.fileno())
                took.append(now() - began_s)
    except OSError as error:
        raise NotReadyError(
            f"{place} cannot be written to: {error}", "choose another --runs"
        ) from error
    median_s = statistics.median(took)
    found = f"1 MB written and synced in {1e3 * median_s:.0f} ms (median of {SYNCS})"
    if median_s > MAX_SYNC_S:
        raise NotReadyError(found, "keep runs on this computer's own SSD", verdict="slow")
    return found


def read_hand_config(path: Path | None) -> Any:  # noqa: ANN401  # orca_core is not typed
    """What orca_core makes of a hand's `config.yaml`.

    Raises:
        NotReadyError: If none is given, or it is missing or damaged.
    """
    if path is None:
        raise NotReadyError("not given", "--hand_config my_hand/config.yaml")
    if not path.is_file():
        raise NotReadyError(f"there is no {path}", "--hand_config my_hand/config.yaml")
    _import("orca_core", install_command("hand"))
    try:
        config = importlib.import_module("orca_core.hand_config").OrcaHandConfig
        return config.from_config_path(str(path))
    except Exception as error:  # YAML's, its own, or whatever wrong types lead to
        remedy = "restore it, or copy orca_core's and calibrate again"
        raise NotReadyError(f"{path} cannot be read: {_first_line(error)}", remedy) from error


def read_calibration(config: Any) -> Any:  # noqa: ANN401  # orca_core is not typed
    """What orca_core makes of the calibration beside a configuration.

    Raises:
        NotReadyError: If it is missing or damaged.
    """
    beside = Path(config.calibration_path)
    if not beside.is_file():
        raise NotReadyError(f"there is no {beside}", CALIBRATE)
    calibration = importlib.import_module("orca_core.calibration").CalibrationResult
    try:
        return calibration.from_calibration_path(str(beside), list(config.motor_ids))
    except Exception as error:  # YAML's, or whatever wrong types lead to
        raise NotReadyError(f"{beside} cannot be read: {_first_line(error)}", CALIBRATE) from error


def _usable(port: str, remedy: str) -> str:
    if not os.path.exists(port):
        raise NotReadyError(f"there is no {port}", remedy)
    if not stat.S_ISCHR(os.stat(port).st_mode):
        raise NotReadyError(f"{port} is no serial port", remedy)
    if not os.access(port, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG dialout $USER, then log out and in again"
        raise NotReadyError(f"this user may not read and write {port}", remedy)
    return port


def _motor_adapters() -> list[list[str]]:
    """Ports by USB adapter, chosen as orca_core does for "auto", but without opening one."""
    ports = importlib.import_module("serial.tools.list_ports").comports()
    constants = importlib.import_module("orca_core.constants")
    vendors = constants.motor_family_vids() | set(constants.KNOWN_VIDS["oh_board"])
    known = [port for port in ports if port.vid in vendors]
    adapters: dict[object, list[str]] = {}
    for port in known or [port for port in ports if port.vid is not None]:
        adapter = (port.vid, port.pid, port.serial_number or port.device)
        adapters.setdefault(adapter, []).append(port.device)
    return list(adapters.values())


def _import(name: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotReadyError(f"cannot be imported: {error}", remedy) from error


def _existing(folder: Path) -> Path:
    """The folder, or the one it would be made in."""
    folder = folder.absolute()
    return folder if folder.is_dir() else _existing(folder.parent)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
