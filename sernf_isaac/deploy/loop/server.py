"""What one tick of a hand and of an arm have in common: keys of the person, and the report."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from sernf_isaac.deploy.loop.controller import Controller
from sernf_isaac.deploy.loop.messages import state_layout
from sernf_isaac.deploy.loop.states import ERRORS, Command, State


class Closable(Protocol):
    """What every driver can do, whatever it drives."""

    def rearm(self) -> None: ...
    def close(self) -> None: ...


class LoopServer[C: Controller, D: Closable](ABC):
    """The only user of a driver.

    Args:
        driver: Connected.
        controller: Decides what the machine does.
        size: Numbers in a target.
        rate_hz: Ticks per second.
        sensors: As in `state_layout`.
    """

    ends_at_once: bool
    """Whether the process may end while the machine is led."""

    def __init__(
        self,
        driver: D,
        controller: C,
        size: int,
        rate_hz: float,
        sensors: Mapping[str, int] | None = None,
    ) -> None:
        self.driver, self.controller = driver, controller
        self.period_s = 1.0 / rate_hz
        self._report = np.zeros(1, state_layout(size, sensors))
        self._keys = (0, 0)

    @abstractmethod
    def tick(
        self,
        now_s: float,
        command: Command | None,
        keys: tuple[int, int] = (0, 0),
        *,
        lateness_s: float = 0.0,
        missed: int = 0,
    ) -> np.ndarray:
        """One period; returns the report (1,), see `messages.state_layout`.

        Args:
            now_s: Now, not before the command was read.
            command: The actor's newest message.
            keys: How often a person pressed stop and clear.
            lateness_s: For the report.
            missed: For the report.
        """

    def close(self) -> None:
        """Give the driver up, whatever happens."""
        self.driver.close()

    @abstractmethod
    def _fail(self, now_s: float, error: Exception) -> None: ...

    def _obey_keys(self, now_s: float, keys: tuple[int, int]) -> None:
        stops, clears = keys
        before, self._keys = self._keys, keys  # first: a key counts once, whatever comes of it
        if stops > before[0]:
            self.controller.stop(now_s)
        elif clears > before[1] and self.controller.state is not State.FOLLOW:
            try:
                self.driver.rearm()
            except ERRORS as error:
                self._fail(now_s, error)  # what could not be rearmed is not cleared
                return
            self.controller.clear(now_s)
            self._report["error"] = b""

    def _fill(
        self, now_s: float, command: Command | None, lateness_s: float, missed: int
    ) -> np.ndarray:
        report, controller, guard = self._report, self.controller, self.controller.guard
        report["sequence"] += 1
        report["time_s"], report["lateness_s"], report["missed"] = now_s, lateness_s, missed
        report["state"], report["reason"] = controller.state, controller.reason
        report["since_s"], report["command_sequence"] = controller.since_s, controller.sequence
        report["command_age_s"] = np.inf if command is None else now_s - command.time_s
        report["sent"], report["goal"] = guard.command, guard.goal
        report["rejected"], report["limited"] = guard.rejected, guard.limited
        return report
