"""Jumps within an episode: where a robot seems to be somewhere else from one step to the next."""

import numpy as np

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.group_names import AGE, LOG

FLAT_DIMS = 2
FARTHER = 25.0
"""A jump is so many times as far as the median step that moves at all ..."""
OF_RANGE = 0.3
"""... and so much of all that the column does."""
FEWEST = 8
"""Steps that must move before one can stand out."""


def jumps_of(episode: Episode) -> list[str]:
    """A sentence for each group of numbers, and for actions, that jumps; the first jump of each.

    A remark and no error: contacts and switches may jump too.
    """
    found = []
    for name, values in (episode.observation | {"action": episode.action}).items():
        if values.ndim != FLAT_DIMS or name.startswith(LOG) or name.endswith(AGE):
            continue
        if (place := first_jump(values)) is not None:
            step, column = place
            before, after = values[step, column], values[step + 1, column]
            found.append(
                f"{name} jumps from {before:.3g} to {after:.3g} (column {column}) after step "
                f"{step} of {len(values)}: does another episode begin there?"
            )
    return found


def first_jump(values: Array) -> tuple[int, int] | None:
    """Step and column of the first jump of (T, F) numbers; None if there is none."""
    steps = np.abs(np.diff(values.astype(np.float64), axis=0))
    spread = np.ptp(values.astype(np.float64), axis=0)
    moving = np.where(steps > 1e-6 * np.maximum(spread, 1e-12), steps, np.nan)
    enough = (~np.isnan(moving)).sum(axis=0) >= FEWEST
    usual = np.full(spread.shape, np.inf)
    usual[enough] = np.nanmedian(moving[:, enough], axis=0)
    far = (steps > FARTHER * usual) & (steps > OF_RANGE * spread)
    if not far.any():
        return None
    step, column = np.argwhere(far)[0]
    return int(step), int(column)
