"""The likelihood of data is logged on the way, and the training does not notice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_offline import STEPS, episode, tiny_run

from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.learning import likelihood
from sernf_isaac.learning.leash import HELD_OUT
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.metrics import read_metrics


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("store") / "run"
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for seed in range(5):
            writer.commit(episode(seed))
    return run


def test_both_likelihoods_are_logged_with_every_row_of_the_metrics(
    store: Path, tmp_path: Path
) -> None:
    offline.train(replace(tiny_run(str(store)), held_out_share=0.2), tmp_path)
    losses = [step for step, _ in read_metrics(tmp_path, "time/updates_per_s")]
    assert losses[-1] == 3 * STEPS and len(losses) == 9
    for name in (likelihood.IMITATED, HELD_OUT):
        found = read_metrics(tmp_path, name)
        assert [step for step, _ in found] == losses
        in_warm_up = {value for step, value in found if STEPS <= step <= 2 * STEPS}
        assert len(in_warm_up) == 1, "the policy rests, so does its likelihood"
        assert len({value for _, value in found}) > 4


def test_without_held_out_data_only_the_imitated_ones_are_measured(
    store: Path, tmp_path: Path
) -> None:
    offline.train(replace(tiny_run(str(store)), warm_up_steps=0, offline_steps=0), tmp_path)
    assert len(read_metrics(tmp_path, likelihood.IMITATED)) == 3
    assert read_metrics(tmp_path, HELD_OUT) == []


def test_measuring_changes_no_weight_and_no_random_number(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(tiny_run(str(store)), held_out_share=0.2)
    offline.train(run, tmp_path / "measured")
    monkeypatch.setattr(likelihood.Likelihood, "measure", lambda _: {})
    offline.train(run, tmp_path / "not_measured")
    assert read_metrics(tmp_path / "not_measured", likelihood.IMITATED) == []
    first, second = (
        torch.load(tmp_path / name / STATE_FILE, weights_only=True)["learner"]
        for name in ("measured", "not_measured")
    )
    for part in ("actor", "critics", "target"):
        assert all(torch.equal(first[part][k], second[part][k]) for k in first[part])
    assert torch.equal(first["torch_rng"], second["torch_rng"])
    assert torch.equal(first["generator"], second["generator"])
