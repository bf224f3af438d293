"""Labels by projection: corners, their visibility from a depth test, boxes, visible fraction."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from perception.geometry import project
from perception.marked import CUBE, MarkedObject
from perception.samples import CUBE_ID, OCCLUDED, OUTSIDE, VISIBLE

DEPTH_TOLERANCE_M = 0.004
"""A corner is seen if the cube is drawn at its depth; the tolerance allows for slanted faces."""
WINDOW = 1
"""Pixels around a corner's pixel that the depth test looks at: a corner lies on the outline, so
its own pixel often shows the background."""


@dataclass(frozen=True)
class CornerLabels:
    """What `Sample` stores about the corners; see there."""

    corners_px: np.ndarray
    visibility: np.ndarray
    depth_margin_m: np.ndarray
    amodal_box: np.ndarray
    visible_fraction: float


def label_corners(
    camera: np.ndarray,
    T_camera_cube: np.ndarray,
    depth_m: np.ndarray,
    ids: np.ndarray,
    marked: MarkedObject = CUBE,
) -> CornerLabels:
    """Labels of one picture.

    Args:
        camera: K (3, 3).
        T_camera_cube: Pose (4, 4) of the cube.
        depth_m: (H, W) distance along the optical axis; far away where there is nothing.
        ids: (H, W) as in `Sample`.
        marked: The object, whose keypoints are the corners.

    Raises:
        ValueError: If the cube's centre is behind the camera.
    """
    if T_camera_cube[2, 3] <= 0.0:
        raise ValueError(f"the cube is behind the camera: z = {T_camera_cube[2, 3]:.3f} m")
    corners = marked.keypoints()
    pixels, corner_depth = project(corners, camera, T_camera_cube)
    height, width = ids.shape
    margin = depth_margin(pixels, corner_depth, depth_m, ids)
    seen = marked.faces_camera(T_camera_cube) & (np.abs(margin) < DEPTH_TOLERANCE_M)
    inside = is_inside(pixels, (width, height)) & (corner_depth > 0.0)
    return CornerLabels(
        corners_px=pixels,
        visibility=np.where(inside, np.where(seen, VISIBLE, OCCLUDED), OUTSIDE),
        depth_margin_m=margin,
        amodal_box=bounding_box(pixels),
        visible_fraction=visible_fraction(ids, pixels, silhouette(camera, T_camera_cube, marked)),
    )


def is_inside(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: pixels (N, 2) within a picture of width and height `size`."""
    return ((pixels >= 0.0) & (pixels < np.array(size))).all(axis=1)


def bounding_box(pixels: np.ndarray) -> np.ndarray:
    """(4,) x0, y0, x1, y1 around pixels (N, 2)."""
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def depth_margin(
    pixels: np.ndarray, corner_depth: np.ndarray, depth_m: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """(8,) drawn depth at each corner minus the corner's own [m]: about 0 where it is seen.

    Of the cube's pixels in the window around the corner, the one closest in depth counts. Where the
    window shows no cube, it is the nearest pixel of whatever covers it. At most 1 m; outside the
    picture the pixels at its edge count, and the visibility says so.
    """
    place = _window(pixels, ids.shape)
    margins = depth_m[place].reshape(-1, 9) - corner_depth[:, None]
    is_cube = (ids[place] == CUBE_ID).reshape(-1, 9)
    best = np.where(is_cube, np.abs(margins), np.inf).argmin(axis=1)
    of_cube = margins[np.arange(len(margins)), best]
    return np.minimum(np.where(is_cube.any(axis=1), of_cube, margins.min(axis=1)), 1.0)


def shows_cube(pixels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(8,) bool: whether any pixel in the window around each corner is the cube's."""
    return (ids[_window(pixels, ids.shape)] == CUBE_ID).any(axis=(1, 2))


def visible_fraction(ids: np.ndarray, pixels: np.ndarray, silhouette: float = 1.0) -> float:
    """Cube pixels over the area of its silhouette, at most 1.

    The silhouette is the whole one, so what is outside the picture counts as hidden.

    Args:
        ids: (H, W) as in `Sample`.
        pixels: (8, 2) keypoints.
        silhouette: Its area over that of the keypoints' convex hull; 1 for a cube.
    """
    area = silhouette * ConvexHull(pixels).volume  # of a polygon, SciPy calls the area volume
    return float(min((ids == CUBE_ID).sum() / area, 1.0))


def silhouette(camera: np.ndarray, T_camera_cube: np.ndarray, marked: MarkedObject) -> float:
    """Area of an object's silhouette over that of its keypoints' convex hull."""
    if marked.shape == "cube":
        return 1.0
    hulls = (
        ConvexHull(project(points, camera, T_camera_cube)[0]).volume
        for points in (marked.outline(), marked.keypoints())
    )
    return float(next(hulls) / next(hulls))


def _window(pixels: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (8, 3, 3) of the pixels around each corner, kept within the picture."""
    step = np.arange(-WINDOW, WINDOW + 1)
    rows = np.floor(pixels[:, 1]).astype(int)[:, None, None] + step[:, None]
    columns = np.floor(pixels[:, 0]).astype(int)[:, None, None] + step[None, :]
    rows, columns = np.broadcast_arrays(rows, columns)
    return np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1)
