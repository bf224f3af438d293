"""The hand's own process: messages, silence, and what it must not import."""

import mmap
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

from sernf_isaac.benchmarks.safety import round_trip_rad, safety_table
from sernf_isaac.benchmarks.silence import ideal_setup, silence_trials
from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
from sernf_isaac.deploy.loop.messages import Mailbox, SharedMessages, command_layout, to_command
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.loop.tick_log import TickLog, read_log
from sernf_isaac.deploy.protocols import HandDescription

LAYOUT = np.dtype([("number", "i8"), ("values", "f8", (5,))])


class Unreachable(IdealHand):
    """A hand without power."""

    def connect(self) -> None:
        raise RuntimeError("no ORCA hand: nobody answers")


def a_message(number: int) -> np.ndarray:
    return np.array([(number, np.full(5, float(number)))], LAYOUT)


def test_a_mailbox_gives_the_newest_message():
    memory = mmap.mmap(-1, Mailbox.room(LAYOUT))
    writer, reader = Mailbox(memory, 0, LAYOUT), Mailbox(memory, 0, LAYOUT)
    assert reader.read() is None
    for number in (1, 2):
        writer.write(a_message(number))
    assert reader.read()["number"] == 2 and reader.read()["values"].tolist() == [2.0] * 5


@pytest.mark.parametrize("cut", [0, 20, 40])
def test_a_writer_that_dies_while_writing_leaves_the_last_whole_message(cut):
    memory = mmap.mmap(-1, Mailbox.room(LAYOUT))
    writer, reader = Mailbox(memory, 0, LAYOUT), Mailbox(memory, 0, LAYOUT)
    writer.write(a_message(1))
    assert reader.read()["number"] == 1
    memory[0] += 1  # odd: being written
    memory[16 : 16 + cut] = b"\xff" * cut
    assert reader.read()["number"] == 1
    memory[0] += 1  # even again, but the content is half of two messages
    assert reader.read()["values"].tolist() == [1.0] * 5


def test_two_mappings_of_one_file_see_each_other():
    mine, shared = SharedMessages.create(3)
    theirs = SharedMessages(Path(f"/dev/fd/{shared}"), 3)
    os.close(shared)
    message = np.zeros(1, command_layout(3))
    message["sequence"], message["request"], message["target"] = 7, Request.RAMP, [1.0, 2.0, 3.0]
    mine.command.write(message)
    command = to_command(theirs.command.read())
    assert command is not None and command.request is Request.RAMP and command.sequence == 7
    assert theirs.state.read() is None


def test_a_request_that_nobody_knows_is_a_message_all_the_same():
    message = np.zeros(1, command_layout(3))
    message["sequence"], message["request"] = 7, 99
    command = to_command(message[0])
    assert command is not None and command.request is Request.UNKNOWN


