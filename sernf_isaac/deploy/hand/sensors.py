"""What a hand may measure beside what its motors say: names, sizes and settings.

The driver reports these vectors with every reading; episodes keep them as groups `log_<name>`.

| name | size | holds |
|---|---|---|
| `motor_pos` | A | what the motors say of the joints [rad] |
| `measured` | A | 1 where `joint_pos` is a joint encoder's angle, 0 where it is the motor's |
| `touch` | 15 | force on each fingertip [N]: thumb to little finger, x, y, z of each |
| `touch_age_s` | 1 | how long ago the fingertips reported [s] |
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOTOR_POS, MEASURED, TOUCH, TOUCH_AGE = "motor_pos", "measured", "touch", "touch_age_s"
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""Order of the fingertips in `touch`, as orca_core calls them."""
TOUCH_SIZE = 3 * len(FINGERS)
CEILINGS = {"encoder_timeout_s": 1.0, "touch_timeout_s": 10.0}
"""Longer waits would not notice a lost sensor."""


@dataclass
class SensorOptions:
    """Which sensors of an ORCA hand are used, where it has them."""

    encoders: bool = True
    """Joint angles are those of the joint encoders; if not, the motors' as on hands without."""
    touch: bool = True
    """The forces on the fingertips are recorded."""
    zero_touch: bool = True
    """Zero the fingertips when a session opens; nothing may touch them then."""
    encoder_timeout_s: float = 0.1
    """An encoder without a valid angle for this long is lost: the hand holds, opens and is off."""
    touch_timeout_s: float = 1.0
    """Fingertips that are silent for this long are told; nothing stops, for nothing needs them."""

    def __post_init__(self) -> None:
        for name, most in CEILINGS.items():
            if not 0.0 < (value := getattr(self, name)) < np.inf:
                raise ValueError(f"sensors.{name} ({value}) must be positive and finite")
            if value > most:
                raise ValueError(f"sensors.{name} ({value}) must be at most {most:g}")


@dataclass(frozen=True)
class HandSensors:
    """What a hand has, or what of it is used."""

    encoders: tuple[str, ...] = ()
    """Joints with an encoder, by the driver's names."""
    touch: bool = False
    """On the fingertips."""

    def used(self, options: SensorOptions) -> "HandSensors":
        """Those that a session uses."""
        return HandSensors(
            self.encoders if options.encoders else (), touch=self.touch and options.touch
        )

    def sizes(self, num_joints: int) -> dict[str, int]:
        """Sizes of the vectors that a driver reports, by name; A is `num_joints`."""
        joints = {MOTOR_POS: num_joints, MEASURED: num_joints}
        tips = {TOUCH: TOUCH_SIZE, TOUCH_AGE: 1}
        return (joints if self.encoders else {}) | (tips if self.touch else {})

    def columns(self, joint_names: Sequence[str]) -> dict[str, list[str]]:
        """What each number of the vectors is, by the vectors' names."""
        numbers = {MOTOR_POS: joint_names, MEASURED: joint_names, TOUCH_AGE: [TOUCH_AGE]}
        numbers[TOUCH] = [f"{finger} {axis}" for finger in FINGERS for axis in "xyz"]
        return {name: list(numbers[name]) for name in self.sizes(len(joint_names))}

    def __str__(self) -> str:
        found = [f"encoders on {len(self.encoders)} joints"] if self.encoders else []
        return " and ".join(found + (["touch"] if self.touch else [])) or "no sensors"
