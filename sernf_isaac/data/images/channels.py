"""Pictures of other people's files as the store keeps them: (T, 3, h, w) uint8."""

from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array

COLOURS, GREY, WITH_ALPHA = 3, 1, 4
PICTURE_DIMS, FLAT_DIMS = 4, 2


def picture_or_numbers(path: Path, key: str, value: Array) -> Array:
    """Pictures (T, h, w, channels) as (T, 3, h, w); numbers (T, F) as they are.

    Grey becomes three equal channels, transparency is left out.

    Raises:
        ValueError: If it is neither, such as depth, or pictures that are no bytes; names file, key,
            shape and type.
    """
    if value.ndim == 1 and value.dtype != np.uint8:
        return value[:, None]
    if value.ndim == FLAT_DIMS:
        return value.astype(np.float32) if value.dtype == np.uint8 else value
    if value.dtype == np.uint8 and value.ndim == FLAT_DIMS + 1:
        value = value[..., None]
    if value.dtype == np.uint8 and value.ndim == PICTURE_DIMS:
        channels = value.shape[-1]
        if channels in (GREY, COLOURS, WITH_ALPHA):
            coloured = np.repeat(value, 3, axis=3) if channels == GREY else value[..., :3]
            return np.ascontiguousarray(coloured.transpose(0, 3, 1, 2))
        if value.shape[1] == COLOURS:
            return value
    raise ValueError(
        f"{path}: {key} has shape {value.shape} and {value.dtype}: neither numbers (T, F) nor "
        "pictures (T, h, w, 3) of uint8; depth and pictures of other numbers must be made bytes "
        "first, or leave them out (keys)"
    )


def check_goes_on(path: Path, key: str, before: Array, after: Array, where: Array) -> None:
    """An error where a step does not begin with what the step before it ended with.

    Args:
        path: For the error.
        key: The same.
        before: (T, F) observations before each step; pictures are not compared.
        after: (T, F) those after each step.
        where: (T,) bool: the step has a next one in the same trajectory.

    Raises:
        ValueError: Names file, key and index, with both numbers.
    """
    if before.ndim != FLAT_DIMS or before.shape != after.shape:  # the episode will say so
        return
    apart = np.abs(after[:-1].astype(np.float64) - before[1:])
    room = 1e-4 * (1.0 + np.ptp(before.astype(np.float64), axis=0))
    wrong = (apart > room) & where[:-1, None]
    if wrong.any():
        step, column = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{path}: {key} ends step {step} with {after[step, column]:g} in column {column}, but "
            f"step {step + 1} begins with {before[step + 1, column]:g}: rows are missing between "
            "them, or another trajectory begins there"
        )
