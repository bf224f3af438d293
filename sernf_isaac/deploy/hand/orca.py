"""An ORCA hand through orca_core, or orca_core's own mock of it.

Facts about orca_core 0.12 this driver is built around: a NaN in a dictionary of targets becomes the
upper limit of that joint, so targets are arrays and finite; a failed read returns old values, so
`last_read_ok` is looked at every time; fault handling can switch motors back on by itself, so it is
never called here; nothing stops the motors when their master dies, so Dynamixel's own bus watchdog
is armed. Joint encoders and fingertips are measured and never steered by (`orca_encoders.py`).
"""

import time
from collections.abc import Callable

import numpy as np

from sernf_isaac.deploy.hand.health import HealthLimits
from sernf_isaac.deploy.hand.orca_open import motor_errors, open_orca
from sernf_isaac.deploy.hand.orca_senses import OrcaSenses
from sernf_isaac.deploy.hand.sensors import HandSensors, SensorOptions
from sernf_isaac.deploy.protocols import Array, HandDescription, HandReading

BUS_WATCHDOG_REGISTER = 98
BUS_WATCHDOG_UNIT_S = 0.02


class OrcaDriver:
    """One ORCA hand.

    Args:
        hand: Its joints in this project, its version and side.
        mock: Use orca_core's mock: it goes where it is told at once, for dry runs.
        config_path: `config.yaml` of this very hand, with its calibration beside it; the packaged
            one by default.
        bus_watchdog_s: Dynamixel motors stop by themselves after this silence on the bus.
        clock_hz: Rate at which `read` is called, for the speed from positions.
        clock: Monotonic [s], to know how long the bus or a sensor was silent.
        sensors: Which of its sensors are used; none by default.
        options: How they are used.
        health: When motors and tendons are unwell.
    """

    def __init__(
        self,
        hand: HandDescription,
        *,
        mock: bool = False,
        config_path: str | None = None,
        bus_watchdog_s: float = 0.1,
        clock_hz: float = 40.0,
        clock: Callable[[], float] = time.monotonic,
        sensors: HandSensors | None = None,
        options: SensorOptions | None = None,
        health: HealthLimits | None = None,
    ) -> None:
        self._hand, self._mock, self._config_path = hand, mock, config_path
        self._watchdog_units = round(bus_watchdog_s / BUS_WATCHDOG_UNIT_S)
        if not 1 <= self._watchdog_units <= 127:
            raise ValueError(f"bus_watchdog_s ({bus_watchdog_s}) must be in 0.02..2.54")
        self._clock_hz, self._clock = clock_hz, clock
        self._sensors, self._options = sensors or HandSensors(), options or SensorOptions()
        self._limits = health or HealthLimits()
        self._written_s = -np.inf
        self._orca = None
        self._joint_pos = np.zeros(hand.num_joints)
        self._strong = False
        self.has_bus_watchdog = False
        """Whether the motors would notice a dead bus master now."""

    def connect(self) -> None:
        """Open the bus and the sensors; motors stay without torque.

        Raises:
            RuntimeError: As `open_orca`, if the motors do not answer, or a sensor says nothing.
        """
        self._orca, self._map = open_orca(
            self._hand, mock=self._mock, config_path=self._config_path, sensors=self._sensors
        )
        self._arm_bus_watchdog(False)  # a master that was killed left it tripped
        self._orca.init_joints(move_to_neutral=False)  # modes, currents, where zero is
        self._full_current_ma = float(self._orca.config.max_current)
        self._orca.disable_torque()
        self.senses = OrcaSenses(
            self._orca, self._map, self._sensors, self._options, self._limits, mock=self._mock
        )
        if not self.read().fresh:
            raise RuntimeError("the motors were found but do not answer; check power and cabling")

    def read(self) -> HandReading:
        """Joint angles, their speed by differences, whether the bus answered, and health."""
        orca, now_s = self._orca_hand, self._clock()
        degrees = orca.get_joint_position().as_array(orca.config.joint_ids)
        fresh = bool(orca.last_read_ok) and bool(np.isfinite(degrees).all())
        before = self._joint_pos
        sensed = self.senses.sense(degrees if fresh else None, now_s, strong=self._strong)
        if fresh:
            self._joint_pos = sensed.joint_pos
        return HandReading(
            self._joint_pos,
            (self._joint_pos - before) * self._clock_hz,
            fresh,
            sensors=sensed.vectors,
            warning=sensed.warning,
            fault=sensed.fault,
        )

    def command(self, joint_target: Array) -> None:
        """Send servo targets [rad].

        Raises:
            ValueError: If one is not finite; orca_core would make a full flexion of it.
            RuntimeError: If the bus was silent for so long that the motors stopped by themselves.
        """
        degrees = self._map.to_driver(joint_target)
        if not np.isfinite(degrees).all():
            raise ValueError(f"targets {joint_target} are not finite")
        self._notice_silence()
        self._orca_hand.set_joint_positions(degrees)
        self._written_s = self._clock()

    def set_strength(self, share: float) -> None:
        """Torque off, or on with this share of the configured current.

        The wrist runs without a current limit in orca_core; it keeps its full strength.

        Raises:
            RuntimeError: If motors do not acknowledge, or the bus was silent as in `command`.
        """
        hand = self._orca_hand
        if share <= 0.0:
            self._strong = False
            failed = hand.disable_torque()  # before anything else that could fail
            self.senses.health.forget_drift()
            self._arm_bus_watchdog(False)
        else:
            self._notice_silence()
            hand.set_max_current(share * self._full_current_ma)
            failed = [] if self._strong else hand.enable_torque()
            self._arm_bus_watchdog(True)
        self._strong = share > 0.0 and not failed
        if failed:
            raise RuntimeError(f"motors {list(failed)} did not acknowledge strength {share}")

    def check(self) -> None:
        """Nothing if no motor reports a fault; takes too long for every tick.

        Raises:
            RuntimeError: Naming motors and joints. Nothing is reset: somebody has to look.
        """
        if found := motor_errors(self._orca_hand):
            raise RuntimeError("; ".join(found))

    def place(self) -> bool:
        """A person has to put the object there."""
        return False

    def rearm(self) -> None:
        """After a trip the motors ignore goals until their watchdog register is cleared."""
        self._arm_bus_watchdog(False)
        self.senses.health.forget()

    def close(self) -> None:
        """Torque off and bus closed."""
        if self._orca is not None:
            self._orca.disconnect()
            self._orca = None

    @property
    def _orca_hand(self):  # noqa: ANN202  # orca_core is not typed
        if self._orca is None:
            raise RuntimeError("the hand is not connected")
        return self._orca

    def _notice_silence(self) -> None:
        """What the motors do after a trip, they do without a word, and goals do not reach them.

        Lasts until `rearm`, or until they are without torque.
        """
        limit_s = self._watchdog_units * BUS_WATCHDOG_UNIT_S
        if self.has_bus_watchdog and self._clock() - self._written_s > limit_s:
            raise RuntimeError(
                f"the bus was silent for over {limit_s:.2f} s, the motors stopped; clear to rearm"
            )

    def _arm_bus_watchdog(self, on: bool) -> None:
        """Feetech motors have none; then a dead bus master is only noticed by this computer."""
        client, config = self._orca_hand.motor_client, self._orca_hand.config
        if client is None or config.motor_type != "dynamixel":
            return
        ids = list(config.motor_ids)
        values = [self._watchdog_units if on else 0] * len(ids)
        write = client.sync_write  # type: ignore[attr-defined]  # Dynamixel clients have it
        write(ids, values, BUS_WATCHDOG_REGISTER, 1)
        self.has_bus_watchdog, self._written_s = on, self._clock()
