"""The images of an episode as files in a row: JPEG, a tenth of the space, or PNG, without loss."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sernf_isaac.data.episode import Array
from sernf_isaac.data.images.fit import decode, encode_jpeg, encode_png

RAW, PNG, JPEG = FORMATS = ("raw", "png", "jpeg")
"""How images may be stored; "raw" is not packed at all."""
_ENCODERS: dict[str, Callable[[Array], bytes]] = {PNG: encode_png, JPEG: encode_jpeg}


def are_images(value: Array) -> bool:
    """Whether an array of an episode can be packed: (T, 3, h, w) of bytes."""
    return value.dtype == np.uint8 and value.ndim == 4 and value.shape[1] == 3


def pack(images: Array, form: str) -> tuple[Array, Array]:
    """Images (T, 3, h, w) uint8 as the bytes of T files, and where each of them ends, (T,) int64.

    Raises:
        ValueError: If the format is unknown or these are no images.
    """
    if form not in _ENCODERS:
        raise ValueError(f"images cannot be packed as {form!r}; known are {sorted(_ENCODERS)}")
    if not are_images(images):
        raise ValueError(f"images have shape {images.shape} and {images.dtype}, not (T, 3, h, w)")
    files = _side_by_side(_ENCODERS[form], list(images))
    ends = np.cumsum([len(file) for file in files], dtype=np.int64)
    return np.frombuffer(b"".join(files), np.uint8), ends


def unpack(data: Array, ends: Array) -> Array:
    """The inverse of `pack`, whatever the format: (T, 3, h, w) uint8.

    Raises:
        ValueError: If a file is damaged, or the ends are not those of these bytes.
    """
    starts = np.concatenate([[0], ends[:-1]])
    if not len(ends) or ends[-1] != len(data) or (ends <= starts).any():
        raise ValueError(f"{len(data)} bytes of images do not end where they should")
    files = [data[a:b].tobytes() for a, b in zip(starts, ends, strict=True)]
    images = _side_by_side(lambda file: decode(file, None), files)
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"images differ in size: {sorted({image.shape for image in images})}")
    return np.stack(images)


def _side_by_side[Input, Output](call: Callable[[Input], Output], items: list[Input]) -> list:
    """The codecs work outside of Python's lock."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(call, items))
