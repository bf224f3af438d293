"""One cube's filter, for all cameras that see it."""

import threading

from perception.tracking.filter import FilterConfig, Measurement, Outcome, PoseFilter
from perception.tracking.state import CubeState


class SharedFilter:
    """A `PoseFilter` that several threads may feed and ask.

    Cameras of one cube share it, with poses in one frame. Each pose counts by its own covariance,
    at the moment its image was taken: what one camera sees badly, such as depth, another one that
    looks from elsewhere corrects.
    """

    def __init__(self, config: FilterConfig | None = None) -> None:
        self._filter = PoseFilter(config)
        self._lock = threading.Lock()

    def add(self, measurement: Measurement) -> Outcome:
        """Take in a measurement; never raises for a bad one."""
        with self._lock:
            return self._filter.add(measurement)

    def state_at(self, time_s: float) -> tuple[CubeState | None, float]:
        """The cube at a moment, None while lost; and when the last image that counted was taken."""
        with self._lock:
            return self._filter.state_at(time_s), self._filter.last_used_s

    def reset(self) -> None:
        """Forget the cube."""
        with self._lock:
            self._filter = PoseFilter(self._filter.config)
