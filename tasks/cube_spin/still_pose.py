"""A cube that never moves, for dry runs of hands without a camera."""

import numpy as np

from sernf_isaac.deploy.protocols import Clock, PoseReading
from tasks.cube_spin.config import CUBE_ORIGIN_M


class StillPose:
    """A pose source that always sees an unturned cube at its origin, right now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def latest(self) -> PoseReading:
        """The cube at its origin."""
        unturned = np.array([0.0, 0.0, 0.0, 1.0])
        return PoseReading(self._clock.now(), np.array(CUBE_ORIGIN_M), unturned)

    def reset(self) -> None:
        """Nothing to forget."""
