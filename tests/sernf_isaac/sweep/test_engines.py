"""Engines: a worker is killed, a driver is killed, two drivers meet; each run is counted once."""

import json
import os
import platform
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_runs import make_script, notes, processes_of, run, start_sweeper, wait_for

from sernf_isaac.data.store.files import read_json
from sernf_isaac.sweep import child
from sernf_isaac.sweep.child import BUSY, EXIT_FILE, NOT_SHARED, RUN_FILE
from sernf_isaac.sweep.engines import Ended, each_ended, engine_named
from sernf_isaac.sweep.runs import Run, is_being_run, run_all
from sernf_isaac.sweep.sweep import Plan, folder_of, jobs_of

ON = ["local", "slurm", pytest.param("ray", marks=pytest.mark.slow)]
WORKERS = {"slurm": "submitit.core._submit", "ray": "ray::call"}
"""What the process of an engine is called that waits for a command."""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(make_script(tmp_path), ("--log", str(tmp_path / "log"), "--pause", "1"))


def quick(plan: Plan) -> Plan:
    return Plan(plan.script, plan.options[:2])


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def states(root: Path) -> Counter:
    return Counter(read_json(path)["code"] for path in root.glob(f"*/{EXIT_FILE}"))


@pytest.mark.parametrize("on", ON)
def test_everything_runs_once_on_every_engine(on: str, plan: Plan, tmp_path: Path) -> None:
    jobs, told = jobs_of({"a.x": [1, 2]}, [0]), []
    found = run(quick(plan), jobs, tmp_path / "runs", on, at_once=2, report=told.append)
    assert [o.state for o in found] == ["done", "done"] and len(told) == 2
    assert run(quick(plan), jobs, tmp_path / "runs") == found, "on another engine nothing is left"
    assert len(notes(tmp_path, "start")) == 2 and states(tmp_path / "runs") == {0: 2}


@pytest.mark.parametrize("on", ON)
def test_a_run_whose_processes_are_killed_is_started_again(on, plan, tmp_path: Path) -> None:
    jobs, root = jobs_of({"a.x": [1, 2]}, [0]), tmp_path / "runs"
    driver = start_sweeper(plan, root, on, values=(1, 2), at_once=2)
    wait_for((tmp_path / "log").exists)
    victim = folder_of(root, plan, jobs[0])
    wait_for(lambda: len(processes_of(str(victim))) >= 2)  # who watches over it, and the script
    kill(processes_of(str(victim), child.__name__))
    kill(processes_of(str(plan.script), str(victim)))
    assert driver.wait(120) == 0
    assert states(root) == {0: 2}
    assert Counter(name for name, _ in notes(tmp_path, "end")) == {"1 0": 1, "2 0": 1}


@pytest.mark.slow
@pytest.mark.parametrize("on", ["slurm", "ray"])
def test_a_run_that_outlives_its_worker_is_waited_for(on, plan, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    driver = start_sweeper(plan, root, on)
    wait_for((tmp_path / "log").exists)
    kill(processes_of(WORKERS[on], *([str(root)] if on == "slurm" else [])))
    assert driver.wait(120) == 0 and states(root) == {0: 1}
    assert len(notes(tmp_path, "end")) == 1


@pytest.mark.parametrize("on", ON)
def test_a_driver_that_was_killed_is_started_again(on: str, plan: Plan, tmp_path: Path) -> None:
    jobs, root = jobs_of({"a.x": [1, 2]}, [0]), tmp_path / "runs"
    driver = start_sweeper(plan, root, on, values=(1, 2))
    wait_for((tmp_path / "log").exists)
    driver.kill()
    driver.wait()
    found = run(plan, jobs, root, on)
    assert [o.state for o in found] == ["done", "done"] and states(root) == {0: 2}
    assert Counter(name for name, _ in notes(tmp_path, "end")) == {"1 0": 1, "2 0": 1}


def test_two_drivers_share_the_work(plan: Plan, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    drivers = [start_sweeper(plan, root, values=(1, 2)) for _ in range(2)]
    assert [driver.wait(60) for driver in drivers] == [0, 0]
    assert len(notes(tmp_path, "start")) == 2 and states(root) == {0: 2}


def test_an_interrupt_reaches_the_jobs_of_submitit(plan: Plan, tmp_path: Path) -> None:
    slow = Plan(plan.script, (*plan.options[:2], "--pause", "60"))
    driver = start_sweeper(slow, tmp_path / "runs", "slurm")
    wait_for((tmp_path / "log").exists)
    started = time.monotonic()
    driver.send_signal(signal.SIGINT)
    assert driver.wait(40) != 0 and time.monotonic() - started < 30
    wait_for(lambda: not processes_of(str(plan.script)))


def test_a_run_that_is_killed_again_and_again_is_given_up(tmp_path: Path) -> None:
    kill_parent = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    folder, told = tmp_path / "run", []
    engine = engine_named("local", at_once=1, threads=1, logs=tmp_path)
    run_all(
        [Run(folder, (sys.executable, "-c", kill_parent))],
        engine,
        threads=1,
        is_done=lambda _: True,
        report=lambda _, words: told.append(words),
    )
    assert len(told) == 1 and told[0].startswith("killed (") and not (folder / EXIT_FILE).exists()


@pytest.mark.slow
def test_a_job_whose_time_is_over_may_save_and_is_queued_again(tmp_path: Path) -> None:
    """The signal is the one that Slurm is asked to send before the end."""
    script, begun, saved = tmp_path / "long.py", tmp_path / "begun", tmp_path / "saved"
    script.write_text(
        "import pathlib, sys, time\n"
        "begun, saved = map(pathlib.Path, sys.argv[1:])\n"
        "if saved.exists():\n"
        "    sys.exit(print('went on'))\n"
        "try:\n"
        "    begun.touch()\n"
        "    time.sleep(120)\n"
        "except KeyboardInterrupt:\n"
        "    saved.touch()\n"
    )
    engine = engine_named("slurm", ["cluster=local"], at_once=1, threads=1, logs=tmp_path)
    (job,) = engine.submit([[sys.executable, str(script), str(begun), str(saved)]], 0)
    wait_for(begun.exists)
    time.sleep(1.0)  # on a busy machine the job runs before its worker waits for it
    for pid in processes_of(WORKERS["slurm"], str(tmp_path)):
        os.kill(pid, signal.SIGUSR2)
    wait_for(job.done, 110)
    assert job.result() == Ended(0, "went on")


# A file system that all machines see --------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that another machine has prepared."""
    content = {"ticket": "a", "machine": "driver", "command": ["true"], "resume": []}
    (tmp_path / RUN_FILE).write_text(json.dumps(content | {"threads": 1, "cwd": str(tmp_path)}))
    return tmp_path


def test_a_machine_that_does_not_see_a_run_says_so(folder: Path, capsys) -> None:
    assert child.main(folder, "a") == 0 and read_json(folder / EXIT_FILE)["code"] == 0
    assert child.main(folder / "gone", "a") == NOT_SHARED
    assert f"machine {platform.node()} sees no {folder / 'gone'}" in capsys.readouterr().out
    assert child.main(folder, "b") == NOT_SHARED
    assert "sees another" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "local"),
    [
        ("rw,vers=4.2,local_lock=none", False),
        ("rw,vers=3,nolock", True),
        ("rw,vers=3,local_lock=all", True),
        ("rw,flock,lazystatfs", False),
        ("rw,localflock", True),
    ],
)
def test_locks_that_reach_one_machine_only_are_refused(options, local, folder: Path) -> None:
    mounts = folder / "mounts"
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/x {folder} nfs4 {options} 0 0\n")
    problem = child.why_not_shared(folder, "a", mounts)
    assert (problem is not None) == local
    assert not local or "do not reach other machines: it is mounted with" in str(problem)


