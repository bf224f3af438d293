"""What orca_core's config.yaml and calibration.yaml must say before a hand is driven."""

from typing import Any

import numpy as np

from sernf_isaac.deploy.hand.joint_map import JointMap
from sernf_isaac.deploy.loop.vectors import as_vector
from sernf_isaac.deploy.protocols import HandDescription

RANGE_TOLERANCE_DEG = 0.5
"""A commanded range may exceed the driver's by rounding only."""
CONTROL_MODE = "current_based_position"
"""No other mode lets RELAX limit the current."""
LEAST_MOTOR_RANGE_RAD = 0.2
"""A calibration with less between two stops has not moved that motor."""


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
