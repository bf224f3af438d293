"""Sessions with all their processes, on the twin."""

import multiprocessing
import os
import runpy
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
from first_hand import V1
from forked import FORKED
from tiny_student import save_tiny_student

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION
from sernf_isaac.data.store.channel import publish_checkpoint, wanted_checkpoint
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.windows import find_starts
from sernf_isaac.deploy.loop.states import SafetyTiming, State
from sernf_isaac.deploy.loop.tick_log import read_log
from sernf_isaac.deploy.policy.local import DecisionSettings, LoadReport, LocalPolicy, check_latency
from sernf_isaac.deploy.policy.worker import WorkerPolicy
from sernf_isaac.learning.finetune.run import first_policy
from sernf_isaac.policy import ChunkPolicy, load_policy
from sernf_isaac.spec import Contract
from tasks.cube_spin.hand.session import open_session, prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student

ROOT = Path(__file__).resolve().parents[3]
FITS = partial(check_student, hand=V1, symmetric_rotation=True, smoothing=0.5)


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("policy") / "student.pt")


@pytest.fixture
def quick_start(monkeypatch) -> None:
    """The policy's process is forked off one that has imported PyTorch."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: FORKED)


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


class Slow:
    """Takes its time with one file, to check it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, policy: ChunkPolicy, contract: Contract) -> None:
        if policy.sigma == SLOW:
            time.sleep(self._seconds)


QUICK, SLOW = 1e-6, 2e-6
"""Standard deviations by which the two are told apart; nothing is drawn with them."""


def test_a_policy_that_loads_too_long_does_not_drive_later_either(
    student, tmp_path, quick_start, monkeypatch
):
    policy, contract = load_policy(student)
    policy.sigma, student = QUICK, tmp_path / "quick.pt"
    policy.save(student, contract, {})
    policy.sigma = SLOW
    with torch.no_grad():
        for weight in policy.actor.parameters():
            weight.add_(0.1)
    slow = tmp_path / "slow.pt"
    policy.save(slow, contract, {})
    settings = DecisionSettings(candidates=1)
    local = LocalPolicy(settings, FITS)
    local.load(student)
    with WorkerPolicy(settings, Slow(0.5)) as worker:
        worker.load(student)
        monkeypatch.setattr("sernf_isaac.deploy.policy.worker.LOAD_TIMEOUT_S", 0.2)
        with pytest.raises(ValueError, match="could not be loaded within"):
            worker.load(slow)
        assert worker._pipe.poll(60.0), "it is ready by now"
        worker.request(*an_input())
        np.testing.assert_allclose(poll(worker), local.decide(*an_input()), atol=1e-4)
        monkeypatch.undo()
        worker.load(slow)  # the control: in time it is used
        worker.request(*an_input())
        assert np.abs(poll(worker) - local.decide(*an_input())).max() > 1e-3


def damaged_inside(student: Path, path: Path, change) -> Path:
    """A policy file of the right format and checksums with something else in it."""
    content = read_whole(student)
    change(content)
    write_whole(path, content)
    return path


CHANGES = {
    "layout": lambda c: c["config"].update(layout=5),
    "features": lambda c: c["config"]["layout"].update(features=["history"]),
    "horizon": lambda c: c["config"]["layout"]["spec"].update(horizon="six"),
    "support": lambda c: c["config"]["layout"]["critic"].update(support=None),
    "architecture": lambda c: c["config"]["layout"].update(architecture=7),
    "sigma": lambda c: c["config"].update(sigma=[1.0]),
    "joints": lambda c: c["contract"].update(joint_names=5),
    "observations": lambda c: c["contract"].update(observations=3),
    "weights": lambda c: c["weights"].update({n: torch.zeros(1) for n in [*c["weights"]][:3]}),
}


def test_a_file_with_the_wrong_kind_of_content_is_refused_and_the_process_lives(
    student, tmp_path, quick_start
):
    with WorkerPolicy(DecisionSettings(candidates=1), FITS) as worker:
        worker.load(student)
        for name, change in CHANGES.items():
            bad = damaged_inside(student, tmp_path / f"{name}.pt", change)
            with pytest.raises(ValueError, match=r"."):
                worker.load(bad)
        worker.request(*an_input())
        assert poll(worker).shape == (6, 17)


@pytest.mark.parametrize("factor", [57.29578, 3.0, 1e30])
def test_actions_of_another_unit_are_refused(student, tmp_path, factor):
    def scale(content) -> None:
        for name, value in content["weights"].items():
            if name.startswith("normalizer.") and name.split(".")[1] == ACTION:
                value *= factor

    bad = damaged_inside(student, tmp_path / "degrees.pt", scale)
    assert load_policy(bad)[1] == load_policy(student)[1]
    local = LocalPolicy(DecisionSettings(candidates=1), FITS, limits=(V1.lower_rad, V1.upper_rad))
    local.load(student)
    with pytest.raises(ValueError, match="leave the range of actions"):
        local.load(bad)


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
    for with_critics, expected in ((False, (2, "likelihood")), (True, (5, "value"))):
        local.load(save_tiny_student(tmp_path / f"{with_critics}.pt", with_critics=with_critics))
        local.decide(*an_input())
        assert drawn[-1] == expected


@pytest.mark.parametrize(
    ("hand", "pose", "more"),
    [
        ("orca", "camera", "calibration=rig.json"),
        ("mock", "still", "hand_config=my.yaml"),
    ],
)
def test_a_real_hand_is_started_by_flags_and_settings(
    tmp_path, monkeypatch, capsys, hand, pose, more
):
    script = ROOT / "scripts/run_hand.py"
    command = ["--run", f"{tmp_path}", "--print_config", "--hand", hand, "--pose", pose, more]
    monkeypatch.setattr(sys, "argv", [script.name, *command])
    runpy.run_path(f"{script}", run_name="__main__")
    key, value = more.split("=")
    shown = set(capsys.readouterr().out.splitlines())
    assert {f"hand: {hand}", f"pose: {pose}", f"{key}: {value}"} <= shown


