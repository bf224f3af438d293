"""Damping in the shape that this MuJoCo stores it."""

import numpy as np


def first_set(like: float | np.ndarray, value: float) -> float | np.ndarray:
    """`value` in the shape MjSpec stores damping (a scalar, or polynomial coefficients)."""
    if np.ndim(like) == 0:
        return value
    coefficients = np.zeros_like(like)
    coefficients[0] = value
    return coefficients
