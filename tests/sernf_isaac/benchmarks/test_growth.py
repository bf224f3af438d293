"""Curves of how cost grows: what they rise by, and the store that they are measured on."""

from pathlib import Path

import pytest

from sernf_isaac.benchmarks import growth
from sernf_isaac.data.store.reader import RunReader


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_the_power(power: float) -> None:
    curve = {size: 3.0 * size**power for size in (1, 10, 100)}
    assert growth.exponent(curve) == pytest.approx(power, abs=1e-9)
    assert growth.exponent({1: 0.0, 2: 0.0}) is None


def test_many_linked_episodes_are_a_store_like_any_other(tmp_path: Path) -> None:
    growth.make_store(tmp_path, 30)
    reader = RunReader(tmp_path)
    commits = reader.commits()
    assert len(commits) == len({commit.id for commit in commits}) == 30
    assert all(len(reader.load(commit)) == commit.steps for commit in commits[::10])
    part = reader.load(commits[3], groups=["state"])
    assert set(part.observation) == {"state"}
    assert set(reader.load(commits[3], groups=["state", "no"]).observation) == {"state", "front"}


def test_curves_have_a_point_per_size_and_are_shown(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(growth, "_average_ms", lambda count, _: float(count - 1))
    request = growth.GrowthRequest((2, 4), (1, 2), (4, 6), (0,), (1, 2), (3, 6))
    curves = growth.growth(request, step_ms=float)
    assert curves["step, environments"] == {3: 3.0, 6: 6.0}
    assert all(list(curve) == sorted(curve) and curve for curve in curves.values())
    table = growth.growth_table(curves)
    assert len(table.splitlines()) == len(curves)
    assert "exponent 1.00" in next(line for line in table.splitlines() if "environments" in line)
    growth.draw_growth(curves, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
