"""A calibrated camera as a file: what `calibrate_camera.py` found and sessions rely on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from perception.cameras.oak import OakSettings

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


def save_rig(path: Path, rig: CalibratedRig) -> None:
    """Write a calibration as JSON."""
    content = asdict(rig) | {"intrinsics": rig.intrinsics.tolist(), "T_hand_camera": None}
    if rig.T_hand_camera is not None:
        content["T_hand_camera"] = rig.T_hand_camera.tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def load_rig(path: Path) -> CalibratedRig:
    """Read a calibration.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or numbers in it are missing, of another shape or not finite.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no calibration at {path}; scripts/calibrate_camera.py makes one")
    try:
        found = json.loads(path.read_text())
        place, oak = found.get("T_hand_camera"), found.get("oak")
        height, width = found["size"]
        return CalibratedRig(
            _array(found["intrinsics"], (3, 3)),
            tuple(_array(found["distortion"], (len(found["distortion"]),)).tolist()),
            (int(height), int(width)),
            float(found["residual_px"]),
            None if place is None else _array(place, (4, 4)),
            found.get("spread_m"),
            None if oak is None else _settings(oak),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no calibration of a camera: {error!r}") from error


def save_settings(folder: Path, settings: OakSettings) -> None:
    """Say beside pictures how the camera was set that took them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS_FILE).write_text(json.dumps(asdict(settings)) + "\n")


def load_settings(folder: Path) -> OakSettings | None:
    """How the camera was set that took the pictures of a folder; None if nobody said.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        return _settings(json.loads(path.read_text()))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no settings of an OAK camera: {error!r}") from error


def _settings(values: dict) -> OakSettings:
    height, width = values["size"]
    return OakSettings(**values | {"size": (int(height), int(width))})


def _array(values: object, shape: tuple[int, ...]) -> Array:
    array = np.array(values, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers {shape}, got {values}")
    return array
