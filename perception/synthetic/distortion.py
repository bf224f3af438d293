"""A lens whose distortion the camera's model does not know: pictures and labels move with it."""

from dataclasses import replace

import cv2
import numpy as np

from perception.labels import bounding_box
from perception.samples import Sample


def distorted_points(pixels: np.ndarray, camera: np.ndarray, k1: float) -> np.ndarray:
    """Where a lens with radial distortion `k1` shows pixels (N, 2) of a pinhole camera K (3, 3)."""
    focal, centre = camera[[0, 1], [0, 1]], camera[:2, 2]
    ray = (pixels - centre) / focal
    return ray * (1.0 + k1 * (ray**2).sum(axis=1, keepdims=True)) * focal + centre


def distorted_picture(
    picture: np.ndarray, camera: np.ndarray, k1: float, *, smooth: bool = True
) -> np.ndarray:
    """A pinhole's picture (H, W, ...) as the lens shows it; what it did not see is repeated.

    Args:
        picture: Of any type that OpenCV knows.
        camera: K (3, 3), continuous pixels.
        k1: Radial distortion.
        smooth: Interpolate; false for numbers that name things.
    """
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    target = np.stack([x, y], axis=-1).reshape(-1, 2)
    source = target.copy()
    for _ in range(20):  # the inverse, by iteration
        source += target - distorted_points(source, camera, k1)
    place = (source - 0.5).reshape(height, width, 2).astype(np.float32)
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return cv2.remap(picture, place, None, how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]  # None is allowed


def distorted(sample: Sample, k1: float) -> Sample:
    """A pinhole's sample as the lens shows it; K and the pose stay, and no longer fit exactly."""
    corners = distorted_points(sample.corners_px, sample.camera, k1)
    return replace(
        sample,
        image=distorted_picture(sample.image, sample.camera, k1),
        ids=distorted_picture(sample.ids, sample.camera, k1, smooth=False),
        corners_px=corners,
        amodal_box=bounding_box(corners),
    )
