"""Pinhole cameras and rigid transforms: `T_camera_cube` (4, 4) maps cube to camera."""

import numpy as np
from scipy.spatial.transform import Rotation


def transform(position: np.ndarray, quat: np.ndarray) -> np.ndarray:
    """(4, 4) from a position (3,) [m] and a rotation (4,) xyzw."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(quat).as_matrix()
    matrix[:3, 3] = position
    return matrix


def inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a rigid transform (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = matrix[:3, :3].T
    result[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return result


def intrinsics(focal_px: tuple[float, float], centre_px: tuple[float, float]) -> np.ndarray:
    """K (3, 3) in continuous pixel coordinates: a centred camera has its centre at width / 2."""
    return np.array(
        [[focal_px[0], 0.0, centre_px[0]], [0.0, focal_px[1], centre_px[1]], [0.0, 0.0, 1.0]]
    )


def project(
    points: np.ndarray, camera: np.ndarray, camera_from_points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,) [m] of points (N, 3) [m].

    Args:
        points: In any frame.
        camera: K (3, 3).
        camera_from_points: Transform (4, 4) of that frame to the camera.

    Points with depth <= 0 are behind the camera; their pixels mean nothing.
    """
    seen = points @ camera_from_points[:3, :3].T + camera_from_points[:3, 3]
    depth = seen[:, 2]
    safe = np.where(depth > 1e-9, depth, 1e-9)
    pixels = seen[:, :2] / safe[:, None] * camera[[0, 1], [0, 1]] + camera[:2, 2]
    return pixels, depth


def apply_homography(homography: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) mapped by a homography (3, 3)."""
    mapped = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ homography.T
    return mapped[:, :2] / mapped[:, 2:]


def look_at(eye: np.ndarray, target: np.ndarray, image_up: np.ndarray) -> np.ndarray:
    """T_world_camera (4, 4) of a camera at `eye` that sees `target` in the middle.

    Args:
        eye, target: Positions (3,) [m].
        image_up: Direction (3,) that points up in the image as far as possible.

    Raises:
        ValueError: If the direction of view is parallel to `image_up` or has no length.
    """
    forward = target - eye
    right = np.cross(forward, image_up)
    if np.linalg.norm(right) < 1e-9:
        raise ValueError(f"a camera at {eye} looking at {target} has no up direction {image_up}")
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    matrix[:3, 3] = eye
    return matrix
