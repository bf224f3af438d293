"""Isaac Lab is only imported when its tests were asked for: `pytest -m sim`."""

import importlib.util
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these files alone in a plain `pytest` and where Isaac Lab is not installed."""
    if collection_path.suffix != ".py":
        return None
    unwanted = "not sim" in config.getoption("markexpr")
    return True if unwanted or importlib.util.find_spec("isaaclab") is None else None
