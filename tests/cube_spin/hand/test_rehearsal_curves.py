"""The figure of rehearsals: what is one setting, what is a mean, what is left out."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tasks.cube_spin.hand.curves import curve_figure


def curve(turns: tuple[float, ...], in_hand_s: float = 5.0, rpm: float = 7.0) -> list[dict]:
    return [
        {
            "real_minutes": 15.0 * test,
            "in_hand_s": in_hand_s,
            "rpm_in_hand": rpm,
            "rpm_in_hand_ci95": [rpm - 1.0, rpm + 1.0],
            "turns_per_run": value,
            "turns_per_run_ci95": [value - 0.1, value + 0.2],
        }
        for test, value in enumerate(turns)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they were saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def legend(figure: Figure, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].get_legend().get_texts()]


def test_seeds_become_a_mean_and_a_range_beside_other_settings(tmp_path: Path, drawn) -> None:
    curves = {
        "per_step": curve((0.4, 0.5, 0.4)),
        "seed_0": curve((1.0, 2.0)),
        "seed_1": curve((3.0, 6.0, 9.0)),
        "student.pt, seed 0": curve((0.1, 0.1)),
        "student.pt, seed 1": curve((0.3, 0.3)),
    }
    curve_figure(tmp_path / "curves.png", curves)
    _, _, method, compared = drawn[0].axes
    assert list(method.lines[0].get_xdata()) == [0.0, 15.0]  # what both seeds have
    assert list(method.lines[0].get_ydata()) == [2.0, 4.0]
    band = method.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (1.0, 6.0)
    assert legend(drawn[0], 0)[:2] == ["mean of 2 seeds", "lowest to highest seed"]
    names = legend(drawn[0], 1)[:3]
    assert names[0] == "the method, mean of 2 seeds"
    assert names[1:] == ["per_step, one seed", "student.pt, mean of 2 seeds"]
    assert list(compared.lines[2].get_ydata()) == pytest.approx([0.2, 0.2])
    assert method.get_ylim()[1] > 4.0 and method.get_ylim() == compared.get_ylim()


def test_one_rehearsal_is_drawn_with_its_interval(tmp_path: Path, drawn) -> None:
    curve_figure(tmp_path / "curve.png", {"seed 3": curve((0.5, 1.0))})
    assert len(drawn[0].axes) == 2
    assert legend(drawn[0], 0)[:2] == ["one seed", "95 % interval over its runs"]
    band = drawn[0].axes[1].collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((0.4, 1.2))


def test_rates_of_runs_that_last_moments_are_left_out(tmp_path: Path, drawn) -> None:
    curves = {"seed 0": curve((0.5, 1.0)), "thrown": curve((0.0, 0.0), in_hand_s=0.1, rpm=40.0)}
    curve_figure(tmp_path / "curves.png", curves)
    rates, turns = drawn[0].axes[1], drawn[0].axes[3]
    assert np.isnan(rates.lines[1].get_ydata()).all() and rates.get_ylim()[1] < 10.0
    assert list(turns.lines[1].get_ydata()) == [0.0, 0.0]
