"""Backgrounds: any folder of pictures (the paper: Places365), or procedural ones.

Training and held-out pictures never share a background: files are divided by their names, and
procedural backgrounds of held-out pictures come from other generators.
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from perception.picture_files import read_picture

FILE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
HELD_OUT_SHARE = 10
"""One file in so many is held out."""


class Backgrounds:
    """Draws backgrounds for one split.

    Args:
        split: "train" or "heldout".
        folder: Searched for pictures, subfolders included; procedural ones only if None.
        procedural_share: Chance of a procedural background where there is a folder.
    """

    def __init__(
        self, split: str, folder: Path | None = None, procedural_share: float = 0.2
    ) -> None:
        self.split = split
        self._files = find_pictures(folder, split) if folder else []
        self._procedural_share = procedural_share if self._files else 1.0

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8 of width and height `size`.

        Raises:
            ValueError: If a file is no picture.
        """
        if rng.random() < self._procedural_share:
            return procedural(size, self.split, rng)
        path = self._files[rng.integers(len(self._files))]
        try:
            return _random_crop(read_picture(path), size, rng)
        except ValueError as error:
            raise ValueError(f"{error}; as a background, remove it or convert it") from error


def find_pictures(folder: Path, split: str) -> list[Path]:
    """This split's pictures below a folder, sorted.

    Raises:
        FileNotFoundError: If there are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of backgrounds at {folder}")
    found = sorted(
        path
        for path in folder.rglob("*")
        if not path.name.startswith(".")
        and path.suffix.lower() in FILE_SUFFIXES
        and is_held_out(path) == (split == "heldout")
    )
    if not found:
        raise FileNotFoundError(
            f"no pictures ({', '.join(FILE_SUFFIXES)}) of the {split} split below {folder}; "
            "give another folder, or none for procedural backgrounds"
        )
    return found


def is_held_out(path: Path) -> bool:
    """Whether a file is kept from training; depends on its name only."""
    return hashlib.sha256(path.name.encode()).digest()[0] % HELD_OUT_SHARE == 0


def procedural(size: tuple[int, int], split: str, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 of gradients, noise and shapes; the shapes differ between splits."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    ramp = (np.cos(angle) * x / width + np.sin(angle) * y / height)[..., None]
    base = rng.uniform(20.0, 235.0, 3) * rng.uniform(0.3, 1.0)
    picture = (base + rng.uniform(-90.0, 90.0, 3) * ramp).astype(np.float32)
    for cells in rng.integers(3, 64, rng.integers(1, 4)):
        noise = rng.normal(0.0, 1.0, (cells, cells, 3)).astype(np.float32)
        grey = rng.uniform(0.0, 1.0)
        noise = grey * noise.mean(axis=2, keepdims=True) + (1.0 - grey) * noise
        picture += cv2.resize(noise, size) * rng.uniform(3.0, 30.0)
    draw = _held_out_shapes if split == "heldout" else _training_shapes
    for _ in range(rng.integers(0, 14)):
        draw(picture, rng)
    blur = rng.uniform(0.0, 3.0)  # what is far behind the hand is out of focus
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return np.clip(picture, 0.0, 255.0).astype(np.uint8)


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    return tuple(rng.uniform(0.0, 255.0, 3).tolist())


def _training_shapes(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Quadrilaterals, among them squares of the cube's size and colours, and thick lines."""
    height, width = picture.shape[:2]
    centre = rng.uniform((0, 0), (width, height))
    if rng.random() < 0.35:
        end = rng.uniform((0, 0), (width, height))
        thickness = int(rng.integers(1, 20))
        cv2.line(picture, _point(centre), _point(end), _colour(rng), thickness)
        return
    box = (_point(centre), tuple(rng.uniform(10.0, 160.0, 2)), rng.uniform(0.0, 180.0))
    corners = cv2.boxPoints(box) + rng.uniform(-8.0, 8.0, (4, 2))
    cv2.fillPoly(picture, [corners.astype(np.int32)], _colour(rng))


def _held_out_shapes(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Ellipses, triangles and checks."""
    height, width = picture.shape[:2]
    centre = rng.uniform((0, 0), (width, height))
    kind = rng.integers(3)
    if kind == 0:
        axes = tuple(rng.integers(6, 90, 2).tolist())
        turn = rng.uniform(0.0, 180.0)
        cv2.ellipse(picture, _point(centre), axes, turn, 0.0, 360.0, _colour(rng), -1)
    elif kind == 1:
        corners = centre + rng.uniform(-80.0, 80.0, (3, 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], _colour(rng))
    else:
        edge, (x, y) = int(rng.integers(6, 30)), _point(centre)
        colours = _colour(rng), _colour(rng)
        for row in range(4):
            for column in range(4):
                corner = (x + edge * column, y + edge * row)
                opposite = (corner[0] + edge, corner[1] + edge)
                cv2.rectangle(picture, corner, opposite, colours[(row + column) % 2], -1)


def _point(values: np.ndarray) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _random_crop(
    picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A random part with the wanted shape, resized to `size`, sometimes mirrored and blurred."""
    width, height = size
    share = rng.uniform(0.4, 1.0)
    scale = share * min(picture.shape[1] / width, picture.shape[0] / height)
    wide, high = max(int(scale * width), 1), max(int(scale * height), 1)
    left = rng.integers(0, picture.shape[1] - wide + 1)
    top = rng.integers(0, picture.shape[0] - high + 1)
    part = picture[top : top + high, left : left + wide]
    part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        part = part[:, ::-1]  # only the background: the cube itself is never mirrored
    if rng.random() < 0.5:
        part = cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), rng.uniform(0.5, 2.5))
    return np.ascontiguousarray(part)
