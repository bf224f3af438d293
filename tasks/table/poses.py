"""Poses as they are seen from the grip."""

import numpy as np
from scipy.spatial.transform import Rotation


def seen_from(grip: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Poses (N, 7) in the frames of grips (N, 7), w >= 0."""
    frame = Rotation.from_quat(grip[:, 3:])
    position = frame.inv().apply(pose[:, :3] - grip[:, :3])
    turn = (frame.inv() * Rotation.from_quat(pose[:, 3:])).as_quat(canonical=True)
    return np.concatenate([position, turn], axis=1)


def places_seen_from(grip: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points and yaws (N, 4) [m, rad] of what stands upright, in the frames of grips (N, 7).

    Yaws are those about the vertical axis, less that of the grip.
    """
    frame = Rotation.from_quat(grip[:, 3:])
    position = frame.inv().apply(places[:, :3] - grip[:, :3])
    yaw = places[:, 3:] - yaw_of(grip)[:, None]
    return np.concatenate([position, yaw], axis=1)


def yaw_of(poses: np.ndarray) -> np.ndarray:
    """(N,) turn of poses (N, 7) about the vertical axis [rad]."""
    return Rotation.from_quat(poses[:, 3:]).as_euler("ZYX")[:, 0]
