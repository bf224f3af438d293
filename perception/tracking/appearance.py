"""Does the picture show the cube's print where a pose puts it?

Points on the faces are looked up in the picture and compared with what is printed there. It costs a
fraction of a millisecond and needs no network, so it judges every pose, whatever made it.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from perception.cube import CUBE_SIZE_M, FACES
from perception.cube_art import BORDER, face_picture

Array = np.ndarray
POINTS_PER_EDGE = 10
TILE_PX = 64
FACING = 0.3
"""Faces are looked at whose normal is within 73 degrees of the line of sight (cosine)."""
ENOUGH = 0.3
"""Part of a face's points that must lie in the picture."""
COLOURED = 0.01
"""Least mean squared red-against-blue of the print in sight that says anything about colours: a
green or white face looks alike in RGB and BGR."""
BRIGHT = 0.9
"""Sum of the channels, 0 to 3, above which a point of the print is coloured and no glyph."""
_DARKEST = 0.05


@dataclass(frozen=True)
class Appearance:
    """How well picture and print agree at a pose."""

    glyphs: float
    """Correlation of the brightness of the face that fits best, -1 to 1; NaN if no face is in the
    picture. The dark border does not count: every face has it."""
    colours: float
    """How much of the print's red-against-blue there is: about 0.8, 0 if the picture is grey, below
    0 if red and blue are swapped; NaN if the faces in sight have none."""


def appearance(image: Array, pixels: Array, faces: Array) -> Appearance:
    """Compare a picture with the print.

    Args:
        image: (h, w, 3) uint8 RGB.
        pixels: (n, 2) where the points of `points_in_sight` are in it.
        faces: (n,) as it gave.
    """
    print_ = _printed()
    inside = (pixels >= 0.0).all(axis=1) & (pixels < image.shape[1::-1]).all(axis=1)
    columns, rows = pixels[inside].astype(int).T
    seen = image[rows, columns].astype(float) / 255.0
    known = print_.colours[faces].reshape(-1, 3)[inside]
    return Appearance(
        _best_correlation(seen.sum(axis=1), known.sum(axis=1), np.repeat(faces, _PER_FACE)[inside]),
        _share_of_colour(seen, known),
    )


def points_in_sight(T_camera_cube: Array) -> tuple[Array, Array]:
    """Points (n, 3) in the camera's frame [m] on the faces that it sees, and these faces (F,)."""
    print_ = _printed()
    normals = print_.normals @ T_camera_cube[:3, :3].T
    centres = normals * (CUBE_SIZE_M / 2.0) + T_camera_cube[:3, 3]
    facing = -(normals * centres).sum(axis=1) / np.linalg.norm(centres, axis=1)
    faces = np.flatnonzero(facing > FACING)
    points = print_.points_m[faces].reshape(-1, 3)
    return points @ T_camera_cube[:3, :3].T + T_camera_cube[:3, 3], faces


@dataclass(frozen=True)
class _Print:
    """What is printed at a grid of points on every face."""

    points_m: Array
    """(6, P, 3) in the cube's frame."""
    colours: Array
    """(6, P, 3) RGB, 0 to 1."""
    normals: Array
    """(6, 3) in the cube's frame."""


_PER_FACE = POINTS_PER_EDGE**2


@cache
def _printed() -> _Print:
    inner = BORDER + 0.02  # clear of the border
    along = inner + (1.0 - 2.0 * inner) * (np.arange(POINTS_PER_EDGE) + 0.5) / POINTS_PER_EDGE
    right, up = (grid.ravel() for grid in np.meshgrid(along, along))
    points, colours = [], []
    for face in FACES:
        on_face = np.stack([right - 0.5, up - 0.5, np.full(_PER_FACE, 0.5)], axis=1)
        points.append(CUBE_SIZE_M * on_face @ face.axes.T)
        picture = cv2.GaussianBlur(face_picture(face, TILE_PX).astype(float) / 255.0, (0, 0), 2.0)
        row, column = (TILE_PX * (1.0 - up)).astype(int), (TILE_PX * right).astype(int)
        colours.append(picture[row, column])
    normals = np.stack([face.axes[:, 2] for face in FACES])
    return _Print(np.array(points), np.array(colours), normals)


def _best_correlation(seen: Array, known: Array, face: Array) -> float:
    best = float("nan")
    for number in np.unique(face):
        here = face == number
        if here.sum() < ENOUGH * _PER_FACE:
            continue
        a, b = seen[here] - seen[here].mean(), known[here] - known[here].mean()
        best = np.fmax(best, (a @ b) / np.sqrt((a @ a) * (b @ b) + 1e-9))
    return float(best)


def _share_of_colour(seen: Array, known: Array) -> float:
    bright = known.sum(axis=1) > BRIGHT
    if bright.sum() < ENOUGH * _PER_FACE:
        return float("nan")
    found, printed = _red_against_blue(seen[bright]), _red_against_blue(known[bright])
    strength = float((printed * printed).mean())
    return float((found * printed).mean()) / strength if strength > COLOURED else float("nan")


def _red_against_blue(colours: Array) -> Array:
    """(n,) -1 to 1, whatever the brightness."""
    return (colours[:, 0] - colours[:, 2]) / (colours.sum(axis=1) + _DARKEST)
