"""Draws what the detector saw on top of the image, for people."""

import cv2
import numpy as np

from perception.cube import EDGES
from perception.detector.detector import Detection, paste_mask
from perception.marked import CUBE, MarkedObject
from perception.pose.projection import project_with_jacobian

Array = np.ndarray
FOUND, TRUTH, MASK = (255, 230, 60), (60, 255, 90), (255, 80, 200)
SUBPIXEL_BITS = 4


def draw_cube(
    image: Array,
    pose: Array,
    intrinsics: Array,
    colour: tuple = FOUND,
    marked: MarkedObject = CUBE,
) -> Array:
    """A copy of the image with the cube's edges; those of faces seen from behind are thin.

    Of other objects, the keypoints are joined by straight lines as a cube's corners are.

    Args:
        image: (h, w, 3) uint8 RGB.
        pose: `T_camera_cube` (4, 4).
        intrinsics: K (3, 3).
        colour: RGB.
        marked: What is drawn.
    """
    uv = project_with_jacobian(pose, marked.keypoints(), intrinsics)[0]
    drawn = image.copy()
    if not np.isfinite(uv).all():
        return drawn
    in_front = marked.faces_camera(pose)
    hidden = {edge for edge in EDGES if not in_front[list(edge)].all()}
    for edge in EDGES:
        start, end = (_fixed_point(uv[corner]) for corner in edge)
        thickness = 1 if edge in hidden else 2
        cv2.line(drawn, start, end, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    return drawn


def draw_detection(image: Array, detection: Detection) -> Array:
    """A copy of the image with mask, box and corners; a corner's circle is two deviations wide."""
    drawn = image.copy()
    mask = paste_mask(detection, *image.shape[:2])
    drawn[mask] = (0.75 * drawn[mask] + 0.25 * np.array(MASK)).astype(np.uint8)
    low, high = _fixed_point(detection.box[:2]), _fixed_point(detection.box[2:])
    cv2.rectangle(drawn, low, high, MASK, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    corners = detection.corners
    for uv, covariance in zip(corners.likeliest, corners.covariance[:, 0], strict=True):
        if np.isfinite(uv).all():
            radius = round(2 * np.sqrt(np.linalg.eigvalsh(covariance)[-1]) * 2**SUBPIXEL_BITS)
            cv2.circle(drawn, _fixed_point(uv), radius, FOUND, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    return drawn


def contact_sheet(images: list[Array], columns: int) -> Array:
    """Images of one size side by side, in rows; the last row is filled with black."""
    rows = -(-len(images) // columns)
    blank = [np.zeros_like(images[0])] * (rows * columns - len(images))
    padded = [*images, *blank]
    return np.concatenate(
        [np.concatenate(padded[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    )


def _fixed_point(uv: Array) -> tuple[int, int]:
    """OpenCV draws at pixel centres and takes fractions as integers; far away is far enough."""
    x, y = np.clip((np.asarray(uv, dtype=float) - 0.5) * 2**SUBPIXEL_BITS, -1e6, 1e6)
    return round(float(x)), round(float(y))
