"""Sweeps: everything runs once, whatever dies on the way, and nothing that failed is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import ROOT, make_script, notes, run, start_sweeper, wait_for
from omegaconf import OmegaConf

from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.sweep import report as sweep_report
from sernf_isaac.sweep.child import EXIT_FILE, LOG_FILE
from sernf_isaac.sweep.grids import GRIDS, axes_of
from sernf_isaac.sweep.sweep import (
    Outcome,
    Plan,
    command_of,
    folder_of,
    jobs_of,
    outcome_of,
    resume_of,
    value_at,
)


@pytest.fixture
def make_plan(tmp_path: Path):
    script = make_script(tmp_path)

    def make(*options: str, result: str | None = None) -> Plan:
        return Plan(script, ("--log", str(tmp_path / "log"), *options), result)

    return make


def test_every_setting_meets_every_seed_once(make_plan, tmp_path: Path) -> None:
    plan, jobs = make_plan(), jobs_of({"a.x": [1, 2]}, [0, 1])
    first = run(plan, jobs, tmp_path / "runs", at_once=4)
    scores = [value_at(outcome.result, "stage.score") for outcome in first]
    assert scores == [10, 11, 20, 21] and all(outcome.state == "done" for outcome in first)
    again = run(plan, jobs, tmp_path / "runs")
    assert again == first and len(notes(tmp_path, "start")) == 4
    other = replace(plan, options=(*plan.options, "b.y=1"))
    run(other, jobs[:1], tmp_path / "runs")
    assert len(notes(tmp_path, "start")) == 5, "other options are other runs"


def test_no_more_than_so_many_run_at_a_time(make_plan, tmp_path: Path) -> None:
    run(make_plan("--pause", "0.3"), jobs_of({"a.x": [1, 2]}, [0, 1]), tmp_path / "r", at_once=2)
    events = [(at, 1) for _, at in notes(tmp_path, "start")]
    events += [(at, -1) for _, at in notes(tmp_path, "end")]
    count, most = 0, 0
    for _, change in sorted(events):
        count += change
        most = max(most, count)
    assert most == 2


def test_a_failed_run_is_told_of_kept_and_tried_again(make_plan, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.touch()
    plan, jobs, told = make_plan("--bad", str(bad)), jobs_of({"a.x": [3]}, [0, 1]), []
    good, failed = run(plan, jobs, tmp_path / "runs", report=told.append)
    assert good.state == "done" and failed.state == "failed" and failed in told
    assert failed.reason == "exit code 1: error: no luck with 3 1"
    bad.unlink()
    assert [o.state for o in run(plan, jobs, tmp_path / "runs")] == ["done", "done"]
    assert len(notes(tmp_path, "start")) == 3
    assert (failed.folder / LOG_FILE).read_text().count("trying 3 1") == 2


def test_a_killed_run_is_tried_again(make_plan, tmp_path: Path) -> None:
    plan, jobs = make_plan("--die", str(tmp_path / "died")), jobs_of({"a.x": [1]}, [0])
    (killed,) = run(plan, jobs, tmp_path / "runs")
    assert killed.state == "failed" and "exit code -9" in killed.reason
    assert [o.state for o in run(plan, jobs, tmp_path / "runs")] == ["done"]


def test_a_run_that_outlives_its_sweep_is_waited_for(make_plan, tmp_path: Path) -> None:
    plan, jobs, root = make_plan("--pause", "1.5"), jobs_of({"a.x": [1]}, [0]), tmp_path / "runs"
    sweeper = start_sweeper(plan, root)
    wait_for((tmp_path / "log").exists)
    sweeper.kill()
    sweeper.wait()
    (outcome,) = run(plan, jobs, root)
    assert outcome.state == "done" and len(notes(tmp_path, "start")) == 1


def test_an_interrupt_reaches_the_runs(make_plan, tmp_path: Path) -> None:
    plan, jobs, root = make_plan("--pause", "60"), jobs_of({"a.x": [1]}, [0]), tmp_path / "runs"
    sweeper = start_sweeper(plan, root)
    wait_for((tmp_path / "log").exists)
    started = time.monotonic()
    sweeper.send_signal(signal.SIGINT)
    assert sweeper.wait(30) != 0 and time.monotonic() - started < 30
    outcome = outcome_of(root, plan, jobs[0])
    assert outcome.state == "failed" and "KeyboardInterrupt" in outcome.reason


def test_scripts_may_write_their_result_by_themselves(make_plan, tmp_path: Path) -> None:
    plan = make_plan(result="own.json")
    (outcome,) = run(plan, jobs_of({"a.x": [1]}, [0]), tmp_path / "runs")
    assert "--json" not in command_of(plan, outcome.job, outcome.folder)
    assert value_at(outcome.result, "list.1.y") == 2.5
    (outcome.folder / "own.json").write_text("{")
    damaged = outcome_of(tmp_path / "runs", plan, outcome.job)
    assert damaged.state == "failed" and "own.json is no JSON" in damaged.reason


def test_runs_that_never_ended_are_missing(make_plan, tmp_path: Path) -> None:
    plan, jobs = make_plan(), jobs_of({"a.x": [1]}, [0])
    assert outcome_of(tmp_path, plan, jobs[0]).state == "missing"
    (done,) = run(plan, jobs, tmp_path)
    (done.folder / EXIT_FILE).unlink()
    assert outcome_of(tmp_path, plan, jobs[0]).state == "missing"


def test_names_of_folders_are_readable_and_differ(make_plan) -> None:
    jobs = jobs_of({"a.x": [0.1, "b/c"], "d.x": [1, 2]}, [0, 1])
    plan = make_plan()
    names = {folder_of(Path(), plan, job).name for job in jobs}
    assert len(names) == len(jobs) == 8
    assert jobs[0].name == "x=0.1_x=1_seed=0" and all("/" not in job.name for job in jobs)


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_grids_name_settings_of_a_run_and_differ_from_each_other(name: str) -> None:
    ((key, values),) = axes_of([name], []).items()
    run = OmegaConf.structured(FourStageRun())
    for value in values:
        OmegaConf.update(run, key, value)
        assert OmegaConf.select(OmegaConf.structured(OmegaConf.to_object(run)), key) == value


def test_the_papers_ablations_have_its_values() -> None:
    axes = axes_of(["chunk", "couplings", "lambda"], [])
    assert axes == {
        "spec.horizon": (6, 8, 10, 12, 14),
        "learner.policy.num_couplings": (8, 12, 16, 20, 24),
        "learner.improvement.imitation_weight": (0.01, 0.03, 0.1, 0.3, 1.0),
    }


def test_grids_take_other_values_and_settings_any() -> None:
    axes = axes_of(["lambda"], ["lambda=[1, 2]", "online.env_steps=[10, 20]"])
    assert axes == {
        "learner.improvement.imitation_weight": (1, 2),
        "online.env_steps": (10, 20),
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: axes_of(["lamda"], []), r"no grid 'lamda'.*did you mean 'lambda'"),
        (lambda: axes_of([], ["a.x=3"]), r"'a.x=3' is no axis; write key=\[value"),
        (lambda: axes_of([], ["a.x=[[1]]"]), "is no axis"),
        (lambda: axes_of([], ["a.x"]), "is no axis"),
        (lambda: jobs_of({"a": [1]}, []), "nothing to sweep"),
        (lambda: jobs_of({"a": [1, 1]}, [0]), "a needs values that differ"),
        (lambda: jobs_of({"a": [1]}, [0, 0]), "seeds needs values that differ"),
        (lambda: run(Plan(Path("gone.py")), [], Path()), r"no script at gone\.py"),
        (lambda: value_at({"a": {"b": 1}}, "a.c"), r"no 'c' of 'a.c' in the result.*\['b'\]"),
        (lambda: value_at({"a": [1]}, "a.1"), "no '1' of 'a.1'"),
        (lambda: value_at({"a": "high"}, "a"), "'a' is no number in the result but 'high'"),
    ],
)
def test_what_cannot_be_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def outcomes(*scores: float | None) -> list[Outcome]:
    """Two seeds for each setting; None failed."""
    jobs = jobs_of({"a.x": list(range(len(scores) // 2))}, [0, 1])
    return [
        Outcome(job, Path(job.name), "failed", 1.0, "it broke")
        if score is None
        else Outcome(job, Path(job.name), "done", 2.0, result={"score": score})
        for job, score in zip(jobs, scores, strict=True)
    ]


def test_the_table_has_means_spreads_and_all_that_is_missing(tmp_path: Path) -> None:
    found = outcomes(1.0, 3.0, 5.0, None, float("nan"), 7.0, None, None)
    rows = sweep_report.rows_of(found, ["score"])
    text = sweep_report.table(rows, ["score"])
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["0", "2", "±", "1.4", "2", "of", "2", "2"]
    assert lines[2][:2] == ["1", "5"] and lines[2][-4:] == ["1", "of", "2", "2"]
    assert lines[3][:2] == ["2", "7"] and lines[4][1] == "-"
    assert text.count("it broke") == 3 and text.count("score is not a finite number") == 1
    sweep_report.save(tmp_path, found, rows, ["score"])
    saved = json.loads((tmp_path / "sweep.json").read_text())
    assert [run["score"] for run in saved] == [1.0, 3.0, 5.0, None, None, 7.0, None, None]
    assert (tmp_path / "sweep.png").stat().st_size > 5_000


def test_nothing_done_leaves_a_table_and_no_figure(tmp_path: Path) -> None:
    found = outcomes(None, None)
    sweep_report.save(tmp_path, found, sweep_report.rows_of(found, ["score"]), ["score"])
    assert "it broke" in (tmp_path / "sweep.txt").read_text()
    assert not (tmp_path / "sweep.png").exists()


def test_seeds_alone_make_runs_and_no_metric_is_needed(tmp_path: Path) -> None:
    script = tmp_path / "quiet.py"
    script.write_text("import sys; print(sys.argv[1:])")
    found = run(Plan(script, result=""), jobs_of({}, [3, 4]), tmp_path / "runs")
    assert [(o.state, o.job.name) for o in found] == [("done", "seed=3"), ("done", "seed=4")]
    assert "--json" not in (found[0].folder / LOG_FILE).read_text()
    rows = sweep_report.rows_of(found, [])
    sweep_report.save(tmp_path, found, rows, [])
    assert sweep_report.table(rows, []).splitlines()[1].split()[:3] == ["2", "of", "2"]
    assert not (tmp_path / "sweep.png").exists()


GOES_ON = """
import pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1]) / "2026-01-01_00-00-00"
if "--resume" not in sys.argv:
    out.mkdir(parents=True)
    (out / "training_state.pt").touch()
    sys.exit("killed")
