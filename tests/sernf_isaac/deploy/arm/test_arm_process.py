"""The arm's own process: it outlives a killed actor, and needs no torch."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.deploy.arm.fake import FakeArm
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.arm.process import ArmProcess, ArmSetup
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.loop.tick_log import read_log

HOME = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
LIMITS = ArmLimits((0.2, -0.3, 0.05), (0.7, 0.3, 0.6))
TIMING = SafetyTiming(command_timeout_s=0.5, hold_s=0.3, relax_s=0.3)
SOON_S = 30.0
"""This machine may be busy with tests."""


class Unreachable(FakeArm):
    """An arm without power."""

    def connect(self) -> None:
        raise RuntimeError("no arm: nobody answers")


def setup(log: Path, driver: type[FakeArm] = FakeArm) -> ArmSetup:
    return ArmSetup(partial(driver, HOME, time.monotonic), LIMITS, TIMING, log=log)


def follow(process: ArmProcess) -> None:
    """Ramp, then follow a pose once."""
    until_s = time.monotonic() + SOON_S
    while (state := process.state().state) is not State.FOLLOW and time.monotonic() < until_s:
        if state is State.READY:
            process.send(Request.FOLLOW, HOME + np.array([0.02, 0, 0, 0, 0, 0, 0]))
        elif state is not State.RAMP:
            process.send(Request.RAMP, HOME + np.array([0.01, 0, 0, 0, 0, 0, 0]))
        process.alive()
        time.sleep(0.01)


def test_the_process_follows_stops_and_ends_with_its_context(log: Path) -> None:
    with ArmProcess(setup(log)) as process:
        follow(process)
        process.check()
        process.stop()
        until_s = time.monotonic() + SOON_S
        while process.state().state is not State.OFF and time.monotonic() < until_s:
            process.alive()
            time.sleep(0.01)
        assert process.state().reason is Reason.STOPPED
        pid = process.pid
    ticks = read_log(log, 7)
    assert list(np.diff(ticks["sequence"])) == [1] * (len(ticks) - 1)
    assert {State.RAMP, State.READY, State.FOLLOW} <= {State(s) for s in ticks["state"]}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_arm_holds_when_its_actor_is_killed_and_is_let_go_later(log: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "import test_arm_process as here\n"
        "process = here.ArmProcess(here.setup(pathlib.Path(sys.argv[1])))\n"
        "here.follow(process)\n"
        "print(process.pid, flush=True)\n"
        "while True: process.alive(); time.sleep(0.02)\n"
    )
    actor = subprocess.Popen(
        [sys.executable, "-c", program, str(log)], stdout=subprocess.PIPE, text=True
    )
    assert actor.stdout is not None
    arm = int(actor.stdout.readline())
    time.sleep(0.1)
    ended_s = time.monotonic()
    actor.send_signal(signal.SIGKILL)
    actor.wait()
    until_s = time.monotonic() + SOON_S
    while _alive(arm) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not _alive(arm), "it ends once nobody can come back"
    ticks = read_log(log, 7)
    after = ticks[ticks["time_s"] >= ended_s]
    held = after[after["state"] == State.HOLD]
    assert held["time_s"][0] - ended_s <= TIMING.command_timeout_s + 0.1
    assert set(held["reason"]) == {Reason.SILENT}
    assert np.ptp(held["sent"], axis=0).max() == 0.0, "the last command stays"
    lasted_s = held["time_s"][-1] - held["time_s"][0]
    assert lasted_s == pytest.approx(TIMING.hold_s + TIMING.relax_s, abs=0.2)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_arm_that_cannot_be_reached_is_an_error_with_its_message(
    log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        ArmProcess(setup(log, Unreachable))
    assert "nobody answers" in capfd.readouterr().err


def test_the_process_and_its_drivers_do_without_torch() -> None:
    modules = ("process", "panda", "franky", "fake")
    names = ", ".join(f"sernf_isaac.deploy.arm.{module}" for module in modules)
    program = f"import sys, {names}\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
