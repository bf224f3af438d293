"""One labelled picture, and how it becomes files: `KEY.jpg`, `KEY.id.png`, `KEY.json` in a shard.

The JSON is the schema that other renderers have to write to be trained or evaluated on
(docs/perception.md); its version is `SCHEMA`.
"""

import io
import json
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from perception.cube import NUM_CORNERS

SCHEMA = 1
JPEG_QUALITY = 92
BACKGROUND_ID, HAND_ID, CUBE_ID = 0, 1, 2
OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""Visibility of a corner: outside the picture or behind the camera; hidden; seen."""
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
        ValueError: If a file is missing or damaged, the schema is another one, or shapes differ.
    """
    if missing := [suffix for suffix in SUFFIXES if suffix not in files]:
        raise ValueError(f"{where}: {', '.join(missing)} missing")
    label = json.loads(files["json"])
    if label.get("schema") != SCHEMA:
        raise ValueError(f"{where}: schema {label.get('schema')}, this version reads {SCHEMA}")
    arrays = {name: np.array(label[name], dtype=float) for name in _SHAPES}
    sample = Sample(
        key=label["key"],
        image=np.array(Image.open(io.BytesIO(files["jpg"])).convert("RGB")),
        ids=np.array(Image.open(io.BytesIO(files["id.png"]))),
        visibility=np.array(label["visibility"], dtype=np.int64),
        visible_fraction=float(label["visible_fraction"]),
        notes=label["notes"],
        **arrays,
    )
    _check(sample, tuple(label["size"]), where)
    return sample


_SHAPES = {
    "camera": (3, 3),
    "T_camera_cube": (4, 4),
    "corners_px": (NUM_CORNERS, 2),
    "depth_margin_m": (NUM_CORNERS,),
    "amodal_box": (4,),
}


def _check(sample: Sample, size: tuple[int, int], where: str) -> None:
    height_width = size[::-1]
    if sample.image.shape[:2] != height_width or sample.ids.shape != height_width:
        raise ValueError(
            f"{where}: picture {sample.image.shape[:2]} and ids {sample.ids.shape}, "
            f"the label says {height_width}"
        )
    for name, shape in (_SHAPES | {"visibility": (NUM_CORNERS,)}).items():
        values = getattr(sample, name)
        if values.shape != shape or not np.isfinite(values).all():
            raise ValueError(f"{where}: {name} is not {shape} finite numbers")


def _image_bytes(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()
