"""Environments and data with OGBench's interface, small enough for a test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box

SIZE, ACTION_DIM, LIMIT = 22, 2, 12
NEAR = 0.15


class Reaching:
    """Reach 0 in the first of the objects' numbers by pushing it; OGBench's interface and timing.

    Whether a step begins solved decides about its reward and about termination.
    """

    observation_space = Box(-np.inf, np.inf, (SIZE,), np.float64)
    action_space = Box(-1, 1, (ACTION_DIM,), np.float32)

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []

    def reset(self, *, seed: int) -> tuple[np.ndarray, dict]:
        draw = np.random.default_rng(seed)
        self.place, self.steps = draw.uniform(0.3, 0.6), 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        solved = bool(abs(self.place) < NEAR)
        self.actions.append(action)
        self.place += 0.1 * float(action[0])
        self.steps += 1
        info = {"success": solved}
        return self._observe(), float(solved) - 1.0, solved, self.steps >= LIMIT, info

    def close(self) -> None:
        pass

    def _observe(self) -> np.ndarray:
        seen = np.zeros(SIZE)
        seen[:3], seen[-3:] = self.steps, (self.place, self.place**2, 1.0)
        return seen


def play(seed: int, steps: int = 40) -> dict[str, np.ndarray]:
    """Relabelled play data of `Reaching` in OGBench's format: one row per state."""
    draw = np.random.default_rng(seed)
    env = Reaching()
    seen, _ = env.reset(seed=seed)
    rows: dict[str, list] = {"observations": [], "actions": [], "rewards": [], "masks": []}
    for _ in range(steps):
        action = np.clip(draw.normal(-0.3, 0.5, ACTION_DIM), -1, 1)
        following, reward, solved, _, _ = env.step(action)
        for name, value in zip(rows, (seen, action, reward, 1.0 - solved), strict=True):
            rows[name].append(value)
        seen = following
    arrays = {name: np.asarray(value, np.float32) for name, value in rows.items()}
    return arrays | {"terminals": np.arange(steps) == steps - 1}


@pytest.fixture
def play_folder(tmp_path: Path) -> Path:
    """A folder with three files of play data."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed in range(3):
        np.savez(folder / f"others-{seed}.npz", **play(seed))
    return folder


@pytest.fixture
def make_reaching() -> Callable[[int], list]:
    return lambda count: [Reaching() for _ in range(count)]
