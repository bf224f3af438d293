"""Camera images as the store keeps them: (3, h, w) uint8, as the backbones take them.

Whatever prepares images for a policy must do it with `fit`, before training and on the robot alike.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from sernf_isaac.data.episode import Array

PNG_DEPTH_AT, BYTE_BITS, GREY_DIMS = 24, 8, 2
"""Where a PNG file says how many bits a channel has."""


@dataclass(frozen=True)
class Fit:
    """Which part of an image to keep, and at which size (paper App. B: cropped, then 224 x 224)."""

    height: int = 224
    width: int = 224
    crop: tuple[int, ...] = ()
    """Top, left, height and width of the part to keep, in pixels of the original. Empty: the
    largest part around the middle that has the shape of the result."""
    shown: tuple[float, ...] = ()
    """Pictures of more than 8 bits, such as depth: which values become 0 and 255; those between are
    spread evenly, those beyond are cut off. Empty: such pictures are refused."""

    def __post_init__(self) -> None:
        if self.shown and (len(self.shown) != 2 or not self.shown[0] < self.shown[1]):
            raise ValueError(f"range {self.shown} must be two values, the lower one first")
        if self.height < 1 or self.width < 1:
            raise ValueError(f"image size ({self.height}, {self.width}) must be at least (1, 1)")
        if self.crop and (len(self.crop) != 4 or min(self.crop[:2]) < 0 or min(self.crop[2:]) < 1):
            raise ValueError(f"crop {self.crop} must be top, left >= 0 and height, width >= 1")

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the part to keep of an image of this size.

        Raises:
            ValueError: If the crop reaches beyond the image.
        """
        if self.crop:
            top, left, rows, columns = self.crop
            if top + rows > height or left + columns > width:
                raise ValueError(f"crop {self.crop} reaches beyond an image of {height} x {width}")
            return left, top, left + columns, top + rows
        scale = min(height / self.height, width / self.width)
        rows, columns = scale * self.height, scale * self.width
        left, top = (width - columns) / 2, (height - rows) / 2
        return left, top, left + columns, top + rows


def fit(image: Array, size: Fit) -> Array:
    """(h, w, 3) or (h, w) uint8 to (3, height, width) uint8, averaged over what a pixel covers.

    Raises:
        ValueError: If it is no such image or smaller than the crop.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"image has shape {image.shape} and {image.dtype}, not (h, w, 3) uint8")
    return _fitted(Image.fromarray(image), size)


def fit_rows(data: Array, shape: tuple[int, int], order: str, row_bytes: int, size: Fit) -> Array:
    """Like `fit`, for pixels as cameras send them.

    Args:
        data: (shape[0] * row_bytes,) uint8.
        shape: Height and width.
        order: Of a pixel's bytes: "RGB", "BGR", "RGBX" or "BGRX" with a byte to leave out, or "L",
            grey.
        row_bytes: From one row to the next; what a row does not need is padding.
        size: What to keep.

    Raises:
        ValueError: If the image is smaller than the crop.
    """
    _check_shallow(size)
    mode, (height, width) = "L" if order == "L" else "RGB", shape
    image = Image.frombuffer(mode, (width, height), data, "raw", order, row_bytes, 1)
    return _fitted(image, size)


def decode(data: bytes, size: Fit | None) -> Array:
    """A JPEG or PNG file as (3, height, width) uint8; without a size, all of it as it is.

    Large JPEGs are decoded at half, a quarter or an eighth of their size when that is enough.

    Raises:
        ValueError: If the file is damaged or of another kind, or smaller than the crop.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.format == "PNG" and data[PNG_DEPTH_AT] > BYTE_BITS:
                return _fitted(Image.fromarray(deep(np.asarray(image), size)), size)
            _check_shallow(size)
            return _fitted(image, size)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"image is damaged or no JPEG or PNG: {error}") from error


def deep(values: Array, size: Fit | None) -> Array:
    """(h, w) uint8 from a picture of more than 8 bits, such as depth.

    Raises:
        ValueError: If it is not grey, or nothing says which values are to be seen.
    """
    if values.ndim != GREY_DIMS:
        raise ValueError("image has 16 bits per channel; save it with 8")
    if size is None or not size.shown:
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        raise ValueError(
            f"image is grey with more than 8 bits (values {low:g} to {high:g}), such as depth; say "
            "which values to show as black and white (range: [low, high] in a bag's layout), or "
            "leave it out"
        )
    low, high = size.shown
    scaled = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / (high - low)
    return (255 * scaled.clip(0.0, 1.0)).round().astype(np.uint8)


def _check_shallow(size: Fit | None) -> None:
    if size is not None and size.shown:
        raise ValueError("image has 8 bits per channel; a range is for pictures of more, drop it")


def encode_png(image: Array) -> bytes:
    """(3, h, w) uint8 as a PNG file, without loss."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(file, "PNG")
    return file.getvalue()


def encode_jpeg(image: Array, quality: int = 95) -> bytes:
    """(3, h, w) uint8 as a JPEG file with colours at full resolution; nearly without loss."""
    file = io.BytesIO()
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def _fitted(image: Image.Image, size: Fit | None) -> Array:
    original = image.height, image.width
    size = size or Fit(*original)
    left, top, right, bottom = size.box(*original)
    wanted = (
        int(np.ceil(original[1] * size.width / (right - left))),
        int(np.ceil(original[0] * size.height / (bottom - top))),
    )
    image.draft("RGB", wanted)
    across, down = image.width / original[1], image.height / original[0]
    box = left * across, top * down, right * across, bottom * down
    coloured = image if image.mode == "RGB" else image.convert("RGB")
    resized = coloured.resize((size.width, size.height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized).transpose(2, 0, 1)
