"""Episodes come back from a file as they went in; anything else is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.learning.online.episode_files import load_episodes, save_episodes


def episode(steps: int, *, ends: bool) -> Episode:
    rng = np.random.default_rng(steps)
    return Episode(
        observation={
            "state": rng.normal(size=(steps, 3)),
            "image": np.ones((steps, 2, 2), np.uint8),
        },
        final_observation={"state": np.ones(3), "image": np.zeros((2, 2), np.uint8)},
        action=rng.normal(size=(steps, 2)),
        reward=rng.normal(size=steps),
        terminated=np.arange(steps) == (steps - 1 if ends else -1),
        planned=rng.normal(size=(steps % 3, 2)),
        policy=f"{steps} steps",
        outcome="failure" if ends else "stopped",
        is_offline=ends,
    )


def test_episodes_come_back_as_they_went_in(tmp_path: Path) -> None:
    written = [episode(5, ends=True), episode(9, ends=False), episode(1, ends=True)]
    save_episodes(tmp_path / "some.pt", written)
    for before, after in zip(written, load_episodes(tmp_path / "some.pt"), strict=True):
        arrays = after.to_arrays()
        assert arrays.keys() == before.to_arrays().keys()
        for name, value in before.to_arrays().items():
            np.testing.assert_array_equal(arrays[name], value)
            assert arrays[name].dtype == value.dtype
        for name in ("policy", "outcome", "is_offline"):
            assert getattr(after, name) == getattr(before, name)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt does not exist"):
        load_episodes(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pt holds no episodes"):
        load_episodes(tmp_path / "text.pt")
    with pytest.raises(ValueError, match="no episodes to pack"):
        save_episodes(tmp_path / "empty.pt", [])
