"""Numbers from outside as vectors: what is none is found here, before anything moves."""

import numpy as np

from sernf_isaac.deploy.protocols import Array


def as_vector(value: object, size: int) -> Array | None:
    """(size,) float64 of finite real numbers.

    None for anything else: another shape, nan, text, truth values, complex numbers, masked entries,
    or numbers too large to be floats.
    """
    if np.ma.is_masked(value):
        return None
    try:
        found = np.asarray(value)
        if found.shape != (size,) or found.dtype.kind not in "fiu":
            return None
        with np.errstate(over="ignore"):  # becomes inf, which is found
            vector = found.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return vector if np.isfinite(vector).all() else None


def as_target(value: object, size: int) -> Array:
    """(size,) float64 to be sent to a loop, which judges the numbers itself: nan may stand in it.

    Raises:
        ValueError: If it has another shape or holds no real numbers.
    """
    found = np.asarray(np.ma.filled(value, np.nan) if np.ma.isMaskedArray(value) else value)
    if found.shape != (size,) or found.dtype.kind not in "fiu":
        raise ValueError(
            f"a target must be {size} real numbers, not {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.float64)
