"""Pastes bars, polygons and patches in front of the cube; mask and visibility follow."""

from dataclasses import replace

import cv2
import numpy as np

from perception.augmentation.config import OccluderConfig
from perception.labels import shows_cube, visible_fraction
from perception.samples import CUBE_ID, HAND_ID, OCCLUDED, VISIBLE, Sample, silhouette_of


def occlude(config: OccluderConfig, sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample with a few occluders, each of which leaves enough of the cube to be seen."""
    for _ in range(rng.integers(config.count[0], config.count[1] + 1)):
        shape = draw_shape(config, sample, rng)
        pasted = paste(sample, shape, texture(sample, rng))
        if pasted.visible_fraction >= config.min_visible_fraction:
            sample = pasted
    return sample


def paste(sample: Sample, shape: np.ndarray, picture: np.ndarray) -> Sample:
    """Put `picture` (H, W, 3) in front wherever `shape` (H, W) is true.

    What is pasted gets the hand's id. A corner stays visible if the cube can still be seen next to
    it, as in `label_corners`.
    """
    image = sample.image.copy()
    soft = cv2.blur(shape.astype(np.float32), (3, 3))[..., None]
    edge = (soft > 0.0) & (soft < 1.0)
    image[shape] = picture[shape]
    mixed = soft * picture + (1.0 - soft) * sample.image
    image = np.where(edge, mixed, image).astype(np.uint8)
    ids = np.where(shape, HAND_ID, sample.ids).astype(np.uint8)
    hidden = (sample.visibility == VISIBLE) & ~shows_cube(sample.corners_px, ids)
    return replace(
        sample,
        image=image,
        ids=ids,
        visibility=np.where(hidden, OCCLUDED, sample.visibility),
        visible_fraction=visible_fraction(ids, sample.corners_px, silhouette_of(sample)),
    )


def draw_shape(config: OccluderConfig, sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """(H, W) bool: a finger-like bar from outside, a polygon, or a rectangle."""
    height, width = sample.ids.shape
    shape = np.zeros((height, width), dtype=np.uint8)
    centre = _centre(config, sample, rng)
    size = rng.uniform(*config.width_px)
    kind = rng.integers(3)
    if kind == 0:
        angle = rng.uniform(0.0, 2.0 * np.pi)
        end = centre + 400.0 * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(shape, _point(centre), _point(end), 1, max(round(size), 1))
        cv2.circle(shape, _point(centre), max(round(size / 2), 1), 1, -1)
    elif kind == 1:
        angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, rng.integers(3, 8)))
        radii = size * rng.uniform(0.4, 1.0, len(angles))
        corners = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
        cv2.fillPoly(shape, [np.round(corners).astype(np.int32)], 1)
    else:
        half = size * rng.uniform(0.3, 1.0, 2)
        cv2.rectangle(shape, _point(centre - half), _point(centre + half), 1, -1)
    return shape.astype(bool)


def texture(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 for occluders: a shaded colour, or another part of the same picture.

    Parts with the cube in them are not used: they would show corners without labels.
    """
    height, width = sample.ids.shape
    if rng.random() < 0.4:
        shift = rng.integers(1, width), rng.integers(1, height)
        moved = np.roll(sample.image, shift, axis=(1, 0))
        from_cube = np.roll(sample.ids, shift, axis=(1, 0)) == CUBE_ID
        return np.where(from_cube[..., None], _shaded(height, width, rng), moved)
    return _shaded(height, width, rng)


def _shaded(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    grey = np.full(3, rng.uniform(10.0, 245.0))
    colour = (grey if rng.random() < 0.5 else rng.uniform(10.0, 245.0, 3)).astype(np.float32)
    angle, waves = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.5, 8.0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y) / width
    shade = 1.0 + rng.uniform(0.0, 0.4) * np.sin(np.float32(2.0 * np.pi * waves) * phase)
    return np.clip(colour * shade[..., None], 0.0, 255.0).astype(np.uint8)


def _centre(config: OccluderConfig, sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """(2,) pixels: within the cube's box, or anywhere."""
    if rng.random() < config.near_cube:
        return rng.uniform(sample.amodal_box[:2], sample.amodal_box[2:])
    height, width = sample.ids.shape
    return rng.uniform((0.0, 0.0), (width, height))


def _point(values: np.ndarray) -> tuple[int, int]:
    return round(float(values[0])), round(float(values[1]))
