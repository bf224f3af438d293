"""How a camera sees, from pictures of a board, and how well the pictures determine it.

The standard deviations are computed here, from the derivatives of all projected corners by all
unknowns: the camera's numbers and the board's pose in every picture. OpenCV's
`calibrateCameraExtended` gives some too, but leaves out what the pictures do not determine at all:
of a focal length that it finds at 1021 px where 600 is true, from boards seen from the front only,
it says 0.3 px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from perception.calibration.charuco import BoardView
from perception.cameras.frames import to_continuous

Array = np.ndarray
MIN_PICTURES = 6
SAME_PLACE = 0.005
"""Mean distance of the corners, of the picture's width, below which two pictures count as one."""
MAX_DEVIATION = 0.01
"""Of focal lengths and principal point, of the focal length: 3 mm at a distance of 0.3 m."""
MAX_RESIDUAL = 0.003
"""Of the picture's width; corners of another board fit far worse."""
NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")


@dataclass(frozen=True)
class Calibration:
    """How the camera sees."""

    intrinsics: Array
    """K (3, 3), continuous pixels."""
    distortion: tuple[float, ...]
    """OpenCV's k1, k2, p1, p2 and k3, which is 0."""
    size: tuple[int, int]
    """Height and width of the pictures."""
    residual_px: float
    """Root mean square over all corners."""
    deviations: dict[str, float]
    """Standard deviation of every parameter by its name (`NAMES`), the first four in pixels."""
    turned_deg: float
    """Largest angle between the board's normals in two pictures."""


def calibrate(views: Sequence[BoardView], size: tuple[int, int]) -> Calibration:
    """Intrinsics and distortion from several views of the board at different angles.

    Args:
        views: Of `find_board`.
        size: Height and width of the pictures.

    Raises:
        ValueError: If there are too few different views, the board does not fit them, or they do
            not determine the camera; says how well they would.
    """
    different = distinct(views, SAME_PLACE * size[1])
    if len(different) < MIN_PICTURES:
        raise ValueError(
            f"the board was found in {len(views)} pictures, but at {len(different)} different "
            f"places only; at least {MIN_PICTURES} are needed, each with another place and tilt"
        )
    points = [view.points_m.astype(np.float32) for view in different]
    pixels = [(view.uv - 0.5).astype(np.float32)[:, None] for view in different]
    # k3 only matters in fish eyes; a handful of pictures would fit noise with it.
    residual, matrix, distortion, turns, places = cv2.calibrateCamera(
        points, pixels, size[::-1], None, None, flags=cv2.CALIB_FIX_K3
    )  # type: ignore[call-overload]  # None asks OpenCV to begin by itself
    coefficients = np.ravel(distortion)
    if not np.isfinite(matrix).all() or not np.isfinite(coefficients).all():
        raise ValueError("the pictures do not determine the camera; tilt the board more")
    if residual > MAX_RESIDUAL * size[1]:
        raise ValueError(
            f"the board's corners are off by {residual:.1f} px: columns, rows or pattern are not "
            "those of the print, the board is not flat, or its pictures are blurred"
        )
    found = Calibration(
        to_continuous(matrix),
        tuple(float(value) for value in coefficients),
        size,
        float(residual),
        _deviations(points, pixels, matrix, coefficients, list(zip(turns, places, strict=True))),
        _turned_deg(turns),
    )
    _check_determined(found)
    return found


def distinct(views: Sequence[BoardView], apart_px: float) -> list[BoardView]:
    """The views without those that show the board where an earlier one does."""
    kept: list[BoardView] = []
    for view in views:
        if all(moved_px(view, other) >= apart_px for other in kept):
            kept.append(view)
    return kept


def moved_px(one: BoardView, other: BoardView) -> float:
    """Mean distance of the corners that both show; far if they share none."""
    known = {tuple(point): uv for point, uv in zip(other.points_m.tolist(), other.uv, strict=True)}
    pairs = [
        (uv, known[tuple(point)])
        for point, uv in zip(one.points_m.tolist(), one.uv, strict=True)
        if tuple(point) in known
    ]
    if not pairs:
        return float("inf")
    return float(np.mean([np.linalg.norm(a - b) for a, b in pairs]))


def _check_determined(found: Calibration) -> None:
    """Refuse what the pictures leave open."""
    focal = found.intrinsics[[0, 1], [0, 1]].mean()
    worst = max(NAMES[:4], key=lambda name: found.deviations[name])
    deviation = found.deviations[worst]
    if deviation > MAX_DEVIATION * focal:
        raise ValueError(
            f"the pictures do not determine the camera: {worst} is known to {deviation:.3g} px "
            f"(standard deviation), {MAX_DEVIATION:.0%} of the focal length ({focal:.0f} px) is "
            f"needed. The board was turned by {found.turned_deg:.0f} degrees between them: take "
            "more, with the board tilted by 20 to 40 degrees to all sides, and fill the picture"
        )


def _deviations(
    points: list[Array],
    pixels: list[Array],
    matrix: Array,
    distortion: Array,
    poses: list[tuple[Array, Array]],
) -> dict[str, float]:
    """Standard deviations of the camera's eight numbers, every picture's pose being unknown too."""
    camera_count, pose_count = len(NAMES), 6
    rows, residuals = [], []
    for number, (turn, place) in enumerate(poses):
        projected, slopes = cv2.projectPoints(points[number], turn, place, matrix, distortion)
        row = np.zeros((len(slopes), camera_count + pose_count * len(poses)))
        row[:, :camera_count] = slopes[:, 6 : 6 + camera_count]
        start = camera_count + pose_count * number
        row[:, start : start + pose_count] = slopes[:, :pose_count]
        rows.append(row)
        residuals.append((projected - pixels[number]).ravel())
    slopes, residual = np.concatenate(rows), np.concatenate(residuals)
    scale = np.linalg.norm(slopes, axis=0)
    _, strengths, directions = np.linalg.svd(slopes / scale, full_matrices=False)
    # The floor is where rounding drowns the derivatives: undetermined, so very uncertain.
    strengths = np.maximum(strengths, 1e-12 * strengths[0])
    variance = ((directions / strengths[:, None]) ** 2).sum(axis=0) / scale**2
    noise = residual @ residual / max(len(residual) - slopes.shape[1], 1)
    deviations = np.sqrt(noise * variance[:camera_count])
    return dict(zip(NAMES, deviations.tolist(), strict=True))


def _turned_deg(turns: Sequence[Array]) -> float:
    normals = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    return float(np.degrees(np.arccos(np.clip(normals @ normals.T, -1.0, 1.0)).max()))
