"""A ChArUco board before a known camera."""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from perception.calibration.charuco import Board
from perception.geometry import intrinsics, transform

BOARD = Board()
SIZE = (480, 640)
CAMERA = intrinsics((520.0, 515.0), (326.0, 237.0))
PIXELS_PER_SQUARE = 60


def board_image(T_camera_board):
    """A picture (h, w, 3) of the board, in continuous pixels exactly where the camera puts it."""
    picture = BOARD.picture(PIXELS_PER_SQUARE)
    to_metres = np.diag([BOARD.square_m / PIXELS_PER_SQUARE] * 2 + [1.0])
    plane = np.c_[T_camera_board[:3, :2], T_camera_board[:3, 3]]
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel 0 is at its centre
    warp = np.linalg.inv(half) @ CAMERA @ plane @ to_metres @ half
    grey = cv2.warpPerspective(picture, warp, SIZE[::-1], flags=cv2.INTER_AREA, borderValue=128)
    return np.repeat(cv2.GaussianBlur(grey, (3, 3), 0)[..., None], 3, axis=2)


def poses(count, rng):
    """The board in front of the camera, tilted in all directions."""
    centre = np.array([BOARD.columns, BOARD.rows]) * BOARD.square_m / 2
    found = []
    for _ in range(count):
        turn = Rotation.from_rotvec([*rng.uniform(-0.6, 0.6, 2), rng.uniform(-0.5, 0.5)])
        place = [*rng.uniform(-0.01, 0.01, 2), rng.uniform(0.17, 0.22)]
        pose = transform(np.array(place), turn.as_quat())
        pose[:3, 3] -= pose[:3, :3] @ [*centre, 0.0]
        found.append(pose)
    return found
