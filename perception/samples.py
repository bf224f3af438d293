"""One labelled picture, and how it becomes files: `KEY.jpg`, `KEY.id.png`, `KEY.json` in a shard.

The JSON is the schema that other renderers have to write to be trained or evaluated on
(docs/reference/files.md); its version is `SCHEMA`.
"""

import io
import json
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from perception import camera_checks as checks
from perception.cube import NUM_CORNERS
from perception.files import required

SCHEMA = 1
JPEG_QUALITY = 92
BACKGROUND_ID, HAND_ID, CUBE_ID = 0, 1, 2
OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""Visibility of a corner: outside the picture or behind the camera; hidden; seen."""
SILHOUETTE = "silhouette"
"""Name of a note, see `silhouette_of`."""
SUFFIXES = ("jpg", "id.png", "json")


@dataclass
class Sample:
    """A picture with everything the detector and its evaluation need; H, W are its size."""

    key: str
    """Unique within a data set: split, shard and number."""
    image: np.ndarray
    """(H, W, 3) uint8, RGB."""
    ids: np.ndarray
    """(H, W) uint8: `BACKGROUND_ID`, `HAND_ID` or `CUBE_ID`; the latter is the modal mask."""
    camera: np.ndarray
    """K (3, 3), continuous pixels, no distortion."""
    T_camera_cube: np.ndarray
    """(4, 4)."""
    corners_px: np.ndarray
    """(8, 2) projected corners in the order of `cube_corners`, also outside the picture."""
    visibility: np.ndarray
    """(8,) int: `OUTSIDE`, `OCCLUDED` or `VISIBLE`."""
    depth_margin_m: np.ndarray
    """(8,) rendered depth around the corner minus the corner's own; well below 0 is hidden."""
    amodal_box: np.ndarray
    """(4,) x0, y0, x1, y1 of all eight corners, unclipped and without padding."""
    visible_fraction: float
    """Pixels of the cube over the area of its whole silhouette; 1 is not covered by anything."""
    notes: dict = field(default_factory=dict)
    """Plain values: renderer, seed, source of the state, T_camera_hand, joint_pos, ..."""


def silhouette_of(sample: Sample) -> float:
    """Area of the object's silhouette over that of its keypoints' hull, as its renderer noted; for
    a cube they are the same."""
    return float(sample.notes.get(SILHOUETTE, 1.0))


def encode(sample: Sample) -> dict[str, bytes]:
    """File contents by suffix."""
    label = {
        "schema": SCHEMA,
        "key": sample.key,
        "size": [sample.image.shape[1], sample.image.shape[0]],
        "camera": sample.camera.tolist(),
        "T_camera_cube": sample.T_camera_cube.tolist(),
        "corners_px": sample.corners_px.tolist(),
        "visibility": sample.visibility.tolist(),
        "depth_margin_m": sample.depth_margin_m.tolist(),
        "amodal_box": sample.amodal_box.tolist(),
        "visible_fraction": sample.visible_fraction,
        "notes": sample.notes,
    }
    return {
        "jpg": _image_bytes(sample.image, "JPEG", quality=JPEG_QUALITY, subsampling=0),
        "id.png": _image_bytes(sample.ids, "PNG", optimize=True),
        "json": json.dumps(label, allow_nan=False).encode(),
    }


def decode(files: dict[str, bytes], where: str) -> Sample:
    """The sample of file contents by suffix.

    Args:
        files: One entry per `SUFFIXES`.
        where: Named in errors.

    Raises:
        ValueError: If a file is missing or damaged, the schema is another one, or the label holds
            what no picture of a cube can have; names the key.
    """
    image, ids, text = required(files, SUFFIXES, where)
    label = _label(text, where)
    names = ("key", "size", "visibility", "visible_fraction", "notes")
    key, size, visibility, visible_fraction, notes = required(label, names, where)
    required(label, tuple(_SHAPES), where)
    arrays = {
        name: checks.numbers(label[name], shape, f"{where}: {name}")
        for name, shape in _SHAPES.items()
    }
    sample = Sample(
        key=key,
        image=_pixels(image, "RGB", f"{where}: jpg"),
        ids=_pixels(ids, "L", f"{where}: id.png"),
        visibility=checks.numbers(visibility, (NUM_CORNERS,), f"{where}: visibility").astype(int),
        visible_fraction=float(checks.numbers(visible_fraction, (), f"{where}: visible_fraction")),
        notes=notes,
        **arrays,
    )
    _check(sample, checks.picture_size(size, where), where)
    return sample


_SHAPES = {
    "camera": (3, 3),
    "T_camera_cube": (4, 4),
    "corners_px": (NUM_CORNERS, 2),
    "depth_margin_m": (NUM_CORNERS,),
    "amodal_box": (4,),
}


def _check(sample: Sample, size: tuple[int, int], where: str) -> None:
    height_width = (size[1], size[0])
    if sample.image.shape[:2] != height_width or sample.ids.shape != height_width:
        raise ValueError(
            f"{where}: picture {sample.image.shape[:2]} and ids {sample.ids.shape}, "
            f"the label says {height_width}"
        )
    checks.intrinsics(sample.camera, height_width, where)
    checks.rigid(sample.T_camera_cube, f"{where}: T_camera_cube", checks.CUBE_REACH_M)
    for name, values, known in (
        ("visibility", sample.visibility, (OUTSIDE, OCCLUDED, VISIBLE)),
        ("id.png", sample.ids, (BACKGROUND_ID, HAND_ID, CUBE_ID)),
    ):
        if values.max() > max(known) or values.min() < min(known):
            raise ValueError(f"{where}: {name} must be {known}, got {np.unique(values)[:9]}")


def _label(text: bytes, where: str) -> dict:
    try:
        label = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where}: its label is no JSON: {error}") from error
    if not isinstance(label, dict) or label.get("schema") != SCHEMA:
        found = label.get("schema") if isinstance(label, dict) else None
        raise ValueError(f"{where}: schema {found}, this version reads {SCHEMA}")
    return label


def _pixels(content: bytes, mode: str, where: str) -> np.ndarray:
    """A picture in PIL's mode "RGB" or "L"; grey becomes three equal channels."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode == mode:
                return np.array(image)
            if image.mode == "L" and mode == "RGB":
                return np.array(image.convert(mode))
    except (OSError, ValueError) as error:
        raise ValueError(f"{where} is damaged: {error}") from error
    raise ValueError(f"{where} has mode {image.mode}, expected {mode} (8 bits per channel)")


def _image_bytes(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()
