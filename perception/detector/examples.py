"""From labelled samples to what the network is trained on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from perception.detector.detector import padded_box
from perception.samples import CUBE_ID, OUTSIDE, Sample

Example = tuple[Tensor, dict[str, Tensor]]
"""An image (3, h, w) uint8 and torchvision's target dictionary."""
Augment = Callable[[Sample, np.random.Generator], Sample]


class Samples(Protocol):
    """Labelled images by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Sample: ...


MIN_VISIBLE = 0.1
"""Cubes of which less can be seen are not asked for: nobody could say where they are."""
MIN_INSIDE = 0.4
"""The same for the part of the cube's box that lies in the image."""


def to_example(sample: Sample, box_padding: float) -> Example:
    """The target has one box, the one of all eight corners, or none.

    Hidden corners count like visible ones, because pose needs them; corners outside the image do
    not. The mask is what can be seen.
    """
    image = torch.from_numpy(np.ascontiguousarray(sample.image)).permute(2, 0, 1)
    height, width = sample.ids.shape
    box = padded_box(sample.corners_px, box_padding)
    limits = np.array([width, height, width, height])
    inside = np.clip(box, 0.0, limits)
    part = _area(inside) / max(_area(box), 1e-9)
    keep = slice(0, int(sample.visible_fraction >= MIN_VISIBLE and part >= MIN_INSIDE))
    keypoints = np.concatenate([sample.corners_px, (sample.visibility != OUTSIDE)[:, None]], axis=1)
    target = {
        "boxes": torch.from_numpy(inside[None][keep]).float(),
        "labels": torch.ones(1, dtype=torch.int64)[keep],
        "masks": torch.from_numpy((sample.ids == CUBE_ID)[None][keep].astype(np.uint8)),
        "keypoints": torch.from_numpy(keypoints[None][keep]).float(),
    }
    return image, target


def crop(sample: Sample, height: int, width: int, rng: np.random.Generator) -> Sample:
    """A window of the image that contains the cube's centre, at a random place in it.

    Raises:
        ValueError: If the window is larger than the image.
    """
    rows, columns = sample.ids.shape
    if height > rows or width > columns:
        raise ValueError(
            f"window {height} x {width} does not fit in an image of {rows} x {columns} px: are all "
            "images of the data set of one size?"
        )
    centre = sample.corners_px.mean(axis=0)
    left = _window_start(centre[0], width, columns, rng)
    top = _window_start(centre[1], height, rows, rng)
    window = np.s_[top : top + height, left : left + width]
    shift = np.array([left, top], dtype=float)
    camera = sample.camera.copy()
    camera[:2, 2] -= shift
    corners = sample.corners_px - shift
    outside = ((corners < 0) | (corners > [width, height])).any(axis=1)
    return replace(
        sample,
        image=sample.image[window],
        ids=sample.ids[window],
        camera=camera,
        corners_px=corners,
        visibility=np.where(outside, OUTSIDE, sample.visibility),
        amodal_box=sample.amodal_box - np.tile(shift, 2),
    )


class TrainingBatches(Dataset):
    """Batches by step: item `step` is the same whoever asks, so training can stop anywhere.

    Args:
        samples: The training images.
        augment: Applied to every sample.
        box_padding: See `DetectorConfig`.
        batch_size: Images per step and process.
        steps: Batches there are.
        seed: Of order and augmentation.
        window: Height and width of the part of each image to train on; None takes all of it.
        rank: This process, of `world` processes that share the images.
        world: Number of processes.
    """

    def __init__(
        self,
        samples: Samples,
        augment: Augment,
        *,
        box_padding: float,
        batch_size: int,
        steps: int,
        seed: int,
        window: tuple[int, int] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(samples) == 0:
            raise ValueError("there are no images to train on")
        self._samples, self._augment, self._box_padding = samples, augment, box_padding
        self._batch_size, self._steps, self._seed = batch_size, steps, seed
        self._window, self._rank, self._world = window, rank, world
        self._epoch, self._order = -1, np.zeros(0, dtype=int)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> list[Example]:
        first = (step * self._world + self._rank) * self._batch_size
        return [self._example(first + offset) for offset in range(self._batch_size)]

    def _example(self, position: int) -> Example:
        rng = np.random.default_rng((self._seed, position))
        sample = self._samples[self._index(position)]
        if self._window is not None:  # first, because augmentation costs by the pixel
            sample = crop(sample, *self._window, rng)
        return to_example(self._augment(sample, rng), self._box_padding)

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, len(self._samples))
        if epoch != self._epoch:
            shuffle = np.random.default_rng((self._seed, epoch, 1))
            self._epoch, self._order = epoch, shuffle.permutation(len(self._samples))
        return int(self._order[place])


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _window_start(centre: float, length: int, available: int, rng: np.random.Generator) -> int:
    """First pixel of a window of `length` around `centre`, the cube some way off its edges."""
    margin = 0.2 * length
    low = np.clip(centre - length + margin, 0, available - length)
    high = np.clip(centre - margin, 0, available - length)
    return int(rng.integers(int(low), int(high) + 1))
