"""Does the picture show the cube's print where a pose puts it?

Points on the faces are looked up in the picture and compared with what is printed there. It costs a
fraction of a millisecond and needs no network, so it judges every pose, whatever made it.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from perception.cube import FACES
from perception.cube_art import BORDER, face_picture
from perception.marked import CUBE, MarkedObject

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
    everywhere: float
    """The mean over all faces in sight, each as much as its points in the picture; NaN as above."""
    mirrored: float
    """Correlation of the face that fits best with the mirror images of its print; NaN as above."""
    colours: float
    """How much of the print's red-against-blue there is: about 0.8, 0 if the picture is grey, below
    0 if red and blue are swapped; NaN if the faces in sight have none."""


def appearance(
    image: Array, pixels: Array, faces: Array, marked: MarkedObject = CUBE
) -> Appearance:
    """Compare a picture with the print.

    Args:
        image: (h, w, 3) uint8 RGB.
        pixels: (F * P, 2) where the points of `points_in_sight` are in it.
        faces: (F,) as it gave.
        marked: What is seen.
    """
    print_ = _printed(marked)
    height, width = image.shape[:2]
    column, row = pixels[:, 0], pixels[:, 1]
    inside = (column >= 0.0) & (row >= 0.0) & (column < width) & (row < height)
    at = np.where(inside, row, 0.0).astype(int) * width + np.where(inside, column, 0.0).astype(int)
    seen = image.reshape(-1, 3)[at] * (1.0 / 255.0)
    brightness = seen[:, 0] + seen[:, 1] + seen[:, 2]
    shape = len(faces), _PER_FACE
    inside = inside.reshape(shape)
    against = ((seen[:, 0] - seen[:, 2]) / (brightness + _DARKEST)).reshape(shape)
    return Appearance(
        *_correlations(brightness.reshape(shape), print_.brightness[faces], inside),
        _share_of_colour(against, print_.red_against_blue[faces], inside & print_.coloured[faces]),
    )


def points_in_sight(T_camera_cube: Array, marked: MarkedObject = CUBE) -> tuple[Array, Array]:
    """Points (n, 3) in the camera's frame [m] on the faces that it sees, and these faces (F,).

    Points of a curved face that are turned away are NaN.
    """
    print_ = _printed(marked)
    normals = print_.normals @ T_camera_cube[:3, :3].T
    centres = print_.centres_m @ T_camera_cube[:3, :3].T + T_camera_cube[:3, 3]
    facing = -(normals * centres).sum(axis=1) / np.linalg.norm(centres, axis=1)
    faces = np.flatnonzero(facing > FACING)
    points = print_.points_m[faces].reshape(-1, 3)
    points = points @ T_camera_cube[:3, :3].T + T_camera_cube[:3, 3]
    if marked.shape != "cube":
        turned = print_.point_normals[faces].reshape(-1, 3) @ T_camera_cube[:3, :3].T
        away = -(turned * points).sum(axis=1) <= FACING * np.linalg.norm(points, axis=1)
        points[away] = np.nan
    return points, faces


@dataclass(frozen=True)
class _Print:
    """What is printed at a grid of P points on every face."""

    points_m: Array
    """(6, P, 3) in the cube's frame."""
    brightness: Array
    """(6, P) sum of the channels, 0 to 3."""
    red_against_blue: Array
    """(6, P) -1 to 1, whatever the brightness."""
    coloured: Array
    """(6, P) bool: no glyph."""
    normals: Array
    """(6, 3) in the cube's frame, in the middle of each face."""
    centres_m: Array
    """(6, 3)."""
    point_normals: Array
    """(6, P, 3)."""


_PER_FACE = POINTS_PER_EDGE**2


@cache
def _printed(marked: MarkedObject) -> _Print:
    inner = BORDER + 0.02  # clear of the border
    along = inner + (1.0 - 2.0 * inner) * (np.arange(POINTS_PER_EDGE) + 0.5) / POINTS_PER_EDGE
    right, up = (grid.ravel() for grid in np.meshgrid(along, along))
    row, column = (TILE_PX * (1.0 - up)).astype(int), (TILE_PX * right).astype(int)
    points, turned, colours, middle = [], [], [], np.zeros(1)
    for face in FACES:
        points_m, point_normals = marked.surface(face, 2.0 * right - 1.0, 2.0 * up - 1.0)
        points.append(points_m)
        turned.append(point_normals)
        picture = cv2.GaussianBlur(face_picture(face, TILE_PX) / 255.0, (0, 0), 2.0)
        colours.append(picture[row, column])
    known = np.array(colours)
    brightness = known.sum(axis=2)
    against = (known[..., 0] - known[..., 2]) / (brightness + _DARKEST)
    middles = [marked.surface(face, middle, middle) for face in FACES]
    centres, normals = (np.concatenate(parts) for parts in zip(*middles, strict=True))
    coloured = brightness > BRIGHT
    points, turned = np.array(points), np.array(turned)
    return _Print(points, brightness, against, coloured, normals, centres, turned)


def _correlations(seen: Array, known: Array, inside: Array) -> tuple[float, float, float]:
    """The largest of the faces' correlations, their mean, and that of the best face with the mirror
    images of its print; arrays are (F, P)."""
    count = inside.sum(axis=1)
    enough = count >= ENOUGH * _PER_FACE
    if not enough.any():
        return float("nan"), float("nan"), float("nan")
    of_each = np.where(enough, _correlation(seen, known, inside), -np.inf)
    best = int(of_each.argmax())
    grid = known[best].reshape(POINTS_PER_EDGE, POINTS_PER_EDGE)
    images = np.stack([grid[::-1], grid[:, ::-1], grid.T, grid[::-1, ::-1].T]).reshape(4, -1)
    mirrored = _correlation(seen[best][None], images, inside[best][None]).max()
    mean = np.average(of_each[enough], weights=count[enough])
    return float(of_each[best]), float(mean), float(mirrored)


def _correlation(seen: Array, known: Array, inside: Array) -> Array:
    """(F,) correlations over the points that are inside; arrays are (F, P) or (1, P)."""
    share = inside / np.maximum(inside.sum(axis=1), 1)[:, None]
    a = seen - (seen * share).sum(axis=1)[:, None]
    b = known - (known * share).sum(axis=1)[:, None]
    spread = (share * a * a).sum(axis=1) * (share * b * b).sum(axis=1)
    return (share * a * b).sum(axis=1) / np.sqrt(spread + 1e-12)


def _share_of_colour(seen: Array, known: Array, counts: Array) -> float:
    """The part of the print's red-against-blue that is seen; arrays are (F, P)."""
    count = int(counts.sum())
    strength = float((known * known * counts).sum())
    if count < ENOUGH * _PER_FACE or strength <= COLOURED * count:
        return float("nan")
    return float((seen * known * counts).sum()) / strength
