"""The hand as a process of its own: the only owner of the bus, without torch, at 40 Hz.

A thread beside a network would share its interpreter lock and come 20 ms late; a process with its
own lock does not, and it outlives the actor long enough to open the hand and switch it off.

Started by `HandProcess` as `python -m sernf_isaac.deploy.hand_process`, settings on standard input.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from sernf_isaac.deploy.controller import Request, SafetyTiming, State
from sernf_isaac.deploy.guard import GuardLimits
from sernf_isaac.deploy.hand_server import COMMAND_RATE_HZ, ERRORS, HandServer
from sernf_isaac.deploy.messages import (
    HandState,
    SharedMessages,
    command_layout,
    operator_layout,
    state_layout,
    to_command,
    to_state,
)
from sernf_isaac.deploy.protocols import Array, HandDescription, HandDriver

START_TIMEOUT_S = 60.0
PRIORITY = 20
"""Among real-time processes, where the system allows one."""
CLOSE_MARGIN_S = 4.0
"""What the process may take to end, beside the time of HOLD and RELAX."""


@dataclass(frozen=True)
class HandSetup:
    """All that the process needs; must be picklable."""

    make_driver: Callable[[], HandDriver]
    """Called in the process; a `functools.partial` of something importable without torch."""
    hand: HandDescription
    open_pose: tuple[float, ...]
    """Where the hand goes to let go [rad]."""
    limits: GuardLimits = field(default_factory=GuardLimits)
    timing: SafetyTiming = field(default_factory=SafetyTiming)
    rate_hz: float = COMMAND_RATE_HZ
    log: Path | None = None
    """Every tick's report goes here (see `read_log`)."""


class HandProcess:
    """The actor's end: starts the process, sends requests, reads reports.

    Args:
        setup: What to run.
        clock: Must be the system's monotonic clock; the process compares times with its own.

    Raises:
        RuntimeError: If the hand cannot be reached; says what the process said.
    """

    def __init__(self, setup: HandSetup, clock: Callable[[], float] = time.monotonic) -> None:
        self.hand, self._clock = setup.hand, clock
        self._close_s = setup.timing.hold_s + setup.timing.relax_s + CLOSE_MARGIN_S
        self._messages, path = SharedMessages.create(setup.hand.num_joints)
        self._command = np.zeros(1, command_layout(setup.hand.num_joints))
        self._keys = np.zeros(1, operator_layout())
        places = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sernf_isaac.deploy.hand_process", str(path), str(os.getpid())],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the actor; the hand must go on
        )
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(pickle.dumps(setup))
            self._process.stdin.close()
            self._wait_until_ready()
        finally:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the hand's process."""
        return self._process.pid

    def state(self) -> HandState:
        """The newest report."""
        message = self._messages.state.read()
        assert message is not None, "the constructor waits for the first report"
        return to_state(message)

    def send(self, request: Request, target: Array | None = None) -> int:
        """Ask for something, once; also a sign of life. Returns the request's number."""
        self._command["sequence"] += 1
        self._command["request"] = request
        if target is not None:
            self._command["target"] = target
        self.alive()
        return int(self._command["sequence"][0])

    def alive(self) -> None:
        """Only a sign of life: the last request stays, so that it cannot be missed."""
        self._command["time_s"] = self._clock()
        self._messages.command.write(self._command)

    def stop(self) -> None:
        """The stop key: no torque at the next tick, until a person clears it."""
        self._keys["stops"] += 1
        self._messages.operator.write(self._keys)

    def clear(self) -> None:
        """A person looked at a fault and found it harmless."""
        self._keys["clears"] += 1
        self._messages.operator.write(self._keys)

    def check(self) -> None:
        """Nothing if the process reports in time.

        Raises:
            RuntimeError: If it died or hangs.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"the hand's process ended with status {self._process.returncode}")
        if (age_s := self._clock() - self.state().time_s) > 1.0:
            raise RuntimeError(f"the hand's process has not reported for {age_s:.1f} s")

    def close(self) -> None:
        """The hand holds, opens, is off, and its process ends; harmless when closed."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(self._close_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while self._messages.state.read() is None:
            if self._process.poll() is not None:
                raise RuntimeError("the hand did not start; its own message is above")
            if time.monotonic() > until:
                self.close()
                raise RuntimeError(f"the hand did not start within {START_TIMEOUT_S:.0f} s")
            time.sleep(0.01)