print("went on with", *sys.argv[1:])
"""


def test_a_killed_run_goes_on_where_its_script_can(tmp_path: Path) -> None:
    script = tmp_path / "train_teacher.py"
    script.write_text(GOES_ON)
    options = ("--sim", "twin", "--no-video", "--physics", "hard", "ppo.x=1", "--threads=2")
    plan, jobs = Plan(script, options, ""), jobs_of({}, [0])
    assert [o.state for o in run(plan, jobs, tmp_path / "runs")] == ["failed"]
    (outcome,) = run(plan, jobs, tmp_path / "runs")
    assert outcome.state == "done"
    said = (outcome.folder / LOG_FILE).read_text()
    assert f"--sim twin --no-video --threads=2 --resume latest --out {outcome.folder}" in said
    assert resume_of(replace(plan, script=tmp_path / "two_doors.py"), outcome.folder) == []


def test_the_command_line_goes_through(make_plan, tmp_path: Path) -> None:
    plan = make_plan()
    command = [sys.executable, str(ROOT / "scripts/sweep.py"), str(plan.script), *plan.options]
    command += ["--vary", "a.x=[1,2]", "--seeds", "0", "--out", str(tmp_path / "runs")]
    command += ["--metric", "stage.score", "b.y=1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("1 of 1") == 2, done.stderr
    (started, _) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/*/run.json"))
    assert "b.y=1" in started["command"] and (tmp_path / "runs/sweep.png").is_file()
