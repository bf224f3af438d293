"""How pixels move with a pose: what refinement, covariance and filter share.

A pose error is (position, rotation): the cube's centre moves by `delta[:3]` metres and the cube
turns by the vector `delta[3:]` radians, both in the axes of the frame the pose is given in.
OpenCV turns vectors into matrices and back; on single rotations it is ten times faster than SciPy.
"""

import cv2
import numpy as np

Array = np.ndarray

# x @ _CROSS, as (3, 3), is the matrix whose product with d is d x x, for any d.
_CROSS = np.zeros((3, 3, 3))
_CROSS[2, 0, 1] = _CROSS[0, 1, 2] = _CROSS[1, 2, 0] = 1.0
_CROSS -= _CROSS.transpose(0, 2, 1)
_CROSS = _CROSS.reshape(3, 9)


def project_with_jacobian(pose: Array, points_m: Array, intrinsics: Array) -> tuple[Array, Array]:
    """Pixels (n, 2) of points (n, 3), and their derivative (n, 2, 6) by the pose error.

    The pose is a `T_camera_cube` (4, 4), the points are in the cube's frame. `intrinsics` is K
    (3, 3) and may be skewed, as an augmented image's is. Points at or behind the camera's plane
    become NaN: they have no pixel.
    """
    turned = points_m @ pose[:3, :3].T
    in_camera = turned + pose[:3, 3]
    depth = np.where(in_camera[:, 2] > 1e-9, in_camera[:, 2], np.nan)[:, None]
    from_centre = (in_camera[:, :2] / depth) @ intrinsics[:2, :2].T
    by_error = np.empty((len(points_m), 2, 6))
    by_point = by_error[:, :, :3]
    by_point[:, :, :2] = intrinsics[:2, :2]
    by_point[:, :, 2] = -from_centre
    by_point /= depth[:, :, None]
    np.matmul(by_point, (turned @ _CROSS).reshape(-1, 3, 3), out=by_error[:, :, 3:])
    return from_centre + intrinsics[:2, 2], by_error


def rotations(vectors: Array) -> Array:
    """Rotations (n, 3, 3) about vectors (n, 3) by their lengths [rad] (Rodrigues)."""
    angle = np.sqrt((vectors * vectors).sum(axis=1))[:, None, None]
    axis = vectors / np.maximum(angle[:, 0], 1e-12)
    cross = -(axis @ _CROSS).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def move(pose: Array, delta: Array) -> Array:
    """The pose (4, 4) after a pose error (6,)."""
    moved = pose.copy()
    moved[:3, :3] = cv2.Rodrigues(delta[3:])[0] @ pose[:3, :3]
    moved[:3, 3] += delta[:3]
    return moved


def pose_error(pose: Array, reference: Array) -> Array:
    """The pose error (6,) that takes `reference` to `pose`: the inverse of `move`.

    All NaN if one of the rotations is not finite.
    """
    turn = pose[:3, :3] @ reference[:3, :3].T
    if not np.isfinite(turn).all():  # which OpenCV takes for no rotation at all
        return np.full(6, np.nan)
    return np.concatenate([pose[:3, 3] - reference[:3, 3], cv2.Rodrigues(turn)[0][:, 0]])
