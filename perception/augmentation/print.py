"""What light and time do to the cube's print: highlights on a face, colours that fade."""

from dataclasses import replace

import cv2
import numpy as np

from perception.augmentation.config import PrintConfig
from perception.samples import CUBE_ID, Sample

PAPER = 235.0
"""What print fades to, of 255."""


def reprint(config: PrintConfig, sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample with a faded print, a highlight, both or neither; only the cube's pixels change.

    What is off draws no random numbers.
    """
    if max(config.fade_probability, config.glare_probability) <= 0.0:
        return sample
    image = sample.image.astype(np.float32)
    cube = (sample.ids == CUBE_ID).astype(np.float32)[..., None]
    if config.fade_probability > 0.0 and rng.random() < config.fade_probability:
        share = rng.uniform(*config.fade)
        image += cube * share * (PAPER * _brightness(sample) - image)
    if config.glare_probability > 0.0 and rng.random() < config.glare_probability:
        image += cube * _highlight(config, sample, rng)[..., None] * (255.0 - image)
    return replace(sample, image=np.clip(image, 0.0, 255.0).astype(np.uint8))


def _brightness(sample: Sample) -> float:
    """How bright white paper is in this light, as a share: the cube's brightest pixels."""
    seen = sample.image[sample.ids == CUBE_ID]
    return float(np.quantile(seen.max(axis=1), 0.95)) / 255.0 if len(seen) else 1.0


def _highlight(config: PrintConfig, sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """(H, W) how much of each pixel a mirrored lamp hides: a soft-edged quadrilateral."""
    height, width = sample.ids.shape
    low, high = sample.amodal_box[:2], sample.amodal_box[2:]
    edge = float((high - low).mean())
    centre = rng.uniform(low, high)
    angles = rng.uniform(0.0, 2.0 * np.pi) + np.arange(4) * np.pi / 2 + rng.uniform(-0.4, 0.4, 4)
    reach = edge * rng.uniform(*config.glare_size) * rng.uniform(0.6, 1.0, 4)
    corners = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    shape = np.zeros((height, width), dtype=np.float32)
    cv2.fillPoly(shape, [np.round(corners).astype(np.int32)], (1.0,))
    blur = edge * rng.uniform(*config.glare_blur)
    soft = cv2.GaussianBlur(shape, (0, 0), max(blur, 0.3))
    return rng.uniform(*config.glare) * soft
