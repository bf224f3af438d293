"""Figures of the result pages are drawn from the result files."""

from pathlib import Path

import pytest

from docs.generate import figures

RESULTS = Path(__file__).resolve().parents[1] / "docs/results"


def test_rehearsals_are_as_the_table_says() -> None:
    curves = figures.rehearsals(RESULTS)
    assert [len(curve) for curve in curves.values()] == [6] * 6 + [3] * 2
    last = curves["seed 0"][-1]
    assert last["real_minutes"] == 105 and last["turns_per_run"] == 5.59
    assert last["in_hand_s"] == pytest.approx(60.0 * 5.59 / 7.1)


def test_variants_are_as_the_table_says() -> None:
    runs = {run["variant"]: run for run in figures.ogbench_runs(RESULTS)}
    assert runs["gaussian"]["success_offline"] == 0.84
    assert runs["one_candidate"]["success_online"] == 0.30
    assert len(runs) == 5


def test_all_figures_are_drawn(tmp_path: Path) -> None:
    figures.draw(RESULTS, tmp_path)
    drawn = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 20_000}
    assert drawn == {"learning.png", "rehearsal.png", "ogbench_variants.png"}
