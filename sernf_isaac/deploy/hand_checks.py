"""What doctor.py looks at on an ORCA hand: files first, and on request what the hand itself says.

Only `check_hand_health` opens a bus. It moves nothing and switches no torque on; at its end the
torque is off, so a hand that still holds something from a session that was killed lets go.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sernf_isaac.deploy import checks
from sernf_isaac.deploy.checks import NotReadyError, read_calibration, read_hand_config
from sernf_isaac.deploy.hand.health import HealthLimits
from sernf_isaac.deploy.hand.orca_model import detect_sensors
from sernf_isaac.deploy.hand.orca_open import motor_errors, open_orca
from sernf_isaac.deploy.hand.orca_senses import OrcaSenses
from sernf_isaac.deploy.hand.sensors import TOUCH, SensorOptions
from sernf_isaac.deploy.protocols import HandDescription

LOOKS, BETWEEN_S = 20, 0.05
"""A second of readings, over which encoders and fingertips must stay there."""
HandOf = Callable[[Path], HandDescription]
Row = tuple[str, bool, Callable[[], str], str]
"""What, whether the twin needs it, the check, what to do when it fails and does not say."""


def hand_rows(config: Path | None, hand_of: HandOf, *, read: bool) -> list[Row]:
    """The table's rows about the hand.

    Args:
        config: Its `config.yaml`.
        hand_of: The hand that a configuration is of.
        read: Whether to open its bus and ask it.
    """
    files = {
        "driver": checks.check_hand_driver,
        "config": partial(checks.check_hand_config, config, hand_of),
        "motors' port": partial(checks.check_motor_port, config),
        "sensors": partial(check_hand_sensors, config),
    }
    if read:
        files["health"] = partial(check_hand_health, config, hand_of)
    return [(f"hand: {name}", False, check, CABLES) for name, check in files.items()]


CABLES = "check power and cables of the hand"
ANCHORS = "calibrate with orca_core while use_joint_feedback is true"


def check_hand_sensors(path: Path | None) -> str:
    """Which joints encoders measure, which the motors tell, and whether the fingertips feel.

    Raises:
        NotReadyError: If the configuration cannot be read, or declares encoders of which the
            calibration knows none.
    """
    config = read_hand_config(path)
    assert path is not None, "read before"
    sensors = detect_sensors(path)
    touch = "touch" if sensors.touch else "no touch"
    if not sensors.encoders:
        return f"no encoders: joint angles are the motors'; {touch}"
    anchors = read_calibration(config).joint_encoder_calibration_dict
    by_motor = [joint for joint in sensors.encoders if joint not in anchors]
    if len(by_motor) == len(sensors.encoders):
        raise NotReadyError("calibration.yaml has no anchor of any joint encoder", ANCHORS)
    others = [joint for joint in config.joint_ids if joint not in sensors.encoders]
    found = f"encoders measure {len(sensors.encoders) - len(by_motor)} of {len(config.joint_ids)}"
    if by_motor:
        raise NotReadyError(
            f"{found} joints; no anchor, so by the motor: {', '.join(by_motor)}; {touch}",
            ANCHORS,
            verdict="partly",
        )
    return f"{found} joints{', the motors ' + ', '.join(others) if others else ''}; {touch}"


def check_hand_health(
    path: Path | None,
    hand_of: HandOf,
    limits: HealthLimits | None = None,
    *,
    mock: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Temperatures, currents, error bits, encoders against motors, and fingertips, for a second.

    Args:
        path: The hand's `config.yaml`.
        hand_of: The hand that a configuration is of.
        limits: When it is unwell.
        mock: Ask orca_core's mock instead.
        sleep: Waits between two looks.

    Raises:
        NotReadyError: If something is above a limit: "unwell" if a session would stop for it,
            "watch" if it would only tell.
        RuntimeError: If the hand or a sensor of it does not answer.
    """
    read_hand_config(path)
    assert path is not None, "read before"
    sensors = detect_sensors(path)
    orca, joints = open_orca(hand_of(path), mock=mock, config_path=str(path), sensors=sensors)
    try:
        errors = motor_errors(orca)
        options = SensorOptions(zero_touch=False)  # something may touch them now
        senses = OrcaSenses(orca, joints, sensors, options, limits or HealthLimits(), mock=mock)
        return _look(orca, senses, errors, sleep)
    except OSError as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    finally:
        orca.disconnect()


def _look(
    orca: Any,  # noqa: ANN401  # orca_core is not typed
    senses: OrcaSenses,
    errors: list[str],
    sleep: Callable[[float], None],
) -> str:
    temperatures, currents = orca.get_motor_temp(), np.abs(orca.get_motor_state().current)
    senses.health.see_temperatures(temperatures)
    for at_s in (-3600.0, 0.0):  # as if they drew so much all the time
        senses.health.see_currents(currents / float(orca.config.max_current), at_s)
    order, forces = list(orca.config.joint_ids), np.zeros(0)
    for look in range(LOOKS):
        degrees = orca.get_joint_position().as_array(order)
        if not orca.last_read_ok:
            raise RuntimeError("the motors were found but do not answer")
        sensed = senses.sense(degrees, look * BETWEEN_S, strong=True)
        forces = sensed.vectors.get(TOUCH, forces)
        sleep(BETWEEN_S)
    said = [
        f"{len(temperatures)} motors at {np.min(temperatures):.0f} to {np.max(temperatures):.0f} C",
        f"at most {np.max(currents):.0f} of {float(orca.config.max_current):.0f} mA",
        *senses.differences(),
        *([f"fingertips feel at most {np.abs(forces).max():.1f} N"] if len(forces) else []),
    ]
    if found := [*errors, *filter(None, [sensed.fault])]:
        raise NotReadyError("; ".join([*found, *said]), UNWELL, verdict="unwell")
    if sensed.warning:
        raise NotReadyError("; ".join([sensed.warning, *said]), WATCH, verdict="watch")
    return ", ".join(said)


UNWELL = "see to it before a session; it would stop (docs/reference/hand.md, Health)"
WATCH = "a session tells this and goes on (docs/reference/hand.md, Health)"
