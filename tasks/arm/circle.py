"""A motion without a policy, to try an arm, its guard and the recorder before anything learned."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.deploy.policy.local import LoadReport
from sernf_isaac.deploy.protocols import Array

TURN_S = 8.0


class Circle:
    """Decides like a policy, at once: a circle that begins and ends where the tool was at first.

    Args:
        spec: How far ahead to plan.
        rate_hz: Actions per second.
        now: The clock.
        radius_m: Of the circle, in the base frame's horizontal plane.
    """

    last_latency_s = 0.0

    def __init__(
        self, spec: ChunkSpec, rate_hz: float, now: Callable[[], float], *, radius_m: float = 0.04
    ) -> None:
        self._spec, self._rate_hz, self._now, self._radius_m = spec, rate_hz, now, radius_m
        self._centre = self._start = np.zeros(0)
        self._began_s = self._asked_s = -np.inf
        self._chunk: Array | None = None

    def load(self, path: Path) -> LoadReport:
        """There is nothing to load.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"a circle is driven, {path} is not used; leave --circle out")

    def request(self, observation: dict[str, Array], prefix: Array) -> None:
        """As in `PolicyLink`; after a pause a new circle begins from the queued actions."""
        now_s = self._now()
        if now_s - self._asked_s > 2 * self._spec.horizon / self._rate_hz:
            self._began_s = now_s + self._spec.prefix / self._rate_hz
            self._start = np.array(prefix[-1])
            self._centre = self._start[:2] - [self._radius_m, 0.0]
        self._asked_s = now_s
        steps = self._spec.prefix + np.arange(self._spec.horizon)
        angle = 2 * np.pi * (now_s - self._began_s + steps / self._rate_hz) / TURN_S
        chunk = np.tile(self._start, (self._spec.horizon, 1))
        chunk[:, :2] = self._centre + self._radius_m * np.stack([np.cos(angle), np.sin(angle)], 1)
        self._chunk = chunk

    def poll(self) -> Array | None:
        """As in `PolicyLink`."""
        chunk, self._chunk = self._chunk, None
        return chunk
