"""The whole augmentation of one training sample."""

from dataclasses import replace

import cv2
import numpy as np

from perception.augmentation.config import AugmentConfig
from perception.augmentation.occlude import occlude
from perception.augmentation.photo import photograph
from perception.augmentation.print import reprint
from perception.augmentation.warp import draw_warp, warp
from perception.samples import BACKGROUND_ID, Sample
from perception.synthetic.backgrounds import Backgrounds


class Augmenter:
    """Changes samples at random.

    Args:
        config: How much.
        backgrounds: Of the training split.
    """

    def __init__(self, config: AugmentConfig, backgrounds: Backgrounds) -> None:
        self._config, self._backgrounds = config, backgrounds

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A new sample; the given one is not changed. Same `rng` state, same result."""
        config = self._config
        replaced, warped, occluded = rng.random(3) < (
            config.background_probability,
            config.warp.probability,
            config.occluder.probability,
        )
        size = (sample.ids.shape[1], sample.ids.shape[0])
        background = self._backgrounds.draw(size, rng) if replaced or warped else sample.image
        if replaced:
            sample = replace_background(sample, background)
        if warped:
            sample = warp(sample, draw_warp(config.warp, sample, rng), background)
        sample = reprint(config.print, sample, rng)
        if occluded:
            sample = occlude(config.occluder, sample, rng)
        return replace(sample, image=photograph(config.photo, sample.image, rng))


def replace_background(sample: Sample, background: np.ndarray) -> Sample:
    """The same hand and cube in front of another picture (H, W, 3)."""
    front = (sample.ids != BACKGROUND_ID).astype(np.float32)
    share = np.minimum(cv2.blur(front, (3, 3)), front)[..., None]  # the old outline must not shine
    image = share * sample.image + (1.0 - share) * background
    return replace(sample, image=image.astype(np.uint8))
