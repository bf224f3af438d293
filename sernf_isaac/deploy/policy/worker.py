"""Decisions beside the control loop: a policy in a process of its own, asked and polled.

A process, because a network in a thread would hold the interpreter's lock while actions are due.
"""

import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import numpy as np
import torch

from sernf_isaac.deploy.policy.local import Check, DecisionSettings, LoadReport, LocalPolicy
from sernf_isaac.deploy.protocols import Array
from sernf_isaac.devices import use_tensor_cores

LOAD_TIMEOUT_S = 120.0


class WorkerPolicy:
    """A `LocalPolicy` in a process of its own; used like one, but does not block.

    Raises:
        RuntimeError: From any call, if the process died.
    """

    def __init__(
        self,
        settings: DecisionSettings,
        check: Check,
        control_rate_hz: float | None = None,
        limits: tuple[Array, Array] | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work,
            args=(
                theirs,
                partial(LocalPolicy, settings, check, control_rate_hz, limits),
                settings,
            ),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._asked = 0
        self._asked_s = self._done_s = 0.0
        self.last_latency_s = 0.0
        self.last_scores = np.zeros(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def load(self, path: Path) -> LoadReport:
        """As in `PolicyLink`: what is not tested in time is not used later either."""
        self.begin_load(path)
        until = time.monotonic() + LOAD_TIMEOUT_S
        while (report := self.loaded()) is None:
            if time.monotonic() > until:
                raise ValueError(f"{path} could not be loaded within {LOAD_TIMEOUT_S:.0f} s")
            time.sleep(0.01)
        return report

    def begin_load(self, path: Path) -> None:
        """Start loading without waiting."""
        self._asked += 1
        self._send(("examine", self._asked, path))

    def loaded(self) -> LoadReport | None:
        """The report of the load that was begun, once it is there: from then on it is used.

        Raises:
            ValueError: If the file must not be used; says why.
        """
        found = self._receive()
        if isinstance(found, str):
            raise ValueError(found)
        if not isinstance(found, LoadReport):
            return None
        self._send(("use", self._asked, None))  # before any later question
        return found

    def request(self, observation: dict[str, Array], prefix: Array) -> None:
        """As in `PolicyLink`."""
        self._asked += 1
        self._asked_s = time.monotonic()
        self._send(("decide", self._asked, (observation, prefix)))

    def poll(self) -> Array | None:
        """As in `PolicyLink`.

        Raises:
            RuntimeError: If the policy failed; says how.
        """
        found = self._receive()
        if isinstance(found, str):
            raise RuntimeError(f"the policy failed: {found}")
        if not isinstance(found, tuple):
            return None
        chunk, self.last_scores = found
        self.last_latency_s = self._done_s - self._asked_s
        return chunk

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _send(self, message: tuple) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise RuntimeError("the policy's process is gone") from error

    def _receive(self) -> object:
        """The answer to the newest question, or None; answers to older ones are dropped."""
        try:
            while self._pipe.poll():
                number, answer, done_s = self._pipe.recv()
                if number == self._asked:
                    self._done_s = done_s
                    return answer
        except (EOFError, OSError) as error:
            raise RuntimeError("the policy's process is gone") from error
        if not self._process.is_alive():
            raise RuntimeError("the policy's process is gone")
        return None


def _work(
    pipe: Connection, make_policy: Callable[[], LocalPolicy], settings: DecisionSettings
) -> None:
    """The process: answers until the other end is closed."""
    torch.set_num_threads(settings.threads)
    use_tensor_cores(settings.device)
    policy = make_policy()
    while True:
        try:
            kind, number, content = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        if kind == "use":
            policy.use()
            continue
        try:
            if kind == "examine":
                answer = policy.examine(content)
            else:
                answer = policy.decide(*content), policy.last_scores
        except Exception as error:  # whatever it is, the other side has to hear of it
            answer = f"{error}" if isinstance(error, ValueError | OSError) else f"{error!r}"
        try:
            pipe.send((number, answer, time.monotonic()))  # one clock for all processes
        except OSError:
            return
