"""The same robot side without processes and without waiting: time is a number, the hand is here.

For simulated experiments that should not take as long as real ones, and for tests.
"""

import heapq
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.loop.messages import HandState, to_state
from sernf_isaac.deploy.loop.server import LoopServer
from sernf_isaac.deploy.loop.states import Command, Request
from sernf_isaac.deploy.loop.vectors import as_target
from sernf_isaac.deploy.policy.local import LoadReport, LocalPolicy
from sernf_isaac.deploy.protocols import Array


class VirtualClock:
    """A clock that goes on only when somebody sleeps; what is due meanwhile is called in order."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s
        self._order = count()
        self._due: list[tuple[float, int, float, Callable[[float], None]]] = []

    def now(self) -> float:
        """Seconds."""
        return self._now_s

    def every(self, period_s: float, call: Callable[[float], None]) -> None:
        """Call something with the time, now and once per period."""
        heapq.heappush(self._due, (self._now_s, next(self._order), period_s, call))

    def sleep_until(self, time_s: float) -> None:
        """Let time pass."""
        while self._due and self._due[0][0] <= time_s:
            due_s, _, period_s, call = heapq.heappop(self._due)
            self._now_s = max(self._now_s, due_s)
            heapq.heappush(self._due, (due_s + period_s, next(self._order), period_s, call))
            call(self._now_s)
        self._now_s = max(self._now_s, time_s)


class InProcessHand:
    """A hand served by the clock instead of by a process; used like a `HandProcess`.

    Args:
        server: Its driver must be connected.
        clock: Calls the server once per period.
    """

    def __init__(self, server: LoopServer, clock: VirtualClock) -> None:
        self._server, self._clock = server, clock
        self._command: Command | None = None
        self._stops = self._clears = 0
        self._report: np.void | None = None
        clock.every(server.period_s, self._tick)
        clock.sleep_until(clock.now())

    def state(self) -> HandState:
        """The newest report."""
        assert self._report is not None, "the first tick comes with the constructor"
        return to_state(self._report)

    def send(self, request: Request, target: Array | None = None) -> int:
        """Ask for something, once; also a sign of life. Returns the request's number."""
        last = self._command
        known = np.zeros_like(self.state().sent) if last is None else last.target
        number = 1 if last is None else last.sequence + 1
        aim = known if target is None else as_target(target, len(known))
        self._command = Command(number, self._clock.now(), request, aim)
        return number

    def alive(self) -> None:
        """Only a sign of life."""
        if self._command is not None:
            last = self._command
            self._command = Command(last.sequence, self._clock.now(), last.request, last.target)

    def stop(self) -> None:
        """The stop key."""
        self._stops += 1

    def clear(self) -> None:
        """A person looked."""
        self._clears += 1

    def check(self) -> None:
        """There is no process that could die."""

    def close(self) -> None:
        """Torque off."""
        self._server.close()

    def _tick(self, now_s: float) -> None:
        keys = (self._stops, self._clears)
        self._report = self._server.tick(now_s, self._command, keys)[0].copy()


class InstantPolicy:
    """Decides at once, in this process, and says so later: for machines on a virtual clock.

    Args:
        policy: What decides.
        now: The clock.
        latency_s: How long a decision is made to take.
    """

    def __init__(
        self, policy: LocalPolicy, now: Callable[[], float], latency_s: float = 0.0
    ) -> None:
        self._policy, self._now, self.last_latency_s = policy, now, latency_s
        self._pending: tuple[float, Array] | None = None

    @property
    def last_scores(self) -> Array:
        """As in `Scoring`."""
        return self._policy.last_scores

    def load(self, path: Path) -> LoadReport:
        """As in `PolicyLink`."""
        return self._policy.load(path)

    def request(self, observation: dict[str, Array], prefix: Array) -> None:
        """As in `PolicyLink`."""
        chunk = self._policy.decide(observation, prefix)
        self._pending = self._now() + self.last_latency_s, chunk

    def poll(self) -> Array | None:
        """As in `PolicyLink`."""
        if self._pending is None or self._now() < self._pending[0] - 1e-9:
            return None
        chunk, self._pending = self._pending[1], None
        return chunk
