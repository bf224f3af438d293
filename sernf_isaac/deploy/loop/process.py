"""The control loop of a machine as a process of its own, without torch.

A thread beside a network would share its interpreter lock and come 20 ms late; a process with its
own lock does not, and it outlives the actor long enough to bring the machine to rest.
"""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Self

import numpy as np

from sernf_isaac.deploy.loop.messages import (
    HandState,
    SharedMessages,
    command_layout,
    operator_layout,
    to_state,
)
from sernf_isaac.deploy.loop.states import Request
from sernf_isaac.deploy.loop.vectors import as_target
from sernf_isaac.deploy.protocols import Array

START_TIMEOUT_S = 60.0
CLOSE_MARGIN_S = 4.0
"""What the process may take to end, beside the time of HOLD and RELAX."""
SILENT_S = 1.0
"""A process that has not reported for this long hangs."""


class LoopProcess:
    """The actor's end: starts the process, sends requests, reads reports.

    Args:
        machine: What the process drives, for messages: "hand", "arm".
        module: Is run with `python -m`; reads the settings from its standard input.
        setup: The settings; must be picklable.
        size: Numbers in a target.
        close_s: How long the process may take to end.
        clock: Must be the system's monotonic clock; the process compares times with its own.
        sensors: As in `state_layout`.

    Raises:
        RuntimeError: If the machine cannot be reached; says what the process said.
    """

    def __init__(
        self,
        machine: str,
        module: str,
        setup: object,
        *,
        size: int,
        close_s: float,
        clock: Callable[[], float] = time.monotonic,
        sensors: Mapping[str, int] | None = None,
    ) -> None:
        self._machine, self._close_s, self._clock = machine, close_s, clock
        self._size = size
        self._messages, shared = SharedMessages.create(size, sensors)
        self._command = np.zeros(1, command_layout(size))
        self._keys = np.zeros(1, operator_layout())
        places = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, f"/dev/fd/{shared}", str(os.getpid())],
            pass_fds=(shared,),
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the actor; the machine must go on
        )
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(pickle.dumps(setup))
            self._process.stdin.close()
            self._wait_until_ready()
        finally:
            os.close(shared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def state(self) -> HandState:
        """The newest report."""
        message = self._messages.state.read()
        assert message is not None, "the constructor waits for the first report"
        return to_state(message)

    def send(self, request: Request, target: Array | None = None) -> int:
        """Ask for something, once; also a sign of life. Returns the request's number.

        Raises:
            ValueError: If the target is no vector of numbers of the right length.
        """
        self._command["sequence"] += 1
        self._command["request"] = request
        if target is not None:
            self._command["target"] = as_target(target, self._size)
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
            raise RuntimeError(
                f"the {self._machine}'s process ended with status {self._process.returncode}"
            )
        reported_s = self.state().time_s  # first: a report of the future is of another clock
        if not 0.0 <= (age_s := self._clock() - reported_s) <= SILENT_S:
            raise RuntimeError(f"the {self._machine}'s process has not reported for {age_s:.1f} s")

    def close(self) -> None:
        """The machine comes to rest and its process ends; harmless when closed."""
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
                raise RuntimeError(f"the {self._machine} did not start; its own message is above")
            if time.monotonic() > until:
                self.close()
                raise RuntimeError(
                    f"the {self._machine} did not start within {START_TIMEOUT_S:.0f} s"
                )
            time.sleep(0.01)
