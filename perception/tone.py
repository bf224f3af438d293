"""Between the numbers of a picture and the light that they stand for: sRGB's curve."""

import numpy as np


def tone_curve(linear: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 of linear light; light above 1 is white."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_linear(value: np.ndarray) -> np.ndarray:
    """The inverse: linear light of numbers from 0 to 1, of their type."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
