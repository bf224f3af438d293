"""Where the camera is at the hand, from pictures of the board at its known place.

Hand and camera do not move against each other in this task. So no hand-eye equation is needed: the
board is put where its place at the hand is known (a fixture on the palm's mount), and the camera
sees it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from perception.calibration.charuco import BoardView
from perception.camera_checks import HAND_REACH_M, within_reach
from perception.geometry import inverse, transform

Array = np.ndarray
MAX_SPREAD_M = 0.02
"""Of the camera's place over the pictures; more is no noise, but a board or a camera that moved."""


def board_pose(
    view: BoardView, intrinsics: Array, distortion: tuple[float, ...]
) -> tuple[Array, float]:
    """T_camera_board (4, 4) and the root mean square residual [px].

    Args:
        view: Of `find_board`.
        intrinsics: K (3, 3), continuous pixels.
        distortion: OpenCV's coefficients.

    Raises:
        ValueError: If no pose fits the corners.
    """
    matrix = intrinsics.copy()
    matrix[:2, 2] -= 0.5
    coefficients = np.array(distortion, dtype=float)
    uv = np.ascontiguousarray(view.uv - 0.5)
    found, turn, position = cv2.solvePnP(
        view.points_m, uv, matrix, coefficients, flags=cv2.SOLVEPNP_ITERATIVE
    )
    if not found:
        raise ValueError("no pose of the board fits the corners that were found")
    predicted, _ = cv2.projectPoints(view.points_m, turn, position, matrix, coefficients)
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
        ValueError: If there is no picture, the pictures contradict each other, or the camera would
            be farther from the hand than any can be.
    """
    if not len(T_camera_board):
        raise ValueError("the board was not found in any picture of the fixture")
    cameras = np.array([T_hand_board @ inverse(pose) for pose in T_camera_board])
    rotations = Rotation.from_matrix(cameras[:, :3, :3])
    mean = transform(cameras[:, :3, 3].mean(axis=0), rotations.mean().as_quat())
    apart_m = np.linalg.norm(cameras[:, :3, 3] - mean[:3, 3], axis=1)
    apart_rad = (rotations * rotations.mean().inv()).magnitude()
    within_reach(mean[:3, 3], "the camera, by the board's place, is from the hand", HAND_REACH_M)
    found = Mounting(mean, _rms(apart_m), _rms(apart_rad), len(cameras))
    if found.spread_m > MAX_SPREAD_M:
        raise ValueError(
            f"pictures of the fixture put the camera {1e3 * found.spread_m:.0f} mm apart, at most "
            f"{1e3 * MAX_SPREAD_M:.0f} mm can be noise: hold board, hand and camera still"
        )
    return found


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
