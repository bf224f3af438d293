"""Robot and learner as two processes on one run, on the twin."""

from pathlib import Path

import numpy as np
import pytest
from tiny_student import save_tiny_student

from sernf_isaac.benchmarks.pair import PairReport, judge, pair_trials
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.metrics import MetricsWriter
from tasks.cube_spin.runs.pair import ITERATIONS, UPDATES, twin_pair


@pytest.mark.slow
def test_either_process_may_be_killed_at_any_point_and_started_again(tmp_path):
    student = save_tiny_student(tmp_path / "student.pt")
    run = tmp_path / "run"
    report = pair_trials(run, twin_pair(run, student), tmp_path / "log", kills=2)
    assert min(report.kills.values()) >= 1
    assert report.stood_still == report.lost == report.logged_twice == 0
    assert report.episodes >= 3
    assert report.updates == report.policy_step == ITERATIONS * UPDATES


def finished_run(run: Path) -> Path:
    """Three episodes and the metrics of 20 updates."""
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for steps in (4, 5, 6):
            writer.commit(
                Episode(
                    observation={"state": np.zeros((steps, 2))},
                    action=np.zeros((steps, 1)),
                    reward=np.zeros(steps),
                    terminated=np.arange(steps) == steps - 1,
                    outcome="failure",
                )
            )
    metrics = MetricsWriter(run / "learner")
    for step in (10, 20):
        metrics.write(step, {"critic/loss": 1.0})
    metrics.close()
    return run


def test_nothing_is_missed_in_a_whole_run(tmp_path):
    run = finished_run(tmp_path / "run")
    known = {commit.id: commit for commit in RunReader(run).commits()}
    report = judge(run, known, PairReport())
    assert (report.episodes, report.lost, report.updates, report.logged_twice) == (3, 0, 20, 0)


@pytest.mark.parametrize("what", ["commit", "episode", "half an episode"])
def test_losses_are_counted(tmp_path, what):
    run = finished_run(tmp_path / "run")
    known = {commit.id: commit for commit in RunReader(run).commits()}
    eid = sorted(known)[1]
    archive = run / "episodes" / f"{eid}.zarr.zip"
    if what == "commit":
        (run / "commits" / f"{eid}.json").unlink()
    elif what == "episode":
        archive.unlink()
    else:
        archive.write_bytes(archive.read_bytes()[:-20])
    assert judge(run, known, PairReport()).lost == 1


def test_an_update_done_twice_is_counted(tmp_path):
    run = finished_run(tmp_path / "run")
    with (run / "learner" / "metrics.csv").open("a") as file:
        file.write("20,critic/loss,1.0\n")
    assert judge(run, {}, PairReport()).logged_twice == 1
