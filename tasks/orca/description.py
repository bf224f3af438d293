"""The ORCA hand as the robot side knows it: joints, limits, and the driver's names and signs."""

from sernf_isaac.deploy.protocols import HandDescription
from tasks.orca.joints import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, JOINTS

HAND = HandDescription(
    joint_names=JOINT_NAMES,
    lower_rad=tuple(JOINT_LOWER.tolist()),
    upper_rad=tuple(JOINT_UPPER.tolist()),
    driver_names=tuple(joint.orca_name for joint in JOINTS),
    signs=tuple(joint.sign for joint in JOINTS),
)
"""The ORCA right hand, v1."""
