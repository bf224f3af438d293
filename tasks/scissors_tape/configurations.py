"""Where scissors and tape stand at an episode's start: drawn for practice, fixed for tests.

Tests are 2 poses of the scissors by 5 of the tape holder (paper E.4), then as many others as asked
for. Practice keeps away from the tests' holders.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Configuration:
    """Start of an episode, on the table [m, rad]."""

    tool_xy_m: tuple[float, float]
    """Middle of the handles."""
    tool_yaw_rad: float
    tape_xy_m: tuple[float, float]
    """Of the strip's near edge."""
    tape_yaw_rad: float


TOOL_LOWER, TOOL_UPPER = (0.11, -0.06, -0.4), (0.17, 0.05, 0.4)
"""Corners of where the scissors may lie: x, y, yaw."""
TAPE_LOWER, TAPE_UPPER = (-0.11, -0.03, -0.3), (-0.05, 0.06, 0.3)
"""Corners of where the strip's near edge may be: x, y, yaw."""
TEST_TOOLS = ((0.13, 0.02, 0.2), (0.15, -0.03, -0.15))
TEST_TAPES = (
    (-0.06, 0.04, 0.15),
    (-0.06, -0.01, -0.2),
    (-0.08, 0.015, 0.0),
    (-0.1, 0.045, -0.1),
    (-0.1, -0.015, 0.2),
)
APART_M = 0.01
"""Practice has the tape at least this far from where tests do."""
FIXED = len(TEST_TOOLS) * len(TEST_TAPES)
"""So many tests are the fixed ones."""


def draw(rng: np.random.Generator) -> Configuration:
    """A configuration to practise on."""
    tool = rng.uniform(TOOL_LOWER, TOOL_UPPER).tolist()
    while True:
        x, y, yaw = rng.uniform(TAPE_LOWER, TAPE_UPPER).tolist()
        if min(np.hypot(x - a, y - b) for a, b, _ in TEST_TAPES) >= APART_M:
            return Configuration((tool[0], tool[1]), tool[2], (x, y), yaw)


def evaluation_set(count: int, drawing: int = 0) -> list[Configuration]:
    """So many tests: the fixed ones first, then others, the same ones for the same drawing.

    Raises:
        ValueError: If that is none.
    """
    if count < 1:
        raise ValueError(f"count ({count}) must be at least 1")
    fixed = [
        Configuration(tool[:2], tool[2], tape[:2], tape[2])
        for tool in TEST_TOOLS
        for tape in TEST_TAPES
    ]
    rng = np.random.default_rng(drawing)
    return [*fixed[:count], *(draw(rng) for _ in range(count - FIXED))]
