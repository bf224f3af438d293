"""Labelled samples without a renderer, for tests."""

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from perception.cube import cube_corners
from perception.geometry import intrinsics, project, transform
from perception.labels import bounding_box, label_corners
from perception.samples import CUBE_ID, HAND_ID, Sample

SIZE = (320, 240)


def silhouette(corners_px: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: pixels whose centre lies within the corners' convex hull."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    planes = ConvexHull(corners_px).equations
    return (
        (planes[:, :2] @ np.stack([x.ravel(), y.ravel()]) + planes[:, 2:] < 0.0)
        .all(axis=0)
        .reshape(height, width)
    )


def fake_sample(seed: int = 0, covered: float = 0.0, size: tuple[int, int] = SIZE) -> Sample:
    """A labelled cube, drawn as its silhouette over noise, partly covered from the left."""
    rng = np.random.default_rng(seed)
    camera = intrinsics((rng.uniform(240, 300), rng.uniform(240, 300)), (163.2, 118.7))
    pose = transform(
        np.array([*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.25, 0.33)]),
        Rotation.random(rng=rng).as_quat(),
    )
    corners, depth = project(cube_corners(), camera, pose)
    mask = silhouette(corners, size)
    ids = np.where(mask, CUBE_ID, 0).astype(np.uint8)
    box = bounding_box(corners)
    edge = int(box[0] + covered * (box[2] - box[0]))
    if covered:
        ids[:, :edge] = HAND_ID
    image = rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    image[ids == CUBE_ID] = (220, 180, 40)
    drawn = np.where(ids == CUBE_ID, depth.min(), 10.0)
    drawn[ids == HAND_ID] = 0.1
    labels = label_corners(camera, pose, drawn, ids)
    notes = {"T_camera_hand": np.eye(4).tolist(), "source": "test"}
    return Sample(f"test-{seed:06d}", image, ids, camera, pose, notes=notes, **vars(labels))
