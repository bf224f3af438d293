"""Many samples with their labels in one picture, for people to look at."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from perception.augmentation.augment import Augmenter
from perception.augmentation.config import AugmentConfig
from perception.cube import EDGES
from perception.samples import CUBE_ID, OCCLUDED, OUTSIDE, VISIBLE, Sample
from perception.shards import ShardDataset
from perception.synthetic.backgrounds import Backgrounds

SHEET = 30
"""Samples on a sheet of a data set."""

COLOURS = {OUTSIDE: (150, 150, 150), OCCLUDED: (255, 60, 60), VISIBLE: (60, 255, 60)}
"""RGB of a corner by its visibility."""


def annotated(sample: Sample, scale: int = 2) -> np.ndarray:
    """(scale * H, scale * W, 3) uint8: edges, corners by visibility, mask outline, amodal box."""
    height, width = sample.ids.shape
    image = cv2.resize(sample.image, (scale * width, scale * height))
    mask = cv2.resize((sample.ids == CUBE_ID).astype(np.uint8), (scale * width, scale * height))
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outline, -1, (255, 255, 255), 1)
    corners = _fixed_point(scale * sample.corners_px)
    for first, second in EDGES:
        ends = corners[first], corners[second]
        cv2.line(image, *ends, (70, 200, 255), 1, cv2.LINE_AA, _SHIFT)
    box = _fixed_point(scale * sample.amodal_box.reshape(2, 2))
    cv2.rectangle(image, box[0], box[1], (255, 200, 0), 1, cv2.LINE_AA, _SHIFT)
    for number, corner in enumerate(corners):
        colour = COLOURS[int(sample.visibility[number])]
        cv2.circle(image, corner, 3 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        place = (corner[0] >> _SHIFT, corner[1] >> _SHIFT)
        cv2.putText(image, str(number), place, cv2.FONT_HERSHEY_PLAIN, 0.8, colour, 1)
    text = f"{sample.visible_fraction:.2f} {sample.notes.get('source', '')}"
    cv2.putText(image, text, (4, 12), cv2.FONT_HERSHEY_PLAIN, 0.9, (255, 255, 255), 1)
    return image


def contact_sheet(samples: Sequence[Sample], columns: int = 5, scale: int = 2) -> np.ndarray:
    """Annotated samples in rows; all of one size.

    Raises:
        ValueError: If there are none, or their sizes differ.
    """
    sizes = {sample.image.shape for sample in samples}
    if len(sizes) != 1:
        raise ValueError(f"a contact sheet needs samples of one size, got {sorted(sizes)}")
    tiles = [annotated(sample, scale) for sample in samples]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def write_contact_sheet(path: Path, samples: Sequence[Sample], columns: int = 5) -> None:
    """Write a sheet as PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(samples, columns)).save(path)


def write_sheets(folder: Path, split: str, backgrounds: Path | None) -> list[Path]:
    """Samples of a data set to look at, as rendered and as the detector sees them in training.

    Args:
        folder: Of the data set; the sheets are written into it.
        split: "train" or "heldout".
        backgrounds: Folder of pictures for the augmentation; None draws them.
    """
    data = ShardDataset(folder, split)
    samples = [data[i * len(data) // SHEET] for i in range(min(SHEET, len(data)))]
    augment = Augmenter(AugmentConfig(), Backgrounds(split, backgrounds))
    changed = [augment(sample, np.random.default_rng(i)) for i, sample in enumerate(samples)]
    sheets = {folder / f"{split}.jpg": samples, folder / f"{split}-augmented.jpg": changed}
    for path, shown in sheets.items():
        write_contact_sheet(path, shown)
    return list(sheets)


_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def _fixed_point(pixels: np.ndarray) -> list[tuple[int, int]]:
    """Continuous pixels (N, 2) as OpenCV draws them: its pixel centres are whole numbers."""
    return [tuple(row) for row in np.round((pixels - 0.5) * (1 << _SHIFT)).astype(int).tolist()]
