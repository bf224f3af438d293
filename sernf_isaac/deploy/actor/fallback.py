"""What goes on while the eyes have lost the object: a policy that needs none, for a while."""

from dataclasses import dataclass

import numpy as np

FALLBACK = "fallback"
"""Name of what is logged at each step of a session with a fallback: 1 where it drove, else 0."""


@dataclass
class FallbackRule:
    """When a policy without a camera takes over, and when it hands back."""

    after_s: float = 0.5
    """It drives when the newest pose is older than this."""
    poses: int = 5
    """It hands back after so many new poses in a row; a gap of `after_s` begins the count anew."""
    longest_s: float = 5.0
    """Without a pose for this long the object counts as dropped, in the place of
    `runner.blind_s`."""

    def __post_init__(self) -> None:
        for name in ("after_s", "longest_s"):
            if not 0.0 < (value := getattr(self, name)) < np.inf:
                raise ValueError(f"runner.fallback.{name} ({value}) must be positive and finite")
        if self.poses < 1:
            raise ValueError(f"runner.fallback.poses ({self.poses}) must be at least 1")
        if self.longest_s <= self.after_s:
            raise ValueError(
                f"runner.fallback.longest_s ({self.longest_s}) must be above "
                f"runner.fallback.after_s ({self.after_s})"
            )


class EyesWatch:
    """Says at every step whether the fallback drives.

    Args:
        rule: When.
    """

    def __init__(self, rule: FallbackRule) -> None:
        self._rule = rule
        self._blind, self._poses = False, 0

    def update(self, *, new: bool, age_s: float) -> bool:
        """One control step: whether there is a new pose, and the age of the newest one."""
        if age_s > self._rule.after_s:
            self._blind, self._poses = True, 0
        elif self._blind and new:
            self._poses += 1
            self._blind = self._poses < self._rule.poses
        return self._blind