STARTS = """
import sys, time
from functools import partial
from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
from sernf_isaac.deploy.protocols import HandDescription

hand = HandDescription(("a",), (-1.0,), (1.0,), ("a",), (1,))
print("starting", flush=True)
HandProcess(HandSetup(partial(time.sleep, 5.0), hand, (0.0,)))
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no memory with names here")
def test_an_actor_killed_while_its_hand_starts_leaves_no_shared_memory():
    before = set(os.listdir("/dev/shm"))
    actor = subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE)
    assert actor.stdout is not None and actor.stdout.readline()
    time.sleep(0.3)
    actor.kill()
    actor.wait()
    left = {name for name in set(os.listdir("/dev/shm")) - before if "sernf" in name}
    assert not left


def test_the_process_follows_logs_and_ends_with_its_context(hand, log):
    setup = ideal_setup(hand, log)
    pose = np.array(setup.open_pose)
    with HandProcess(setup) as process:
        pid = process.pid
        process.send(Request.RAMP, pose + 0.1)
        until = time.monotonic() + 20.0
        while process.state().state is not State.FOLLOW and time.monotonic() < until:
            if process.state().state is State.READY:
                process.send(Request.FOLLOW, pose)
            process.alive()
            time.sleep(0.01)
        process.check()
        process.stop()
        time.sleep(0.2)
        assert process.state().reason is Reason.STOPPED
    ticks = read_log(log, 3)
    assert list(np.diff(ticks["sequence"])) == [1] * (len(ticks) - 1)
    visited = [State(state) for state in dict.fromkeys(ticks["state"].tolist())]
    assert visited == [State.OFF, State.RAMP, State.READY, State.FOLLOW]
    with pytest.raises(RuntimeError, match="ended with status"):
        process.check()
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_actor_that_ends_leaves_a_hand_that_holds(hand, how):
    report = silence_trials(hand, 1, how=how)
    limit_ms = 1e3 * (SafetyTiming().command_timeout_s + 1 / 40)
    assert report.never_held == 0
    assert 0.0 < report.held_ms[0] <= limit_ms + 10.0  # 10: this machine may be busy with tests


def test_closing_opens_the_hand_before_it_is_switched_off(hand, log):
    setup = replace(ideal_setup(hand, log), timing=SafetyTiming(hold_s=0.2, relax_s=0.3))
    with HandProcess(setup) as process:
        until = time.monotonic() + 20.0
        while process.state().state is not State.READY and time.monotonic() < until:
            if process.state().state is not State.RAMP:
                process.clear()
                process.send(Request.RAMP, np.array(setup.open_pose) + 0.1)
            process.alive()
            time.sleep(0.01)
    ticks = read_log(log, 3)
    visited = [State(state) for state in dict.fromkeys(ticks["state"][::-1].tolist())]
    assert visited[:4] == [State.OFF, State.RELAX, State.HOLD, State.READY]
    np.testing.assert_allclose(ticks["sent"][-1], setup.open_pose, atol=1e-6)


def test_a_full_disk_ends_the_log_and_not_the_hand(hand):
    setup = ideal_setup(hand, Path("/dev/full"))
    with HandProcess(setup) as process:
        first = process.state().sequence
        until = time.monotonic() + 20.0
        while process.state().sequence < first + 3 and time.monotonic() < until:
            process.alive()
            time.sleep(0.01)
        process.check()
        assert process.state().sequence >= first + 3
        assert "No space left" in process.state().error


def test_a_log_holds_whole_records_only(tmp_path, monkeypatch):
    path = tmp_path / "ticks.log"
    path.write_bytes(b"aaaabbbbcc")  # torn by an earlier end
    log, write = TickLog(path, 4), os.write
    log.add(b"dddd")
    assert path.read_bytes() == b"aaaabbbbdddd" and not log.ended
    monkeypatch.setattr(os, "write", lambda file, record: write(file, record[:3]))
    log.add(b"eeee")
    monkeypatch.undo()
    log.add(b"ffff")
    assert path.read_bytes() == b"aaaabbbbdddd" and "no room" in log.ended


def test_a_hand_that_cannot_be_reached_is_an_error_with_its_message(hand, log, capfd):
    setup = HandSetup(partial(Unreachable, np.zeros(3)), hand, (0.0, 0.0, 0.0), log=log)
    with pytest.raises(RuntimeError, match="did not start"):
        HandProcess(setup)
    assert "nobody answers" in capfd.readouterr().err


def test_the_process_and_its_drivers_do_without_torch():
    modules = ("process", "orca", "ideal")
    names = ", ".join(f"sernf_isaac.deploy.hand.{module}" for module in modules)
    program = (
        f"import sys, {names}, tasks.cube_spin.hand.twin_driver\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_joints_survive_the_way_to_the_driver_and_back(hand):
    assert round_trip_rad(hand, poses=50) <= 1e-9
    there = JointMap(hand, ["index", "wrist", "thumb"]).to_driver(np.radians([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(there, [30.0, -10.0, 20.0])


def test_a_driver_with_other_joints_is_refused(hand: HandDescription):
    with pytest.raises(ValueError, match=r"missing \['index'\], unknown \['ring'\]"):
        JointMap(hand, ["wrist", "thumb", "ring"])


def test_the_table_of_figures_says_what_failed():
    figures = {
        "fuzz: outside the limits": 0.0,
        "fuzz: too fast": 2.0,
        "negative control: violations": 0.0,
        "HOLD limit [ms]": 125.0,
        "actor killed: HOLD, worst [ms]": 126.0,
        "loop lateness under load, p99 [ms]": 1.0,
    }
    verdicts = {line[:42].strip(): line.split()[-1] for line in safety_table(figures).splitlines()}
    failed = {name for name, verdict in verdicts.items() if verdict == "FAILED"}
    assert failed == {
        "fuzz: too fast",
        "negative control: violations",
        "actor killed: HOLD, worst [ms]",
    }
    assert verdicts["fuzz: outside the limits"] == "ok"
