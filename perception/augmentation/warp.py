"""Crop, roll and stretch as one homography that is also a change of camera.

The roll turns the picture about the principal point, so it is a roll of the camera; crop and
stretch only change K. The warped sample is therefore an ordinary sample of another camera.
"""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from perception.augmentation.config import WarpConfig
from perception.geometry import apply_homography
from perception.labels import bounding_box, is_inside, visible_fraction
from perception.samples import BACKGROUND_ID, OCCLUDED, OUTSIDE, Sample, silhouette_of


def draw_warp(config: WarpConfig, sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """A homography (3, 3) from old to new pixels.

    The crop is placed so that the cube's box stays in the picture, as far as it fits.
    """
    height, width = sample.ids.shape
    camera = sample.camera
    roll = camera_roll(np.radians(rng.uniform(-config.rotation_deg, config.rotation_deg)))
    rolled = camera @ roll @ np.linalg.inv(camera)
    box = bounding_box(apply_homography(rolled, sample.corners_px))
    kept = rng.uniform(*config.crop)
    stretch = rng.uniform(*config.stretch, 2)
    edges = np.array([width, height]) * kept / stretch
    lowest, highest = box[2:] - edges, box[:2]  # of the crop's first corner, to hold the box
    frame = np.clip([np.zeros(2), np.array([width, height]) - edges], -0.1 * edges, None)
    lowest, highest = np.maximum(lowest, frame[0]), np.minimum(highest, frame[1])
    middle = (lowest + highest) / 2
    first = np.where(lowest < highest, rng.uniform(lowest, np.maximum(highest, lowest)), middle)
    scale = np.array([width, height]) / edges
    zoom = np.array(
        [[scale[0], 0.0, -scale[0] * first[0]], [0.0, scale[1], -scale[1] * first[1]], [0, 0, 1.0]]
    )
    return zoom @ rolled


def camera_roll(angle_rad: float) -> np.ndarray:
    """Rotation (3, 3) about the optical axis."""
    return Rotation.from_euler("z", angle_rad).as_matrix()


def warp(sample: Sample, homography: np.ndarray, fill: np.ndarray) -> Sample:
    """The sample seen by the camera whose pixels are `homography` times the old ones.

    Args:
        sample: Its camera has no skew.
        homography: (3, 3) from old to new continuous pixels: a roll, then scale and shift.
        fill: (H, W, 3) uint8 shown where the old picture does not reach.

    Raises:
        ValueError: If the homography mirrors the picture or is no roll with scale and shift.
    """
    if np.linalg.det(homography) <= 0.0:
        raise ValueError("the homography mirrors the picture; corner labels are chiral")
    camera, roll = _split(homography @ sample.camera)
    size = (sample.ids.shape[1], sample.ids.shape[0])
    indices = _pixel_index(homography)
    image = cv2.warpPerspective(sample.image, indices, size, flags=cv2.INTER_LINEAR)
    ids = cv2.warpPerspective(sample.ids, indices, size, flags=cv2.INTER_NEAREST, borderValue=255)
    outside = cv2.dilate((ids == 255).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    image = np.where(outside[..., None], fill, image)
    ids = np.where(ids == 255, BACKGROUND_ID, ids).astype(np.uint8)
    corners = apply_homography(homography, sample.corners_px)
    inside = is_inside(corners, size)
    seen = np.where(sample.visibility == OUTSIDE, OCCLUDED, sample.visibility)
    turned = np.eye(4)
    turned[:3, :3] = roll
    notes = dict(sample.notes)
    if "T_camera_hand" in notes:
        notes["T_camera_hand"] = (turned @ np.array(notes["T_camera_hand"])).tolist()
    return Sample(
        key=sample.key,
        image=image,
        ids=ids,
        camera=camera,
        T_camera_cube=turned @ sample.T_camera_cube,
        corners_px=corners,
        visibility=np.where(inside, seen, OUTSIDE),
        depth_margin_m=sample.depth_margin_m,
        amodal_box=bounding_box(corners),
        visible_fraction=visible_fraction(ids, corners, silhouette_of(sample)),
        notes=notes,
    )


def _split(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K without skew and a roll (3, 3) whose product is `matrix`."""
    lengths = np.linalg.norm(matrix[:2, :2], axis=1)
    roll = np.eye(3)
    roll[:2, :2] = matrix[:2, :2] / lengths[:, None]
    camera = np.diag([*lengths, 1.0])
    camera[:2, 2] = matrix[:2, 2]
    is_roll = np.allclose(roll @ roll.T, np.eye(3), atol=1e-6)
    if not is_roll or not np.allclose(matrix[2], (0.0, 0.0, 1.0)):
        raise ValueError("the homography is no roll about the principal point, scale and shift")
    return camera, roll


def _pixel_index(homography: np.ndarray) -> np.ndarray:
    """The homography for OpenCV, whose coordinates are 0 at the middle of the first pixel."""
    to_index = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    return to_index @ homography @ np.linalg.inv(to_index)
