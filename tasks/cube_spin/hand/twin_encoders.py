"""Joint encoders of the twin's hand: the joints themselves, at a rate, with noise, in steps.

What `joint_noise_rad` and `joint_bias_rad` make of the joints then is what the motors say.
"""

from dataclasses import dataclass

import numpy as np

from sernf_isaac.deploy.protocols import Array

STEP_RAD = 2.0 * np.pi / 16384
"""Of the encoders of an ORCA v2 hand: 14 bits a turn."""


@dataclass(frozen=True)
class EncoderErrors:
    """How good the encoders are."""

    rate_hz: float
    """Angles per second; a tick between two sees the older one again."""
    noise_rad: float
    """Standard deviation of an angle, drawn per angle."""

    def __post_init__(self) -> None:
        if not 0.0 < self.rate_hz < np.inf or not 0.0 <= self.noise_rad < np.inf:
            raise ValueError(f"impossible encoders: {self}")


class TwinEncoders:
    """Encoders on every joint.

    Args:
        errors: How good they are.
        tick_s: Time between two readings.
        seed: Of the noise.
    """

    def __init__(self, errors: EncoderErrors, tick_s: float, seed: int) -> None:
        self._errors, self._tick_s = errors, tick_s
        self._rng = np.random.default_rng((seed, 1))  # not that of the other sensors
        self._since_s, self._angles = np.inf, np.zeros(0)

    def read(self, joint_pos: Array) -> Array:
        """Angles (A,) [rad] of joints that are truly at `joint_pos`; once per tick."""
        self._since_s += self._tick_s
        period_s = 1.0 / self._errors.rate_hz
        if self._since_s >= period_s - 1e-9:
            self._since_s = 0.0 if np.isinf(self._since_s) else self._since_s % period_s
            noise = self._errors.noise_rad * self._rng.standard_normal(len(joint_pos))
            self._angles = np.rint((joint_pos + noise) / STEP_RAD) * STEP_RAD
        return self._angles.copy()

    def reset(self) -> None:
        """The joints were put somewhere else: the next reading is new."""
        self._since_s = np.inf
