"""Real time."""

import time


class MonotonicClock:
    """The system's monotonic clock, the same in all its processes."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        """Return at that time, or at once if it has passed."""
        time.sleep(max(time_s - time.monotonic(), 0.0))