def read_log(path: Path, num_joints: int) -> np.ndarray:
    """(T,) reports of a tick log, fields as in `state_layout`; a torn last one is left out."""
    layout = state_layout(num_joints)
    data = path.read_bytes()
    return np.frombuffer(data[: len(data) // layout.itemsize * layout.itemsize], layout)


class TickLog:
    """Every report in a file, for as long as there is room: the hand goes on without its log.

    Args:
        path: Appended to, after whole records only.
        record_size: Bytes of one.
    """

    def __init__(self, path: Path, record_size: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._record_size = record_size
        self._cut_torn()
        self.ended = ""
        """Why there are no more records; empty while there are."""

    def add(self, record: bytes) -> None:
        """Append one, unless the log has ended."""
        if self.ended:
            return
        try:
            if os.write(self._file, record) < len(record):
                raise OSError("no room for a whole record")
        except OSError as error:
            self.ended = f"the log of ticks ends here: {error}"
            with suppress(OSError):
                self._cut_torn()

    def _cut_torn(self) -> None:
        size = os.fstat(self._file).st_size
        if torn := size % self._record_size:
            os.ftruncate(self._file, size - torn)


def main() -> None:
    """Serve until terminated, or until the actor is gone; the hand is off then."""
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    setup: HandSetup = pickle.load(sys.stdin.buffer)
    messages = SharedMessages(path, setup.hand.num_joints)
    driver = setup.make_driver()
    server = HandServer(
        driver,
        setup.hand,
        limits=setup.limits,
        timing=setup.timing,
        open_pose=np.array(setup.open_pose),
        rate_hz=setup.rate_hz,
    )
    try:
        driver.connect()
        _serve(server, messages, parent, setup.log)
    except ERRORS as error:
        sys.exit(f"hand: {error}")
    finally:
        server.close()


def _serve(server: HandServer, messages: SharedMessages, parent: int, log: Path | None) -> None:
    """Tick until the hand is off and nobody wants more of it.

    A process that is told to end hears no more commands: to the hand that is an actor that died.
    """
    told_to_end = over = False

    def end(*_: object) -> None:
        nonlocal told_to_end
        told_to_end = True

    signal.signal(signal.SIGTERM, end)
    ticks = TickLog(log, messages.state.record_size) if log else None
    _hurry()
    due_s, missed = time.monotonic(), 0
    while not over:
        now_s = time.monotonic()
        pressed = messages.operator.read()
        keys = (0, 0) if pressed is None else (int(pressed["stops"]), int(pressed["clears"]))
        command = None if told_to_end else to_command(messages.command.read())
        report = server.tick(now_s, command, keys, lateness_s=now_s - due_s, missed=missed)
        if ticks and ticks.ended and not report["error"][0]:
            report["error"] = ticks.ended.encode()[:200]
        messages.state.write(report)
        if ticks:
            ticks.add(report.tobytes())
        orphaned = os.getppid() != parent
        off = server.controller.state is State.OFF
        over = (told_to_end and (off or server.ends_at_once)) or (orphaned and off)
        due_s += server.period_s
        late_s = time.monotonic() - due_s
        if late_s > server.period_s:  # whole periods are gone: leave them out, do not rush after
            skipped = int(late_s / server.period_s)
            missed, due_s = missed + skipped, due_s + skipped * server.period_s
        time.sleep(max(due_s - time.monotonic(), 0.0))


def _hurry() -> None:
    """Real-time priority where the system allows it; no garbage collection in the loop."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except (OSError, AttributeError):
        try:
            os.nice(-10)
        except OSError:
            return


if __name__ == "__main__":
    main()
