"""Whether motors and tendons are well: what is read against limits that warn and that stop.

No hardware and no clock in here: a driver says what it read, and passes on what comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sernf_isaac.deploy.protocols import Array

CEILINGS = {
    "temperature_stop_c": 80.0,
    "current_stop_share": 5.0,
    "current_average_s": 60.0,
    "drift_stop_rad": 0.8,
    "drift_average_s": 10.0,
    "currents_every_s": 10.0,
    "temperatures_every_s": 60.0,
}
"""Larger limits are mistakes: motors are spoiled, or tendons torn, before they are reached."""
NAMED = 3
"""Motors or joints that a message names."""
PAIRS = (
    ("temperature_warn_c", "temperature_stop_c"),
    ("current_warn_share", "current_stop_share"),
    ("drift_warn_rad", "drift_stop_rad"),
)


@dataclass
class HealthLimits:
    """When a hand is unwell. None of it was tried on a real hand; see docs/reference/hand.md."""

    temperature_warn_c: float = 60.0
    """A motor that is hotter is told between episodes."""
    temperature_stop_c: float = 68.0
    """A motor that is hotter stops the hand. orca_core rates its motors to 70 degrees."""
    current_warn_share: float = 1.2
    """A motor that draws more than this share of `max_current` in config.yaml is told. Fingers are
    limited to 1; the wrist has no limit in orca_core."""
    current_stop_share: float = 2.0
    """A motor that draws more than this share stops the hand."""
    current_average_s: float = 5.0
    """Currents are averaged over about this long: a push may be strong for a moment."""
    drift_warn_rad: float = 0.17
    """An encoder's angle that differs by more from its motor's is told (10 degrees)."""
    drift_stop_rad: float = 0.35
    """One that differs by more stops the hand: a tendon slipped, or the calibration is another
    hand's. orca_core itself makes up for 15 degrees at most (0.26 rad)."""
    drift_average_s: float = 0.5
    """Differences are averaged over about this long: motors lead in quick moves."""
    currents_every_s: float = 0.5
    """Time between two looks at the currents; each is one more read of the bus."""
    temperatures_every_s: float = 5.0
    """Time between two looks at the temperatures."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value < np.inf:
                raise ValueError(f"health.{name} ({value}) must be positive; no limit can be off")
            if value > (most := CEILINGS.get(name, np.inf)):
                raise ValueError(f"health.{name} ({value}) must be at most {most:g}")
        for warns, stops in PAIRS:
            if getattr(self, warns) > getattr(self, stops):
                raise ValueError(
                    f"health.{warns} ({getattr(self, warns)}) must be at most health.{stops} "
                    f"({getattr(self, stops)}): what stops the hand must be told before"
                )


class Health:
    """What is known of one hand's health now.

    Args:
        limits: When it is unwell.
        motors: What to call the motors, such as "motor 15 (index_mcp)".
        joints: What to call the joints with encoders.
    """

    def __init__(
        self, limits: HealthLimits, motors: Sequence[str], joints: Sequence[str] = ()
    ) -> None:
        self._limits, self._motors, self._joints = limits, tuple(motors), tuple(joints)
        self._currents = _Average(limits.current_average_s, len(motors))
        self._drift = _Average(limits.drift_average_s, len(joints))
        self._temperatures = np.zeros(len(motors))
        self.errors: dict[str, str] = {}
        """What motors reported of themselves, by the motor's name."""

    def see_temperatures(self, celsius: Array) -> None:
        """Take in the motors' temperatures (M,)."""
        self._temperatures = np.asarray(celsius, np.float64)

    def see_currents(self, share: Array, now_s: float) -> None:
        """Take in the motors' currents (M,), as shares of what they may draw, of either sign."""
        self._currents.add(np.abs(share), now_s)

    def see_drift(self, difference_rad: Array, now_s: float) -> None:
        """Take in the encoders' angles less the motors' (J,) [rad]; only while there is torque.

        Without torque, fingers hang on slack tendons, and a difference says nothing.
        """
        self._drift.add(difference_rad, now_s)

    def see_error(self, motor: str, said: str) -> None:
        """Take in what a motor reports of itself; kept until `forget`."""
        self.errors[motor] = said

    def forget(self) -> None:
        """A person looked: what was averaged or latched begins anew; temperatures stay."""
        self.errors = {}
        self._currents.forget()
        self._drift.forget()

    def forget_drift(self) -> None:
        """There is no torque any more, so tendons may be slack."""
        self._drift.forget()

    @property
    def warning(self) -> str:
        """What is above a limit that warns, as one line; empty if nothing is.

        Without numbers that change from tick to tick, so that it is not told again and again.
        """
        limits, silent = self._limits, ~np.isfinite(self._temperatures)
        found = _say("no temperature is known of", _of(self._motors, silent))
        return "; ".join(
            found
            + self._above(
                limits.temperature_warn_c, limits.current_warn_share, limits.drift_warn_rad
            )
        )

    @property
    def fault(self) -> str:
        """What is above a limit that stops, and what motors report, as one line."""
        limits = self._limits
        found = [f"{motor}: {what}" for motor, what in self.errors.items()]
        return "; ".join(
            found
            + self._above(
                limits.temperature_stop_c, limits.current_stop_share, limits.drift_stop_rad
            )
        )

    def _above(self, celsius: float, share: float, angle_rad: float) -> list[str]:
        hot = _of(self._motors, self._temperatures > celsius)
        strong = _of(self._motors, self._currents.value > share)
        drifted = _of(self._joints, np.abs(self._drift.value) > angle_rad)
        apart = (
            f"a tendon slipped, or calibrate again: over {np.degrees(angle_rad):.0f} degrees "
            "between encoder and motor of"
        )
        return [
            *_say(f"over {celsius:g} degrees Celsius:", hot),
            *_say(f"over {share:g} times the allowed current:", strong),
            *_say(apart, drifted),
        ]


class _Average:
    """A running mean that forgets over about `over_s`; begins at 0: one look is no average."""

    def __init__(self, over_s: float, size: int) -> None:
        self._over_s, self._size = over_s, size
        self.forget()

    def forget(self) -> None:
        self.value, self._seen_s = np.zeros(self._size), -np.inf

    def add(self, value: Array, now_s: float) -> None:
        passed_s = 0.0 if np.isinf(self._seen_s) else max(now_s - self._seen_s, 0.0)
        weight = 1.0 - np.exp(-passed_s / self._over_s)
        self.value = self.value + weight * (np.asarray(value, np.float64) - self.value)
        self._seen_s = now_s


def _say(what: str, names: Sequence[str]) -> list[str]:
    """One sentence, or none; it names a few, for reports have little room."""
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"{what} {', '.join(names[:NAMED])}{more}"]


def _of(names: Sequence[str], chosen: Array) -> list[str]:
    return [name for name, found in zip(names, chosen, strict=True) if found]