def test_a_policy_of_another_machine_is_refused_and_the_old_one_stays(student, tmp_path):
    local = LocalPolicy(DecisionSettings(candidates=1), FITS)
    local.load(student)
    policy, contract = load_policy(student)
    other = tmp_path / "other.pt"
    policy.save(other, replace(contract, control_rate_hz=10.0), {})
    with pytest.raises(ValueError, match="control_rate_hz is 10"):
        local.load(other)
    wild = ChunkPolicy(
        policy.layout, policy.actor, policy.critics, policy.normalizer, sigma=policy.sigma
    )
    with torch.no_grad():
        for weight in wild.actor.flow.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        wild.save(other, contract, {})
    assert local.decide(*an_input()).shape == (6, 17)


def test_a_decision_that_takes_longer_than_the_prefix_is_refused():
    report = LoadReport("x.pt", ChunkSpec(), p50_s=0.09, p99_s=0.11, has_critics=False)
    with pytest.raises(
        ValueError, match=r"110 ms \(p99; median 90\), the prefix of 2 steps covers 100 ms"
    ):
        check_latency(report, 20.0)
    check_latency(replace(report, p99_s=0.099), 20.0)


@pytest.mark.parametrize(
    ("report", "load", "helps"),
    [
        ({"p50_s": 0.2, "candidates": 24}, 0.1, "use fewer candidates than 24, a faster device"),
        ({"p50_s": 0.2, "candidates": 1}, 0.1, "use a faster device or a smaller policy"),
        ({"p50_s": 0.05, "candidates": 1}, 0.1, "other programs keep this computer busy"),
        ({"p50_s": 0.2, "candidates": 24}, 999.0, "busy .load 999.0 on .* cores.; end them"),
    ],
)
def test_a_busy_computer_is_told_from_a_slow_policy(
    report: dict, load: float, helps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    slow = LoadReport("x.pt", ChunkSpec(), p99_s=0.3, has_critics=False, **report)
    with pytest.raises(ValueError, match=helps):
        check_latency(slow, 20.0)


def test_a_run_is_one_hand_and_needs_a_policy(student, tmp_path):
    with pytest.raises(ValueError, match="no policy yet"):
        prepare(HandRun(), tmp_path / "run", None)
    prepare(HandRun(), tmp_path / "run", student)
    prepare(HandRun(), tmp_path / "run", None)
    with pytest.raises(ValueError, match="another run: hand differ"):
        prepare(HandRun(hand="mock", pose="still"), tmp_path / "run", None)


def test_a_first_start_that_was_cut_off_goes_on_with_the_same_policy(
    student, tmp_path, monkeypatch
):
    run, other = tmp_path / "run", tmp_path / "other.pt"
    policy, contract = load_policy(student)
    policy.save(other, contract, {"another": 1})

    def killed(*_):
        raise OSError("killed")

    monkeypatch.setattr("sernf_isaac.data.store.channel.point", killed)
    with pytest.raises(OSError, match="killed"):
        prepare(HandRun(), run, student)
    monkeypatch.undo()
    assert wanted_checkpoint(run) is None
    with pytest.raises(ValueError, match=r"began with 000000000-.*, not with .*other\.pt"):
        prepare(HandRun(), run, other)
    prepare(HandRun(), run, student)
    wanted = wanted_checkpoint(run)
    assert wanted is not None and first_policy(run) == run / wanted.file.path
    with pytest.raises(ValueError, match="leave --policy out"):
        prepare(HandRun(), run, other)


def test_a_run_with_two_first_policies_says_so(student, tmp_path):
    prepare(HandRun(), tmp_path / "run", student)
    other = tmp_path / "other.pt"
    policy, contract = load_policy(student)
    policy.save(other, contract, {"another": 1})
    publish_checkpoint(tmp_path / "run", other, 0)
    with pytest.raises(ValueError, match="several first policies"):
        first_policy(tmp_path / "run")


@pytest.mark.parametrize(
    "settings", [{"hand": "left"}, {"pose": "guess"}, {"hand": "orca", "pose": "truth"}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"must be one of|--pose camera"):
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


@pytest.mark.slow
def test_a_policy_process_that_is_stopped_ends_the_session_and_is_not_learned_from(
    student, tmp_path
):
    run, told = tmp_path / "run", []
    decisions = DecisionSettings(candidates=1)
    settings = HandRun(decisions=decisions, safety=SafetyTiming(command_timeout_s=0.5))
    prepare(settings, run, student)
    with (
        open_session(settings, run, told.append) as session,
        pytest.raises(RuntimeError, match="no decision within 1 s"),
    ):
        policy = session.station.policy
        assert isinstance(policy, WorkerPolicy) and policy.pid is not None
        request, asked = policy.request, []

        def stop_after_ten(observation, prefix):
            asked.append(request(observation, prefix))
            if len(asked) == 10:
                os.kill(policy.pid, signal.SIGSTOP)

        policy.request = stop_after_ten
        session.station.task.lost = lambda pose: False  # this student would drop the cube before
        results = [result.end for result in session.episodes(count=3)]
        raise AssertionError(results)
    reader = RunReader(run)
    episode = reader.load(reader.commits()[-1])
    assert episode.outcome == "stopped" and 5 <= episode.overridden.sum() < 30
    assert find_starts(episode, ChunkSpec()).max() + 6 <= np.flatnonzero(episode.overridden)[0]
