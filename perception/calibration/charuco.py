"""Camera intrinsics and the camera's place at the hand, from pictures of a ChArUco board.

Hand and camera do not move against each other in this task. So no hand-eye equation is needed: the
board is put where its place at the hand is known (a fixture on the palm's mount), and the camera
sees it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from perception.cameras.frames import to_continuous
from perception.geometry import inverse, transform

Array = np.ndarray
MIN_CORNERS = 8
"""Of the board, for a picture to count."""
MIN_PICTURES = 6


@dataclass(frozen=True)
class Board:
    """A ChArUco board; `picture` draws what to print."""

    columns: int = 7
    rows: int = 5
    square_m: float = 0.02
    """Measure it on the print."""
    marker_m: float = 0.015

    def __post_init__(self) -> None:
        if not 0.0 < self.marker_m < self.square_m:
            raise ValueError(
                f"marker ({self.marker_m}) must be smaller than square {self.square_m}"
            )

    @property
    def pattern(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's description; origin at the board's upper left corner, z into the board."""
        markers = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_100)
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, markers)

    def picture(self, pixels_per_square: int = 120) -> Array:
        """(h, w) uint8 of the board without a margin."""
        size = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return self.pattern.generateImage(size, marginSize=0)


@dataclass(frozen=True)
class BoardView:
    """The board's corners found in one picture."""

    points_m: Array
    """(n, 3) on the board."""
    uv: Array
    """(n, 2) continuous pixels."""


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


def find_board(image: Array, board: Board) -> BoardView | None:
    """Corners of the board in a picture (h, w, 3), uint8 RGB; None if too few can be seen."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    pattern = board.pattern
    corners, ids, _, _ = cv2.aruco.CharucoDetector(pattern).detectBoard(grey)
    if ids is None or len(ids) < MIN_CORNERS:
        return None
    points = np.asarray(pattern.getChessboardCorners(), dtype=float)[
        np.asarray(ids, dtype=int).ravel()
    ]
    # OpenCV's first pixel has its centre at 0, ours at 0.5.
    return BoardView(points, np.asarray(corners, dtype=float).reshape(-1, 2) + 0.5)


def calibrate(views: Sequence[BoardView], size: tuple[int, int]) -> Calibration:
    """Intrinsics and distortion from several views of the board at different angles.

    Args:
        views: Of `find_board`.
        size: Height and width of the pictures.

    Raises:
        ValueError: If there are too few views, or they do not determine the camera.
    """
    if len(views) < MIN_PICTURES:
        raise ValueError(
            f"the board was found in {len(views)} pictures, at least {MIN_PICTURES} are needed; "
            "tilt it differently in each and fill the image"
        )
    points = [view.points_m.astype(np.float32) for view in views]
    pixels = [(view.uv - 0.5).astype(np.float32)[:, None] for view in views]
    # k3 only matters in fish eyes; a handful of pictures would fit noise with it.
    residual, matrix, distortion, *_ = cv2.calibrateCamera(
        points, pixels, size[::-1], None, None, flags=cv2.CALIB_FIX_K3
    )  # type: ignore[call-overload]  # None asks OpenCV to begin by itself
    if not np.isfinite(matrix).all() or not np.isfinite(distortion).all():
        raise ValueError("the pictures do not determine the camera; tilt the board more")
    coefficients = tuple(float(value) for value in np.ravel(distortion))
    return Calibration(to_continuous(matrix), coefficients, size, float(residual))


def board_pose(view: BoardView, calibration: Calibration) -> tuple[Array, float]:
    """T_camera_board (4, 4) and the root mean square residual [px].

    Raises:
        ValueError: If no pose fits the corners.
    """
    matrix = calibration.intrinsics.copy()
    matrix[:2, 2] -= 0.5
    distortion = np.array(calibration.distortion)
    uv = np.ascontiguousarray(view.uv - 0.5)
    found, turn, position = cv2.solvePnP(
        view.points_m, uv, matrix, distortion, flags=cv2.SOLVEPNP_ITERATIVE
    )
    if not found:
        raise ValueError("no pose of the board fits the corners that were found")
    predicted, _ = cv2.projectPoints(view.points_m, turn, position, matrix, distortion)
    residual = predicted[:, 0] - uv
    pose = transform(position.ravel(), Rotation.from_rotvec(turn.ravel()).as_quat())
    return pose, float(np.sqrt((residual**2).sum(axis=1).mean()))


@dataclass(frozen=True)
class Mounting:
    """Where the camera is at the hand."""

    T_hand_camera: Array
    """(4, 4)"""
    spread_m: float
    """Root mean square distance of single pictures from the mean."""
    spread_rad: float
    pictures: int


def mounting(T_camera_board: Sequence[Array], T_hand_board: Array) -> Mounting:
    """The camera's place from pictures of the board at its known place; noise averages out.

    Args:
        T_camera_board: One (4, 4) per picture, camera and board at rest.
        T_hand_board: (4, 4) where the fixture holds the board.

    Raises:
        ValueError: If there is no picture.
    """
    if not len(T_camera_board):
        raise ValueError("the board was not found in any picture of the fixture")
    cameras = np.array([T_hand_board @ inverse(pose) for pose in T_camera_board])
    rotations = Rotation.from_matrix(cameras[:, :3, :3])
    mean = transform(cameras[:, :3, 3].mean(axis=0), rotations.mean().as_quat())
    apart_m = np.linalg.norm(cameras[:, :3, 3] - mean[:3, 3], axis=1)
    apart_rad = (rotations * rotations.mean().inv()).magnitude()
    return Mounting(mean, _rms(apart_m), _rms(apart_rad), len(cameras))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
