"""Metrics: what was written comes back, and a resumed run goes on where it stood."""

import sys
from pathlib import Path
from types import SimpleNamespace

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


class PretendedWandb:
    """Notes what W&B is told."""

    class Error(Exception):
        pass

    def __init__(self) -> None:
        self.begun: list[dict] = []
        self.logged: list[dict] = []
        self.finished = 0

    def init(self, **options: object) -> SimpleNamespace:
        self.begun.append(options)
        return SimpleNamespace(
            define_metric=lambda *_, **__: None, log=self.logged.append, finish=self.finish
        )

    def finish(self) -> None:
        self.finished += 1


def test_weights_and_biases_get_the_same_numbers_if_asked_for(tmp_path, monkeypatch) -> None:
    wandb = PretendedWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    MetricsWriter(tmp_path).close()
    assert not wandb.begun
    monkeypatch.setenv("SERNF_WANDB", "hands")
    (tmp_path / "config.yaml").write_text("seed: 3\n")
    for first_step in (0, 2):
        with MetricsWriter(tmp_path, first_step) as writer:
            writer.write(2, {"loss": 0.5})
            writer.write(3, {})
    assert wandb.logged == [{"update": 2, "loss": 0.5}] * 2 and wandb.finished == 2
    first, resumed = wandb.begun
    assert first["project"] == "hands" and first["config"] == {"seed": 3}
    assert first["id"] == resumed["id"] and first["resume"] == "allow"


def test_what_weights_and_biases_complain_of_is_told(tmp_path, monkeypatch) -> None:
    wandb = PretendedWandb()

    def init(**_: object) -> None:
        raise wandb.Error("no API key")

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("SERNF_WANDB", "hands")
    with pytest.raises(ValueError, match="no API key; WANDB_MODE=offline needs no account"):
        MetricsWriter(tmp_path)


@pytest.mark.slow
def test_weights_and_biases_keep_a_run_offline(tmp_path, monkeypatch) -> None:
    pytest.importorskip("wandb", reason="needs the extra 'wandb'")
    monkeypatch.setenv("SERNF_WANDB", "hands")
    monkeypatch.setenv("WANDB_MODE", "offline")
    with MetricsWriter(tmp_path) as writer:
        writer.write(7, {"loss": 0.25})
    (log,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert b"hands" in log.read_bytes() and b"loss" in log.read_bytes()
