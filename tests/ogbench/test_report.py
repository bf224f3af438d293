"""What is told of the runs: the last success of every stage, spreads over seeds, curves."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tasks.ogbench import report


def row(stage: str, wins: int, env_steps: int = 0) -> dict:
    done = [True] * wins + [False] * (10 - wins)
    return report.evaluation(stage, done, [20] * 10, updates=5, env_steps=env_steps)


def run(variant: str, seed: int, online: tuple[int, ...]) -> dict:
    rows = [row("imitation", 1), row("warm_up", 3), row("offline", 5)]
    rows += [row("online", wins, 100 * index) for index, wins in enumerate(online, 1)]
    return report.result(rows, {"variant": variant, "seed": seed}, {})


def test_a_run_is_known_by_the_last_success_of_every_stage() -> None:
    values = run("flow", 0, (6, 8))
    names = ("success_imitation", "success_best_of_k", "success_offline", "success_online")
    assert [values[name] for name in names] == [0.1, 0.3, 0.5, 0.8]
    assert len(values["curves"]["evaluations"]) == 5
    low, high = values["curves"]["evaluations"][0]["success_ci95"]
    assert 0 < low < 0.1 < high < 0.5  # 10 episodes prove little


def test_an_unfinished_run_has_no_success_where_it_did_not_come_to() -> None:
    values = report.result([row("imitation", 1)], {"variant": "flow", "seed": 0}, {})
    assert values["success_imitation"] == 0.1 and values["success_online"] is None
    assert report.table([values]).endswith("| 0.10 | - | - | - |")


def test_the_table_spreads_over_seeds_and_orders_variants(tmp_path: Path) -> None:
    paths = []
    for number, values in enumerate(
        [run("gaussian", 0, (2,)), run("flow", 1, (8,)), run("flow", 0, (6,))]
    ):
        paths.append(tmp_path / f"{number}.json")
        report.save(paths[-1], values)
    lines = report.table([report.load(path) for path in paths]).splitlines()
    assert lines[2].startswith("| flow, chunk critic | 2 |") and lines[2].endswith("0.70 ± 0.14 |")
    assert lines[3].startswith("| Gaussian policy | 1 |") and lines[3].endswith("| 0.20 |")


def test_curves_are_drawn_also_for_runs_of_different_lengths(tmp_path: Path) -> None:
    runs = [run("flow", 0, (6, 8, 9)), run("flow", 1, (5,)), run("gaussian", 0, ())]
    report.curves_figure(tmp_path / "new" / "curves.png", runs)
    assert (tmp_path / "new" / "curves.png").stat().st_size > 5000


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they were saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def test_the_figure_says_who_ends_highest_and_what_bars_are(tmp_path: Path, drawn) -> None:
    runs = [run("flow", 0, (6, 8)), run("gaussian", 0, (7, 9))]
    report.curves_figure(tmp_path / "curves.png", runs)
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["flow, chunk critic", "Gaussian policy"]  # no counts where all are one run
    title = drawn[0].get_suptitle()
    assert "highest at the end: Gaussian policy, 0.90" in title and "of one run" in title
    low, high = runs[0]["curves"]["evaluations"][0]["success_ci95"]
    bar = drawn[0].axes[0].collections[0].get_segments()[0]
    assert [y for _, y in bar] == pytest.approx([low, high])


def test_the_figure_counts_runs_and_shows_their_spread(tmp_path: Path, drawn) -> None:
    runs = [run("flow", 0, (6, 8)), run("flow", 1, (8, 10))]
    report.curves_figure(tmp_path / "curves.png", runs)
    assert drawn[0].legends[0].get_texts()[0].get_text() == "flow, chunk critic, 2 runs"
    assert drawn[0].get_suptitle() == "bars and bands: standard deviation over runs"
    assert list(drawn[0].axes[1].lines[0].get_ydata()) == pytest.approx([0.5, 0.7, 0.9])


@pytest.mark.parametrize("text", ["not json", "[]", '{"seed": 0}', "3"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json is no result of this benchmark"):
        report.load(tmp_path / "x.json")