def test_the_driver_says_what_a_machine_does_not_see(tmp_path: Path, monkeypatch) -> None:
    class Elsewhere:
        """An engine whose machine has a disk of its own."""

        poll_s, closed = 0.01, False

        def submit(self, commands, running):
            return [self] * len(commands)

        def done(self) -> bool:
            return True

        def result(self) -> Ended:
            return self.ended

        def close(self) -> None:
            self.closed = True

    def start(code: int, words: str) -> None:
        Elsewhere.ended = Ended(code, words)
        one = Run(tmp_path / "run", ("true",))
        tell = lambda *_: None  # noqa: E731
        run_all([one], Elsewhere(), threads=1, is_done=lambda _: True, report=tell)

    with pytest.raises(ValueError, match=r"node7 sees no x; all machines must see.*choose --out"):
        start(NOT_SHARED, "machine node7 sees no x")
    monkeypatch.setattr("sernf_isaac.sweep.runs.SEEN_S", 0.1)
    with pytest.raises(ValueError, match=r"run has ended, but its exit.json is not seen on"):
        start(0, "")


def test_a_run_that_somebody_is_at_is_left_to_them(folder: Path, capsys) -> None:
    lock = child.InodeLock(folder / child.LOCK_FILE)
    assert child.main(folder, "a") == BUSY and is_being_run(folder)
    lock.close()
    assert not is_being_run(folder)


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cloud", [], "no engine 'cloud'; there are local, slurm, ray"),
        ("local", ["a=1"], "--on local has no settings, but got a"),
        ("slurm", ["partition"], "--engine partition: write key=value"),
        ("slurm", [], r"--on slurm: .*srun.*--engine cluster=local"),
    ],
)
def test_settings_that_cannot_be_used_are_named(name, settings, message, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        engine_named(name, settings, at_once=1, threads=1, logs=tmp_path)


def test_settings_reach_slurm(tmp_path: Path, monkeypatch) -> None:
    """What sbatch would be given, by an `sbatch` that keeps it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("srun", "sacct"):
        (tools / tool).write_text("#!/bin/sh\n")
    (tools / "sbatch").write_text(f"#!/bin/sh\ncp $1 {tmp_path}/given; echo job 12\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    settings = ["partition=long", "timeout_min=90", "gpus_per_node=2", "mem_gb=8"]
    engine = engine_named("slurm", settings, at_once=3, threads=4, logs=tmp_path)
    assert len(engine.submit([["true"]] * 5, 0)) == 5
    assert engine.submit([["true"]], 5) == [], "one array after the other"
    given = (tmp_path / "given").read_text()
    for line in ("partition=long", "time=90", "gpus-per-node=2", "mem=8GB", "cpus-per-task=4"):
        assert f"#SBATCH --{line}\n" in given
    assert "#SBATCH --array=0-4%3\n" in given


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    engine = engine_named("local", at_once=1, threads=1, logs=tmp_path)
    ((number, ended),) = each_ended(engine, [["/no/such/python"]])
    engine.close()
    assert number == 0 and "cannot start /no/such/python: No such file" in ended.words
