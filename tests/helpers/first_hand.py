"""The ORCA v1 right hand, as most tests use it."""

from tasks.orca.hands import load_hand
from tasks.orca.names import FIRST_HAND

V1 = load_hand(FIRST_HAND)
HAND = V1.driver
"""As the robot side knows it."""
JOINTS, JOINT_NAMES = V1.joints, V1.joint_names
JOINT_LOWER, JOINT_UPPER = V1.lower_rad.copy(), V1.upper_rad.copy()
CUBE_ORIGIN_M = V1.grasp_point_m
ROOT_BODY, PALM_BODY = V1.root_body, V1.palm_body
FINGERTIP_BODIES, FINGERTIP_OFFSETS = V1.fingertip_bodies, V1.fingertip_centres_m.copy()
