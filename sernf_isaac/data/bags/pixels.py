"""Uncompressed pictures as cameras send them to ROS, as the store keeps them."""

from typing import Any

import numpy as np

from sernf_isaac.data.episode import Array
from sernf_isaac.data.images.fit import Fit, deep, fit, fit_rows

Message = Any
"""A decoded message: `rosbags` makes its classes while it runs."""
ORDERS = {"rgb8": "RGB", "bgr8": "BGR", "rgba8": "RGBX", "bgra8": "BGRX", "mono8": "L"}
ORDERS |= {"8UC1": "L", "8UC3": "BGR"}
"""A byte per letter of a pixel; transparency is left out. OpenCV's unnamed colours are BGR."""
DEEP = {"mono16": np.uint16, "16UC1": np.uint16, "32FC1": np.float32}
HALVED = {"yuv422": (1, 3, 0, 2), "uyvy": (1, 3, 0, 2), "yuv422_yuy2": (0, 2, 1, 3)}
HALVED |= {"yuyv": (0, 2, 1, 3)}
"""Where the two brightnesses and the two colours stand in the four bytes of two pixels."""


def fit_pixels(message: Message, size: Fit) -> Array:
    """(3, height, width) uint8 from an image message, whose rows may be padded.

    Raises:
        ValueError: If its encoding is unknown or its sizes do not match its bytes; and for more
            than 8 bits, such as depth, unless `size` says what to show.
    """
    encoding = message.encoding
    if encoding in ORDERS:
        shape = _checked_shape(message, len(ORDERS[encoding]))
        return fit_rows(message.data, shape, ORDERS[encoding], message.step, size)
    if encoding in HALVED:
        return fit(_from_halved(message, HALVED[encoding]), size)
    if encoding in DEEP:
        kind = np.dtype(DEEP[encoding]).newbyteorder(">" if message.is_bigendian else "<")
        rows = _rows(message, kind.itemsize)
        try:
            return fit(deep(np.ascontiguousarray(rows).view(kind), size), size)
        except ValueError as error:
            raise ValueError(f"encoding {encoding!r}: {error}") from error
    known = ", ".join([*ORDERS, *HALVED, *DEEP])
    raise ValueError(f"encoding {encoding!r} is none of {known}")


def _checked_shape(message: Message, pixel_bytes: int) -> tuple[int, int]:
    height, width, step = message.height, message.width, message.step
    if not height or not width or step < width * pixel_bytes or len(message.data) != height * step:
        raise ValueError(
            f"{height} x {width} pixels in rows of {step} bytes do not make {len(message.data)}"
        )
    return height, width


def _rows(message: Message, pixel_bytes: int) -> Array:
    """(h, w * pixel_bytes) uint8 without padding."""
    height, width = _checked_shape(message, pixel_bytes)
    rows = np.asarray(message.data, np.uint8).reshape(height, message.step)
    return rows[:, : width * pixel_bytes]


def _from_halved(message: Message, places: tuple[int, int, int, int]) -> Array:
    """(h, w, 3) uint8 from pixels that share their colours in pairs."""
    rows = _rows(message, 2)
    height, width = rows.shape[0], rows.shape[1] // 2
    if width % 2:
        raise ValueError(f"{width} pixels in a row cannot share their colours in pairs")
    pairs = rows.reshape(height, width // 2, 4)
    first, second, blue, red = (pairs[..., place] for place in places)
    brightness = np.stack([first, second], axis=-1).reshape(height, width).astype(np.float64)
    # ITU-R BT.601 with 16 to 235 for black to white, as cameras send it
    light = 1.164 * (brightness - 16.0)
    blue, red = (np.repeat(colour.astype(np.float64) - 128.0, 2, axis=1) for colour in (blue, red))
    channels = light + 1.596 * red, light - 0.813 * red - 0.391 * blue, light + 2.018 * blue
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)
