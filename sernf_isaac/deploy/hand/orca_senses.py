"""All that an ORCA hand feels, put together once per tick: joints, fingertips, motors' health.

At most one more read of the motor bus per tick, and most ticks have none: angles come first.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from sernf_isaac.deploy.hand.health import Health, HealthLimits
from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.hand.orca_encoders import JointEncoders
from sernf_isaac.deploy.hand.orca_mock import MockSenses
from sernf_isaac.deploy.hand.orca_open import motor_names
from sernf_isaac.deploy.hand.orca_touch import Fingertips
from sernf_isaac.deploy.hand.sensors import (
    MEASURED,
    MOTOR_POS,
    TOUCH,
    TOUCH_AGE,
    HandSensors,
    SensorOptions,
)
from sernf_isaac.deploy.protocols import Array


@dataclass(frozen=True)
class Sensed:
    """What a tick knows beside the commands."""

    joint_pos: Array
    """(A,) the encoders' angles where they are valid, else the motors' [rad]."""
    vectors: dict[str, Array]
    """As in `sensors.py`."""
    warning: str
    fault: str


class OrcaSenses:
    """The senses of a connected hand.

    Args:
        orca: The hand of orca_core, connected and initialised.
        joints: How its joints are ours.
        sensors: Which are used.
        options: How.
        limits: When it is unwell.
        mock: Whether it is orca_core's mock.

    Raises:
        RuntimeError: If a sensor says nothing, or the calibration does not know the encoders.
    """

    def __init__(
        self,
        orca: Any,  # noqa: ANN401  # orca_core is not typed
        joints: JointMap,
        sensors: HandSensors,
        options: SensorOptions,
        limits: HealthLimits,
        *,
        mock: bool,
    ) -> None:
        self._orca, self._map, self._limits = orca, joints, limits
        self.encoders = JointEncoders(orca, options.encoder_timeout_s) if sensors.encoders else None
        self.mock = MockSenses(orca, self.encoders, touch=sensors.touch) if mock else None
        self.fingertips = None
        if sensors.touch:
            with self.mock.streaming() if self.mock else nullcontext():
                zero = options.zero_touch
                self.fingertips = Fingertips(orca, options.touch_timeout_s, zero=zero)
        order, measured = list(orca.config.joint_ids), self.encoders.joints if self.encoders else ()
        self._at = np.array([order.index(joint) for joint in measured], int)
        self._motors = motor_names(orca.config)
        self.health = Health(limits, list(self._motors.values()), measured)
        self._unanchored = sorted(set(orca.encoder_backed_joints) - set(measured))
        self._degrees = np.full(len(order), np.nan)
        self._newest = np.full(len(measured), np.nan)  # the encoders' angles, degrees
        self._currents_due_s = self._temperatures_due_s = -np.inf

    def sense(self, motor_degrees: Array | None, now_s: float, *, strong: bool) -> Sensed:
        """What is known now.

        Args:
            motor_degrees: (A,) the motors' angles in orca_core's order; None if they did not come.
            now_s: The driver's time.
            strong: Whether the motors have torque.
        """
        if self.mock:
            self.mock.feed()
        if motor_degrees is not None:
            self._degrees = motor_degrees
            self._look_at_motors(now_s)
        vectors: dict[str, Array] = {}
        degrees, faults, warnings = self._degrees.copy(), [self.health.fault], []
        if self.encoders:
            look = self.encoders.look(now_s)
            self._newest = look.degrees
            there = self._at[look.valid]
            degrees[there] = look.degrees[look.valid]
            if strong:
                drift = np.where(look.valid, look.degrees - self._degrees[self._at], 0.0)
                self.health.see_drift(np.radians(drift), now_s)
            faults.append(look.fault)
            vectors |= self._joint_vectors(there)
            warnings += [self._inferred()]
        if self.fingertips:
            forces, age_s = self.fingertips.look(now_s)
            vectors |= {TOUCH: forces, TOUCH_AGE: np.array([age_s])}
            warnings += [self.fingertips.warning(age_s)]
        warnings = [self.health.warning, *warnings]
        return Sensed(
            self._map.from_driver(degrees),
            vectors,
            warning="; ".join(filter(None, warnings)),
            fault="; ".join(filter(None, faults)),
        )

    def differences(self) -> list[str]:
        """The joint whose encoder is furthest from its motor's angle now, in words."""
        if self.encoders is None:
            return []
        apart = np.abs(self._newest - self._degrees[self._at])
        if np.isnan(apart).all():
            return ["no encoder gives an angle"]
        joint = int(np.nanargmax(apart))
        name = self.encoders.joints[joint]
        return [f"encoders at most {apart[joint]:.1f} degrees from the motors ({name})"]

    def _joint_vectors(self, there: Array) -> dict[str, Array]:
        measured = np.zeros(len(self._degrees))
        measured[there] = 1.0
        ours = self._map.in_order(measured)
        return {MOTOR_POS: self._map.from_driver(self._degrees), MEASURED: ours}

    def _inferred(self) -> str:
        if not self._unanchored:
            return ""
        names = ", ".join(self._unanchored)
        return f"no anchor in calibration.yaml, so by the motor: {names}"

    def _look_at_motors(self, now_s: float) -> None:
        """What each status packet says anyway, and one more read of the bus when it is due."""
        orca, limits = self._orca, self._limits
        self._look_at_errors()
        if now_s >= self._currents_due_s:
            self._currents_due_s = now_s + limits.currents_every_s
            currents = orca.get_motor_state().current
            if orca.last_read_ok:
                self.health.see_currents(currents / float(orca.config.max_current), now_s)
        elif now_s >= self._temperatures_due_s:
            self._temperatures_due_s = now_s + limits.temperatures_every_s
            self.health.see_temperatures(orca.get_motor_temp())

    def _look_at_errors(self) -> None:
        """A motor at fault says so with every answer; what it is, it is asked once."""
        client = self._orca.motor_client
        for motor, status in client.take_hardware_alerts().items():
            name = self._motors.get(motor, f"motor {motor}")
            if name in self.health.errors:
                continue
            bits = client.read_hardware_error(motor)
            named = client.decode_hardware_error(bits) or [f"status {status:#04x}"]
            said = f"reports {' and '.join(named)}; power it off and on after a look"
            self.health.see_error(name, said)
