"""Camera images of many episodes, each kept once, whatever windows they appear in.

Windows and replay handle numbers: the bank puts an image's number in its place before episodes are
cut, and the image back after a batch was drawn.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.episode import Array, Episode

Transform = Callable[[str, Tensor], Tensor]
"""A camera and its images (T, 3, h, w) of bytes, to what is kept of them, (T, ...)."""
MOST_IMAGES = 2**24
"""Numbers of images go through float32, which counts no further without gaps."""


def cameras_of(episode: Episode) -> dict[str, list[int]]:
    """Shape (3, h, w) of each observation group that holds images.

    Raises:
        ValueError: If a group of bytes has another shape.
    """
    found = {}
    for name, value in episode.observation.items():
        if value.ndim == 2 and value.dtype != np.uint8:
            continue
        if value.dtype != np.uint8 or value.ndim != 4 or value.shape[1] != 3:
            raise ValueError(
                f"group {name!r} has shape {value.shape} and {value.dtype}; images must be "
                "(T, 3, h, w) uint8, and other groups (T, F)"
            )
        found[name] = list(value.shape[1:])
    return found


class ImageBank:
    """Keeps the images of some cameras.

    Args:
        cameras: Names of the groups.
        transform: What to keep instead of the images; None: the images themselves, not copied.
    """

    def __init__(self, cameras: Iterable[str], transform: Transform | None = None) -> None:
        self.cameras, self._transform = tuple(cameras), transform
        self._kept: dict[str, list[Tensor]] = {name: [] for name in self.cameras}
        self._first = [0]
        """Number of each episode's first image, and of the next."""

    @property
    def num_bytes(self) -> int:
        """Memory that the bank's images take."""
        return sum(part.nbytes for parts in self._kept.values() for part in parts)

    def take(self, episode: Episode) -> Episode:
        """The episode with numbers (T, 1) where it has images; those are kept here.

        Raises:
            ValueError: If there are more images than can be numbered.
        """
        if not self.cameras:
            return episode
        first, count = self._first[-1], len(episode) + bool(episode.final_observation)
        if first + count > MOST_IMAGES:
            raise ValueError(f"more than {MOST_IMAGES} images per camera cannot be numbered")
        numbers = np.arange(first, first + count, dtype=np.float32)[:, None]
        observation, final = dict(episode.observation), dict(episode.final_observation)
        for name in self.cameras:
            self._keep(name, observation[name], final.get(name))
            observation[name] = numbers[: len(episode)]
            if final:
                final[name] = numbers[-1]
        self._first.append(first + count)
        return replace(episode, observation=observation, final_observation=final)

    def split(self, batch: ChunkBatch) -> ChunkBatch:
        """The batch without cameras."""
        return replace(
            batch,
            observation=self._others(batch.observation),
            next_observation=self._others(batch.next_observation),
        )

    def fill(self, batch: ChunkBatch, numbers: ChunkBatch) -> ChunkBatch:
        """A batch without cameras, with the images (B, ...) of a batch with numbers of them."""
        return replace(
            batch,
            observation=batch.observation | self._images(numbers.observation),
            next_observation=batch.next_observation | self._images(numbers.next_observation),
        )

    def _keep(self, name: str, images: Array, final: Array | None) -> None:
        parts = [images] if final is None else [images, final[None]]
        for part in parts:  # apart, so that images need not be copied
            kept = torch.from_numpy(part)
            self._kept[name].append(self._transform(name, kept) if self._transform else kept)

    def _others(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in observation.items() if name not in self.cameras}

    def _images(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self._look_up(name, observation[name]) for name in self.cameras}

    def _look_up(self, name: str, numbers: Tensor) -> Tensor:
        """Numbers (B, 1) to what is kept under them, (B, ...)."""
        parts = self._kept[name]
        ends = torch.tensor([len(part) for part in parts]).cumsum(0)
        index = numbers[:, 0].long()
        part = torch.searchsorted(ends, index, right=True)
        row = index - (ends - torch.tensor([len(p) for p in parts]))[part]
        return torch.stack([parts[p][r] for p, r in zip(part.tolist(), row.tolist(), strict=True)])
