"""Where duck and bowl stand at an episode's start: drawn for practice, fixed for tests.

Tests are 2 positions of the bowl by 5 poses of the duck, in the manner of the paper's scissors task
(E.4); practice keeps away from the tests' poses of the duck.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Configuration:
    """Start of an episode, on the table [m, rad]."""

    duck_xy_m: tuple[float, float]
    duck_yaw_rad: float
    bowl_xy_m: tuple[float, float]


DUCK_LOWER, DUCK_UPPER = (-0.18, -0.07, -0.8), (-0.06, 0.09, 0.8)
"""Corners of where the duck may start: x, y, yaw."""
BOWL_LOWER, BOWL_UPPER = (0.09, -0.05), (0.17, 0.07)
TEST_DUCKS = (
    (-0.08, 0.06, 0.5),
    (-0.09, -0.04, -0.6),
    (-0.12, 0.02, 0.0),
    (-0.15, 0.07, -0.3),
    (-0.15, -0.04, 0.4),
)
TEST_BOWLS = ((0.11, 0.04), (0.15, -0.01))
APART_M = 0.015
"""Practice starts the duck at least this far from where tests do."""
JITTER = (0.005, 0.005, 0.1)
"""Tests after the first round of all configurations are moved by up to this: x, y, yaw."""


def draw(rng: np.random.Generator) -> Configuration:
    """A configuration to practise on."""
    while True:
        x, y, yaw = rng.uniform(DUCK_LOWER, DUCK_UPPER).tolist()
        if min(np.hypot(x - a, y - b) for a, b, _ in TEST_DUCKS) >= APART_M:
            return Configuration((x, y), yaw, tuple(rng.uniform(BOWL_LOWER, BOWL_UPPER).tolist()))


def evaluation_set(count: int, draw: int = 0) -> list[Configuration]:
    """So many test configurations, always the same for a draw.

    Draw 0 has all ten in turn, then again with small shifts. Another draw has other shifts, from
    the first round on: for tests that chose nothing.

    Raises:
        ValueError: If that is none.
    """
    if count < 1:
        raise ValueError(f"count ({count}) must be at least 1")
    grid = [(duck, bowl) for duck in TEST_DUCKS for bowl in TEST_BOWLS]
    rng = np.random.default_rng(draw)
    chosen = []
    for index in range(count):
        (x, y, yaw), bowl = grid[index % len(grid)]
        shift = rng.uniform(-1, 1, 3) * JITTER if draw or index >= len(grid) else np.zeros(3)
        chosen.append(Configuration((x + shift[0], y + shift[1]), yaw + shift[2], bowl))
    return chosen
