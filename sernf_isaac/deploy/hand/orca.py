"""An ORCA hand through orca_core, or orca_core's own mock of it.

Facts about orca_core 0.12 this driver is built around: a NaN in a dictionary of targets becomes the
upper limit of that joint, so targets are arrays and finite; a failed read returns old values, so
`last_read_ok` is looked at every time; fault handling can switch motors back on by itself, so it is
never called here; nothing stops the motors when their master dies, so Dynamixel's own bus watchdog
is armed. Joint encoders and tactile sensors are left alone: a thread of orca_core that steers by
them would go on writing to the motors while nothing comes from here.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.loop.vectors import as_vector
from sernf_isaac.deploy.protocols import Array, HandDescription, HandReading
from sernf_isaac.install import install_command

BUS_WATCHDOG_REGISTER = 98
BUS_WATCHDOG_UNIT_S = 0.02
RANGE_TOLERANCE_DEG = 0.5
"""A commanded range may exceed the driver's by rounding only."""
CONTROL_MODE = "current_based_position"
"""No other mode lets RELAX limit the current."""
LEAST_MOTOR_RANGE_RAD = 0.2
"""A calibration with less between two stops has not moved that motor."""


class OrcaDriver:
    """One ORCA hand.

    Args:
        hand: Its joints in this project, its version and side.
        mock: Use orca_core's mock: it goes where it is told at once, for dry runs.
        config_path: `config.yaml` of this very hand, with its calibration beside it; the packaged
            one by default.
        bus_watchdog_s: Dynamixel motors stop by themselves after this silence on the bus.
        clock_hz: Rate at which `read` is called, for the speed from positions.
        clock: Monotonic [s], to know how long the bus was silent.
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
    ) -> None:
        self._hand, self._mock, self._config_path = hand, mock, config_path
        self._watchdog_units = round(bus_watchdog_s / BUS_WATCHDOG_UNIT_S)
        if not 1 <= self._watchdog_units <= 127:
            raise ValueError(f"bus_watchdog_s ({bus_watchdog_s}) must be in 0.02..2.54")
        self._clock_hz, self._clock = clock_hz, clock
        self._written_s = -np.inf
        self._orca = None
        self._joint_pos = np.zeros(hand.num_joints)
        self._strong = False
        self.has_bus_watchdog = False
        """Whether the motors would notice a dead bus master now."""

    def connect(self) -> None:
        """Open the bus; motors stay without torque.

        Raises:
            RuntimeError: If orca_core is missing, no hand answers or a motor of it is missing, or
                `check_config` or `check_calibration` find something.
        """
        try:
            from orca_core import load_hand
        except ImportError as error:
            raise RuntimeError(f"orca_core is not installed: {install_command('hand')}") from error
        plain: dict[str, Any] = {"mock": self._mock}
        plain |= {"engage_feedback": False, "engage_sensors": False}
        if self._config_path:
            self._orca = load_hand(config_path=self._config_path, **plain)
        else:
            model = f"orcahand-{self._hand.side}"
            self._orca = load_hand(model_version=self._hand.model, model_name=model, **plain)
        self._map = check_config(self._hand, self._orca.config)
        connected, message = self._orca.connect(interactive=False)
        if not connected:
            raise RuntimeError(f"no ORCA hand: {message}")
        if absent := self._orca.absent_joints:  # orca_core would leave them out without a word
            raise RuntimeError(f"no motor answers for {', '.join(absent)}; check its cable")
        if not self._mock:
            check_calibration(self._orca.config, self._orca.calibration)
        self._arm_bus_watchdog(False)  # a master that was killed left it tripped
        self._orca.init_joints(move_to_neutral=False)  # modes, currents, where zero is
        self._full_current_ma = float(self._orca.config.max_current)
        self._orca.disable_torque()
        if not self.read().fresh:
            raise RuntimeError("the motors were found but do not answer; check power and cabling")

    def read(self) -> HandReading:
        """Joint angles, their speed by differences, and whether the bus answered."""
        degrees = self._orca_hand.get_joint_position().as_array(self._orca_hand.config.joint_ids)
        fresh = bool(self._orca_hand.last_read_ok) and bool(np.isfinite(degrees).all())
        before = self._joint_pos
        if fresh:
            self._joint_pos = self._map.from_driver(degrees)
        return HandReading(self._joint_pos, (self._joint_pos - before) * self._clock_hz, fresh)

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
        config = self._orca_hand.config
        client = self._orca_hand.motor_client
        if client is None:
            raise RuntimeError("the motor bus is closed")
        errors = client.read_hardware_errors(config.motor_ids)
        found = [
            f"motor {motor} ({config.motor_to_joint_dict.get(motor)}): "
            + ("does not answer" if bits is None else f"error bits {bits:#04x}")
            for motor, bits in errors.items()
            if bits != 0
        ]
        if found:
            raise RuntimeError("; ".join(found))

    def place(self) -> bool:
        """A person has to put the object there."""
        return False

    def rearm(self) -> None:
        """After a trip the motors ignore goals until their watchdog register is cleared."""
        self._arm_bus_watchdog(False)

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


def check_config(hand: HandDescription, config: Any) -> JointMap:  # noqa: ANN401  # not typed
    """How this driver's joints are those of a hand, if it may be driven as its config.yaml says.

    Args:
        hand: What is commanded.
        config: orca_core's configuration of the hand.

    Raises:
        RuntimeError: If it is another side or model, its mode has no limit of the current, or its
            ranges are narrower than what is commanded; names the entry of config.yaml.
    """
    if config.type != hand.side:  # a left hand has the same joint names
        raise RuntimeError(
            f"config.yaml says type: {config.type}; it is to be driven as a {hand.side} hand, of "
            f"which joints turn the other way (if it is one, write type: {hand.side})"
        )
    if config.control_mode != CONTROL_MODE:
        raise RuntimeError(
            f"config.yaml says control_mode: {config.control_mode}, in which motors push without a "
            f"limit of their current; write control_mode: {CONTROL_MODE}"
        )
    try:
        found = JointMap(hand, list(config.joint_ids))
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    ends = (found.to_driver(np.array(value)) for value in (hand.lower_rad, hand.upper_rad))
    for name, *reach in zip(config.joint_ids, *ends, strict=True):
        low, high = config.joint_roms_dict[name]
        if min(reach) < low - RANGE_TOLERANCE_DEG or max(reach) > high + RANGE_TOLERANCE_DEG:
            raise RuntimeError(
                f"{name} may be commanded to {min(reach):.1f}..{max(reach):.1f} degrees here, "
                f"but this hand's config.yaml allows {low}..{high}; correct one of them"
            )
    return found


def check_calibration(config: Any, calibration: Any) -> None:  # noqa: ANN401  # not typed
    """Nothing if every motor was moved from stop to stop.

    Args:
        config: orca_core's configuration of the hand.
        calibration: What was read from calibration.yaml.

    Raises:
        RuntimeError: If not; names the first motor and its joint.
    """
    for part, done in (("hand", calibration.calibrated), ("wrist", calibration.wrist_calibrated)):
        if done is not True:
            raise RuntimeError(f"calibration.yaml does not say that the {part} is calibrated")
    for motor in config.motor_ids:
        where = f"motor {motor} ({config.motor_to_joint_dict.get(motor)})"
        limits = as_vector(calibration.motor_limits_dict.get(motor), 2)
        if limits is None or not limits[1] - limits[0] >= LEAST_MOTOR_RANGE_RAD:
            raise RuntimeError(
                f"calibration.yaml gives {where} the limits "
                f"{calibration.motor_limits_dict.get(motor)} rad, which is no range"
            )
        ratio = as_vector([calibration.joint_to_motor_ratios_dict.get(motor)], 1)
        if ratio is None or ratio[0] == 0.0:
            raise RuntimeError(
                f"calibration.yaml gives {where} the ratio "
                f"{calibration.joint_to_motor_ratios_dict.get(motor)} rad per degree"
            )
