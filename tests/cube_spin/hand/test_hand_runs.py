"""Sessions with all their processes, on the twin."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_student import save_tiny_student

from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.windows import ChunkSpec
from sernf_isaac.deploy.loop.states import State
from sernf_isaac.deploy.loop.tick_log import read_log
from sernf_isaac.deploy.policy.local import DecisionSettings, LoadReport, LocalPolicy, check_latency
from sernf_isaac.deploy.policy.worker import WorkerPolicy
from sernf_isaac.policy import ChunkPolicy, load_policy
from tasks.cube_spin.hand.session import prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student

ROOT = Path(__file__).resolve().parents[3]
FITS = partial(check_student, symmetric_rotation=True, smoothing=0.5)


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("policy") / "student.pt")


def an_input() -> tuple[dict[str, np.ndarray], np.ndarray]:
    sizes = {"history": (4, 24), "command": (34,), "goal": (1,)}
    observation = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    return observation, np.zeros((2, 17))


def test_a_process_decides_as_the_policy_itself_and_outlives_bad_input(student):
    settings = DecisionSettings(candidates=4)
    local = LocalPolicy(settings, FITS)
    local.load(student)
    with WorkerPolicy(settings, FITS) as worker:
        report = worker.load(student)
        assert isinstance(report, LoadReport) and report.has_critics and report.p99_s > 0.0
        assert report.spec == ChunkSpec()
        observation, prefix = an_input()
        worker.request(observation, prefix)
        expected = local.decide(observation, prefix)
        np.testing.assert_allclose(poll(worker), expected, atol=1e-6)
        worker.request(observation | {"goal": np.full(1, np.nan, np.float32)}, prefix)
        with pytest.raises(RuntimeError, match="the policy failed: goal is nan"):
            poll(worker)
        with pytest.raises(ValueError, match="no policy file"):
            worker.load(student.with_name("nothing.pt"))
        worker.request(observation, prefix)
        time.sleep(2.0)
        assert poll(worker).shape == (6, 17)
        assert 0.0 < worker.last_latency_s < 2.0, "until it was there, not until somebody looked"
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="process is gone"):
            worker.request(observation, prefix)
            poll(worker)


def poll(worker: WorkerPolicy) -> np.ndarray:
    until = time.monotonic() + 20.0
    while (chunk := worker.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.001)
    return chunk


def test_a_policy_without_critics_draws_as_many_chunks_as_asked_for_it(tmp_path, monkeypatch):
    drawn: list[tuple[int, str]] = []
    decide = ChunkPolicy.decide

    def counted(self, observation, prefix, *, candidates, rank, generator):
        drawn.append((candidates, rank))
        return decide(
            self, observation, prefix, candidates=candidates, rank=rank, generator=generator
        )

    monkeypatch.setattr(ChunkPolicy, "decide", counted)
    local = LocalPolicy(DecisionSettings(candidates=5, first_candidates=2), FITS)
    for judged, expected in ((False, (2, "likelihood")), (True, (5, "value"))):
        local.load(save_tiny_student(tmp_path / f"{judged}.pt", judged=judged))
        local.decide(*an_input())
        assert drawn[-1] == expected


@pytest.mark.parametrize(
    ("hand", "pose", "more"),
    [("orca", "camera", "calibration=rig.json"), ("mock", "still", "hand_config=my.yaml")],
)
def test_a_real_hand_is_started_by_flags_and_settings(tmp_path, hand, pose, more):
    command = [sys.executable, "scripts/run_hand.py", "--run", str(tmp_path), "--print_config"]
    command += ["--hand", hand, "--pose", pose, more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    key, value = more.split("=")
    assert {f"hand: {hand}", f"pose: {pose}", f"{key}: {value}"} <= set(done.stdout.splitlines())


def test_a_policy_of_another_machine_is_refused_and_the_old_one_stays(student, tmp_path):
    local = LocalPolicy(DecisionSettings(candidates=1), FITS)
    local.load(student)
    policy, contract = load_policy(student)
    other = tmp_path / "other.pt"
    policy.save(other, replace(contract, control_rate_hz=10.0), {})
    with pytest.raises(ValueError, match="control_rate_hz is 10"):
        local.load(other)
    wild = ChunkPolicy(
        policy.layout, policy.actor, policy.judge, policy.normalizer, sigma=policy.sigma
    )
    with torch.no_grad():
        for weight in wild.actor.flow.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        wild.save(other, contract, {})
    assert local.decide(*an_input()).shape == (6, 17)


def test_a_decision_that_takes_longer_than_the_prefix_is_refused():
    report = LoadReport("x.pt", ChunkSpec(), p50_s=0.09, p99_s=0.11, has_critics=False)
    with pytest.raises(ValueError, match=r"110 ms \(p99\), the prefix of 2 steps covers 100 ms"):
        check_latency(report, 20.0)
    check_latency(replace(report, p99_s=0.099), 20.0)


def test_a_run_is_one_hand_and_needs_a_policy(student, tmp_path):
    with pytest.raises(ValueError, match="no policy yet"):
        prepare(HandRun(), tmp_path / "run", None)
    prepare(HandRun(), tmp_path / "run", student)
    prepare(HandRun(), tmp_path / "run", None)
    with pytest.raises(ValueError, match="another run: hand differ"):
        prepare(HandRun(hand="mock", pose="still"), tmp_path / "run", None)


@pytest.mark.parametrize(
    "settings", [{"hand": "left"}, {"pose": "guess"}, {"hand": "orca", "pose": "truth"}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"must be one of|only the twin knows"):
        HandRun(**settings)


def run_hand(run: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "scripts/run_hand.py", "--run", str(run), "twin.support_s=3"]
    command += ["decisions.candidates=1", "safety.command_timeout_s=0.5", *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_an_actor_may_be_killed_at_any_point_and_started_again(student, tmp_path):
    run = tmp_path / "run"
    first = run_hand(run, "--policy", str(student))
    until = time.monotonic() + 200.0
    while not list(run.glob("wal/*.wal")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    first.kill()
    first.wait()
    ticks = read_log(run / "hand-actor.log", 17)
    assert State.FOLLOW in ticks["state"]
    second = run_hand(run, "--episodes", "1")
    out, _ = second.communicate(timeout=250)
    assert second.returncode == 0 and "recovered 1 episodes" in out
    reader = RunReader(run)
    commits = reader.commits()
    assert commits[0].outcome == "recovered" and commits[0].steps >= 5
    assert commits[-1].outcome in ("failure", "timeout") and len(commits) >= 2
    assert not list(run.glob("wal/*.wal"))
