"""The border between the two environments: what may go wrong in the other one, and what is said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_robosuite import FAKE_SERVER

from tasks.robomimic.client import (
    PYTHON_VARIABLE,
    SERVER,
    RobosuiteClient,
    RobosuiteError,
    RobosuiteSettings,
    describe,
)

REST = np.zeros(7)


def faulty(fault: str) -> RobosuiteSettings:
    return RobosuiteSettings(kwargs={"fault": fault})


def is_gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends in time; one that nobody has waited for yet counts as ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_the_same_seed_is_the_same_episode(client):
    def run(seed: int) -> list[np.ndarray]:
        draw = np.random.default_rng(0)
        first = client.reset(seed)
        rest = [client.step(draw.uniform(-1, 1, 7)) for _ in range(5)]
        return [seen.state for seen in [first, *rest]]

    first, other, again = run(3), run(4), run(3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_everything_arrives_with_its_meaning(client):
    seen = client.reset(0)
    assert sorted(seen.observation) == ["object", "robot0_eef_pos", "robot0_eef_quat"]
    assert seen.observation["object"].shape == (10,) and seen.state.shape == (6,)
    assert (seen.reward, seen.succeeded) == (0.0, False)
    after = client.step(np.array([1.0, 0, 0, 0, 0, 0, -1]))
    moved = after.observation["robot0_eef_pos"] - seen.observation["robot0_eef_pos"]
    np.testing.assert_allclose(moved, [0.05, 0, 0], atol=1e-12)
    assert client.model_xml() == "<mujoco model='fäke'/>"
    assert client.versions == {"fake": "1.0"} and client.control_rate_hz == 20
    assert "Lift, actions of 7 numbers at 20 Hz" in describe(client)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(6), r"an action must be \(7,\), not \(6,\)"),
        (np.zeros((1, 7)), r"not \(1, 7\)"),
        (np.array([0, 0, np.nan, 0, 0, 0, 0]), "action is nan at index 2"),
        (np.array([0, 0, 0, 0, 0, 0, -np.inf]), "action is -inf at index 6"),
    ],
)
def test_a_bad_action_is_refused_before_anything_happens(client, action, message):
    before = client.reset(1).state
    with pytest.raises(ValueError, match=message):
        client.step(action)
    assert np.array_equal(client.step(REST).state, before)
    with pytest.raises(ValueError, match=r"seed \(-1\) must be >= 0"):
        client.reset(-1)


def test_requests_and_answers_take_turns(make_client):
    one = make_client()
    one.begin_reset(0)
    with pytest.raises(RuntimeError, match="'step' before the answer to 'reset' was taken"):
        one.begin_step(REST)
    assert not one.finish().succeeded
    one.step(REST)


def test_a_killed_process_is_named_and_stays_dead(make_client):
    one = make_client()
    one.reset(0)
    os.kill(one.pid, signal.SIGKILL)
    with pytest.raises(RobosuiteError, match=r"died (at|before) 'step' \(by SIGKILL\)"):
        one.step(REST)
    assert not one.is_running
    with pytest.raises(RobosuiteError, match="'reset' after the process was closed"):
        one.reset(0)
    one.close()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("die", r"died at 'step' \(by SIGABRT\)"),
        ("leave", r"(?s)died at 'step' \(exit status 7\).*printed last:.*the table is on fire"),
    ],
)
def test_a_process_that_dies_says_its_last_words(make_client, fault, message):
    one = make_client(faulty(fault))
    one.reset(0)
    with pytest.raises(RobosuiteError, match=message):
        one.step(REST)


def test_a_process_that_hangs_is_ended_in_time(make_client):
    one = make_client(faulty("hang"), timeout_s=0.5)
    one.reset(0)
    started = time.monotonic()
    with pytest.raises(RobosuiteError, match=r"did not answer 'step' within 0.5 s and was ended"):
        one.step(REST)
    assert time.monotonic() - started < 10 and not one.is_running


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refuse", r"refused 'make': ValueError: no environment called so\n\(Lift in fake 1.0\)"),
        ("crash", r"refused 'make': ArithmeticError: mesh is broken\n\(Lift in fake 1.0\)"),
    ],
)
def test_an_environment_that_cannot_be_made_is_explained(make_client, fault, message):
    with pytest.raises(RobosuiteError, match=message):
        make_client(faulty(fault))


def other_server(folder: Path, line: str) -> Path:
    """A server that differs from the fake one in how it begins."""
    path = folder / "other_server.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(FAKE_SERVER.parent)!r})\nimport fake_server\n{line}\n"
    )
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fake_server.main(protocol=99)", "speaks version 99 of the protocol, this side 1"),
        ("fake_server.time.sleep(60)", r"did not answer 'start' within 1 s"),
        ("raise ImportError('no such thing')", r"(?s)died at 'start'.*ImportError: no such thing"),
        (
            "fake_server.os.write(int(sys.argv[1]), b'HTTP/1.1 400 Bad Request')",
            "answered 'start' with something else",
        ),
    ],
)
def test_a_server_that_does_not_say_hello_is_refused(make_client, tmp_path, line, message):
    start_timeout_s = 1.0 if "sleep" in line else 60.0
    with pytest.raises(RobosuiteError, match=message):
        make_client(server=other_server(tmp_path, line), start_timeout_s=start_timeout_s)


def test_a_missing_interpreter_is_told_how_to_make(tmp_path, monkeypatch):
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError, match=r"(?s)tmp.*python; make its.*requirements.txt"):
        RobosuiteClient(RobosuiteSettings())
    assert (SERVER.parent / "requirements.txt").is_file()


def test_an_environment_without_robosuite_says_so():
    """This one, for example."""
    with pytest.raises(RobosuiteError, match="No module named 'robosuite'"):
        RobosuiteClient(RobosuiteSettings(), Path(sys.executable), server=SERVER)


def test_packages_of_this_side_do_not_leak_into_the_other(make_client, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise ImportError('a NumPy of this side')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    leaks = subprocess.run([sys.executable, "-c", "import numpy"], capture_output=True, check=False)
    assert leaks.returncode != 0, "the trap does not work"
    make_client().reset(0)


def test_closing_ends_the_process_even_if_it_is_busy(make_client):
    one, busy = make_client(), make_client(faulty("hang"))
    one.close()
    one.close()
    assert is_gone(one.pid)
    busy.reset(0)
    busy.begin_step(REST)
    busy.close()
    assert is_gone(busy.pid)


def test_the_process_ends_with_the_one_who_started_it():
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tasks.robomimic.client import RobosuiteClient, RobosuiteSettings\n"
        f"python, server = Path(sys.executable), Path({str(FAKE_SERVER)!r})\n"
        "client = RobosuiteClient(RobosuiteSettings(), python, server=server)\n"
        "print(client.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert is_gone(int(ended.stdout))
