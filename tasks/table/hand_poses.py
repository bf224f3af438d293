"""The hand as these tasks use it: open around an object, or closed on it."""

import numpy as np

from tasks.cube_spin.grasps import load_grasps
from tasks.table.scene import HAND

_OPEN_RAD = {"mcp": -0.45, "pip": -0.2}
_CLOSE_RAD = {"mcp": 0.15, "pip": 0.15}
_THUMB_RAD = {"open": -0.3, "closed": 0.15}


def hand_poses() -> tuple[np.ndarray, np.ndarray]:
    """Joint targets (17,) of the open hand, and of the hand closed on a small object [rad].

    Both are the mean of the cube task's grasps, with the fingers bent less or more.
    """
    mean = load_grasps(HAND).mean_target.double().numpy()
    opened, closed = mean.copy(), mean.copy()
    for index, name in enumerate(HAND.joint_names):
        if "thumb" not in name and (kind := name.rpartition("_")[2]) in _OPEN_RAD:
            opened[index] += _OPEN_RAD[kind]
            closed[index] += _CLOSE_RAD[kind]
        elif name.endswith("thumb_pip"):
            opened[index] += _THUMB_RAD["open"]
            closed[index] += _THUMB_RAD["closed"]
    ends = HAND.lower_rad, HAND.upper_rad
    return np.clip(opened, *ends), np.clip(closed, *ends)
