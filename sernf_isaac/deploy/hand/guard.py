"""Stands between any policy and the motors; cannot be switched off.

Order: finite? -> clamp to the limits less a margin -> moving average (paper F.3: 0.5) -> not too
far from the measured angle -> slew and acceleration limit. Whatever comes in, what goes out obeys
limits, speed and acceleration exactly, because each step is chosen so that the joint can still
brake before its goal, and every goal lies within the limits.
"""

from dataclasses import dataclass

import numpy as np

from sernf_isaac.deploy.loop.vectors import as_vector
from sernf_isaac.deploy.protocols import Array, HandDescription

STRAINED = 0.97
"""Of the largest allowed error, on average; a soft grasp stays below."""
NEWEST = 0.3
"""Weight of the newest error in that average, so that no noise of the sensors decides."""

LIMIT_CEILINGS = {
    "max_speed_rad_s": 20.0,
    "max_acceleration_rad_s2": 4000.0,
    "max_error_rad": 1.0,
    "smoothing": 1.0,
    "ramp_speed_rad_s": 3.0,
}
"""Larger limits are mistakes: nothing that a hand does needs them."""


@dataclass
class GuardLimits:
    """How a hand may be moved. The defaults let the teacher of the cube task move as it likes."""

    margin_rad: float = 0.01
    """Commands keep this far from the joint limits."""
    max_speed_rad_s: float = 8.0
    """Of commands; the teacher stays below in 99.9 % of its steps."""
    max_acceleration_rad_s2: float = 400.0
    """Of commands."""
    max_error_rad: float = 0.8
    """Commands stay this close to the measured angles, so that a blocked joint is not wound up; a
    soft grasp lives on errors of up to 0.77 rad."""
    smoothing: float = 0.5
    """Weight of a new action in the moving average (paper F.3)."""
    ramp_speed_rad_s: float = 0.52
    """Of moves between episodes: 30 degrees per second."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value < np.inf:
                raise ValueError(f"guard.{name} ({value}) must be positive; no limit can be off")
            if value > (most := LIMIT_CEILINGS.get(name, np.inf)):
                raise ValueError(f"guard.{name} ({value}) must be at most {most:g}")


class Guard:
    """Turns actions into commands for one hand.

    Call `restart` before the first `step`, and after the hand was moved by other means.

    Args:
        hand: Names and limits of its joints.
        limits: How it may be moved.
        period_s: Time between two commands.

    Raises:
        ValueError: If the margin leaves a joint no range.
    """

    def __init__(self, hand: HandDescription, limits: GuardLimits, period_s: float) -> None:
        self.limits, self.period_s = limits, period_s
        self.lower = np.array(hand.lower_rad) + limits.margin_rad
        self.upper = np.array(hand.upper_rad) - limits.margin_rad
        if (narrow := np.flatnonzero(self.lower >= self.upper)).size:
            raise ValueError(
                f"a margin of {limits.margin_rad} rad leaves {hand.joint_names[narrow[0]]} no range"
            )
        self._brake = limits.max_acceleration_rad_s2 * period_s**2  # rad per step, per step
        self._goal = self._command = (self.lower + self.upper) / 2
        self._velocity = np.zeros(hand.num_joints)  # rad per step
        self._error = np.zeros(hand.num_joints)  # average of command less measured, rad
        self.rejected = 0
        """Actions that were no finite vector of the right length."""
        self.limited = 0
        """Steps in which speed, acceleration or the distance to the measured angles bound."""

    @property
    def command(self) -> Array:
        """(A,) what was sent last."""
        return self._command.copy()

    @property
    def goal(self) -> Array:
        """(A,) where the commands are heading: the moving average of the actions."""
        return self._goal.copy()

    def restart(self, measured: Array) -> None:
        """Begin at rest where the hand is.

        Raises:
            ValueError: If that is no finite vector: nobody knows where the hand is.
        """
        self._command = _within(self._angles(measured), self.lower, self.upper)
        self._goal = self._command
        self._velocity = np.zeros_like(self._command)
        self._error = np.zeros_like(self._command)

    def accept(self, action: object) -> bool:
        """Take in a policy's action (A,) [rad]; False: it is none, and the goal stays."""
        angles = as_vector(action, len(self._goal))
        if angles is None:
            self.rejected += 1
            return False
        wanted = _within(angles, self.lower, self.upper)
        self._goal = self._goal + self.limits.smoothing * (wanted - self._goal)
        return True

    def aim(self, pose: Array) -> None:
        """Head for a pose (A,) [rad] that does not come from a policy; clamped, not smoothed.

        Raises:
            ValueError: If it has another shape or is not finite.
        """
        self._goal = _within(self._angles(pose), self.lower, self.upper)

    def stop(self) -> None:
        """Head for the nearest place where the joints can come to rest."""
        self._goal = self._command + np.sign(self._velocity) * _braking_distance(
            np.abs(self._velocity), self._brake
        )

    def step(self, measured: Array, max_speed_rad_s: float | None = None) -> Array:
        """The next command (A,), one period after the last.

        Args:
            measured: (A,) finite angles the sensors report.
            max_speed_rad_s: Slower than the limit, for ramps.
        """
        reach = self.limits.max_error_rad
        near = _within(self._goal, measured - reach, measured + reach)
        goal = _within(near, self.lower, self.upper)
        speed = min(max_speed_rad_s or np.inf, self.limits.max_speed_rad_s) * self.period_s
        distance = goal - self._command
        wanted = np.minimum(_speed_to_stop_within(np.abs(distance), self._brake), speed)
        wanted = np.copysign(wanted, distance)
        slowest, fastest = self._velocity - self._brake, self._velocity + self._brake
        self._velocity = _within(wanted, slowest, fastest)
        self.limited += bool(np.abs(self._goal - self._command - self._velocity).max() > 1e-9)
        # Rounding alone could leave the range; the velocity must be the one of what is sent.
        command = _within(self._command + self._velocity, self.lower, self.upper)
        self._velocity = command - self._command
        self._command = command
        self._error = self._error + NEWEST * (command - measured - self._error)
        return command.copy()

    @property
    def strained(self) -> bool:
        """Whether a joint stays as far behind its commands as these may be ahead of it."""
        return bool(np.abs(self._error).max() > STRAINED * self.limits.max_error_rad)

    @property
    def arrived(self) -> bool:
        """Whether the commands rest at the goal."""
        return bool(np.abs(self._goal - self._command).max() < 1e-6)

    def _angles(self, pose: object) -> Array:
        angles = as_vector(pose, len(self._goal))
        if angles is None:
            raise ValueError(f"a pose must be {len(self._goal)} finite angles, not {pose}")
        return angles


def _within(value: Array, lower: Array, upper: Array) -> Array:
    """`np.clip` without its overhead, which is half of this module's time."""
    return np.minimum(np.maximum(value, lower), upper)


def _braking_distance(speed: Array, brake: float) -> Array:
    """How far a joint goes on while braking by `brake` each step: the sum of v-b, v-2b, ... > 0."""
    steps = np.floor(speed / brake)
    return steps * speed - brake * steps * (steps + 1) / 2


def _speed_to_stop_within(distance: Array, brake: float) -> Array:
    """The largest step from which, braking afterwards, a joint stops within `distance`."""
    steps = np.floor((np.sqrt(1.0 + 8.0 * distance / brake) - 1.0) / 2.0)
    rest = np.maximum(distance - brake * steps * (steps + 1) / 2, 0.0)
    return steps * brake + rest / (steps + 1)
