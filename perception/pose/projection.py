"""How pixels move with a pose: what refinement, covariance and filter share.

A pose error is (position, rotation): the cube's centre moves by `delta[:3]` metres and the cube
turns by the vector `delta[3:]` radians, both in the axes of the frame the pose is given in.
"""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

Array = np.ndarray


def project_with_jacobian(pose: Array, points_m: Array, intrinsics: Array) -> tuple[Array, Array]:
    """Pixels (n, 2) of points (n, 3), and their derivative (n, 2, 6) by the pose error.

    The pose is a `T_camera_cube` (4, 4), the points are in the cube's frame. `intrinsics` is K
    (3, 3) and may be skewed, as an augmented image's is. Points at or behind the camera's plane
    become NaN: they have no pixel.
    """
    turned = points_m @ pose[:3, :3].T
    in_camera = turned + pose[:3, 3]
    depth = np.where(in_camera[:, 2] > 1e-9, in_camera[:, 2], np.nan)
    x, y = in_camera[:, 0] / depth, in_camera[:, 1] / depth
    turned_x, turned_y, turned_z = turned.T
    by_error = np.zeros((len(points_m), 2, 6))
    by_error[:, 0, 0] = by_error[:, 1, 1] = 1.0
    by_error[:, 0, 2], by_error[:, 1, 2] = -x, -y
    # The rotation moves a point by delta x turned; the columns above map that motion to pixels.
    by_error[:, 0, 3], by_error[:, 1, 3] = -x * turned_y, -turned_z - y * turned_y
    by_error[:, 0, 4], by_error[:, 1, 4] = turned_z + x * turned_x, y * turned_x
    by_error[:, 0, 5], by_error[:, 1, 5] = -turned_y, turned_x
    by_error /= depth[:, None, None]
    uv = np.stack([x, y], axis=1) @ intrinsics[:2, :2].T + intrinsics[:2, 2]
    return uv, intrinsics[:2, :2] @ by_error


def move(pose: Array, delta: Array) -> Array:
    """The pose (4, 4) after a pose error (6,)."""
    moved = pose.copy()
    moved[:3, :3] = cv2.Rodrigues(delta[3:])[0] @ pose[:3, :3]  # ten times faster than scipy's
    moved[:3, 3] += delta[:3]
    return moved


def pose_error(pose: Array, reference: Array) -> Array:
    """The pose error (6,) that takes `reference` to `pose`: the inverse of `move`."""
    turn = Rotation.from_matrix(pose[:3, :3] @ reference[:3, :3].T)
    return np.concatenate([pose[:3, 3] - reference[:3, 3], turn.as_rotvec()])
