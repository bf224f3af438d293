"""Times of the session's clock as ROS tells time."""

import time


class Stamps:
    """Nanoseconds since 1970 of times on the monotonic clock, by one difference for all."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.monotonic_ns()

    def of(self, time_s: float) -> int:
        """Of a time on the station's clock [s]."""
        return round(time_s * 1e9) + self._ahead_ns
