"""A calibrated camera as a file: what `calibrate_camera.py` found and sessions rely on."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from perception import camera_checks as checks
from perception.cameras.oak import OakSettings
from perception.files import read_json, required, write_json

Array = np.ndarray
SETTINGS_FILE = "oak.json"


@dataclass(frozen=True)
class CalibratedRig:
    """A camera and its place."""

    intrinsics: Array
    """K (3, 3), continuous pixels."""
    distortion: tuple[float, ...]
    """OpenCV's coefficients, of what distortion is left in the pictures."""
    size: tuple[int, int]
    """Height and width of the pictures."""
    residual_px: float
    T_hand_camera: Array | None = None
    """(4, 4); None before the board was seen at its known place."""
    spread_m: float | None = None
    """Of the camera's place over the pictures of the board at the hand, if there are several."""
    oak: OakSettings | None = None
    """How the OAK was set when it took the pictures; None: they came from elsewhere."""
    deviations: dict[str, float] | None = None
    """Standard deviations of the calibration's numbers, as in `Calibration`."""


def save_rig(path: Path, rig: CalibratedRig) -> None:
    """Write a calibration as JSON.

    Raises:
        OSError: If it cannot be written.
    """
    content = asdict(rig) | {"intrinsics": rig.intrinsics.tolist(), "T_hand_camera": None}
    if rig.T_hand_camera is not None:
        content["T_hand_camera"] = rig.T_hand_camera.tolist()
    write_json(path, content, indent=1)


def load_rig(path: Path) -> CalibratedRig:
    """Read a calibration.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no JSON, or numbers in it are missing, of another shape or not those of
            a camera below a hand; names the file and the key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no calibration at {path}; scripts/calibrate_camera.py makes one")
    found, where = read_json(path), f"{path}"
    matrix, bent, size, residual_px = required(
        found, ("intrinsics", "distortion", "size", "residual_px"), where
    )
    height_width = checks.picture_size(size, where)
    place, spread_m, oak = (found.get(name) for name in ("T_hand_camera", "spread_m", "oak"))
    reach_m = checks.HAND_REACH_M
    return CalibratedRig(
        checks.intrinsics(matrix, height_width, where),
        checks.distortion(bent, where),
        height_width,
        float(checks.numbers(residual_px, (), f"{where}: residual_px")),
        None if place is None else checks.rigid(place, f"{where}: T_hand_camera", reach_m),
        None if spread_m is None else float(checks.numbers(spread_m, (), f"{where}: spread_m")),
        None if oak is None else _settings(oak, f"{where}: oak"),
        found.get("deviations"),
    )


def save_settings(folder: Path, settings: OakSettings) -> None:
    """Say beside pictures how the camera was set that took them.

    Raises:
        OSError: If it cannot be written.
    """
    write_json(folder / SETTINGS_FILE, asdict(settings))


def load_settings(folder: Path) -> OakSettings | None:
    """How the camera was set that took the pictures of a folder; None if nobody said.

    Raises:
        ValueError: If the file is damaged; names it and the key.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    return _settings(read_json(path), f"{path}")


def _settings(values: object, where: str) -> OakSettings:
    names = [field.name for field in fields(OakSettings)]
    if not isinstance(values, dict):
        raise ValueError(f"{where} must hold the settings of an OAK camera: {', '.join(names)}")
    if unknown := sorted(set(values) - set(names)):
        raise ValueError(f"{where}: {', '.join(unknown)} unknown; an OAK has {', '.join(names)}")
    values = {"device": ""} | values  # files from before there were several cameras lack it
    found = dict(zip(names, required(values, tuple(names), where), strict=True))
    size, device = checks.picture_size(found.pop("size"), where), str(found.pop("device"))
    for name, value in found.items():
        number = float(checks.numbers(value, (), f"{where}: {name}"))
        found[name] = number if name == "rate_hz" else int(number)
    try:
        return OakSettings(size=size, device=device, **found)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
