"""Metrics: what was written comes back, and a resumed run goes on where it stood."""

from pathlib import Path

import pytest

from sernf_isaac.metrics import CSV_FILE, MetricsWriter, read_metrics


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    for step in (1, 2, 3):
        writer.write(step, {"a/b": step / 3, "c": -1.0})
    writer.close()
    assert read_metrics(tmp_path, "a/b") == [(1, 1 / 3), (2, 2 / 3), (3, 1.0)]
    assert read_metrics(tmp_path, "other") == []


def test_a_resumed_run_drops_what_lies_ahead_and_keeps_the_rest(tmp_path: Path) -> None:
    first = MetricsWriter(tmp_path)
    for step in (1, 2, 3):
        first.write(step, {"loss": float(step)})
    first.close()
    second = MetricsWriter(tmp_path, first_step=3)
    assert read_metrics(tmp_path, "loss") == [(1, 1.0), (2, 2.0)]
    second.write(3, {"loss": 9.0})
    second.close()
    assert read_metrics(tmp_path, "loss") == [(1, 1.0), (2, 2.0), (3, 9.0)]


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"loss": 1.0})
    writer.close()
    with (tmp_path / CSV_FILE).open("a") as file:
        file.write("2,lo")
    MetricsWriter(tmp_path, first_step=5).close()
    assert read_metrics(tmp_path, "loss") == [(1, 1.0)]


def test_a_folder_without_metrics_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=CSV_FILE):
        read_metrics(tmp_path, "loss")
