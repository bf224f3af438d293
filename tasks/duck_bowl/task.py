"""The duck task's rules, without a simulator: grip frame, rewards, ends, and every number of them.

A reward of 1 for lifting the duck off the table, once, and of 1 for leaving it in the bowl, which
ends the episode. It also ends when the duck is dropped beside the bowl after it was lifted, when it
leaves the table, and after 20 s. The paper gives rewards and ends of its scissors task (IV-B, E.2);
these are their counterparts.
"""

from dataclasses import dataclass

import numpy as np

from tasks.duck_bowl.scene import BOWL_RADIUS_M, DUCK_REST_M

TIME_LIMIT_S = 20.0
STAGES = ("lifted", "in the bowl")
"""What the two rewards stand for."""
LIFTED_M = 0.05
"""Height of the duck's origin from which on it counts as lifted; 28 mm above its place."""
DROPPED_M = 0.035
LET_GO_M = 0.055
"""A duck this far from the grip is not in the hand."""
IN_BOWL_M = BOWL_RADIUS_M - 0.012
AT_REST_M_S = 0.05
TABLE_M = 0.38
"""A duck that is farther from the middle than this, in x or y, is leaving the table."""
HOME = np.array([0.0, 0.0, 0.16, 0.0, 0.0, 0.0, 1.0])
"""Pose of the grip at an episode's start (7,)."""
WORKSPACE_LOWER_M, WORKSPACE_UPPER_M = (-0.25, -0.15, 0.012), (0.25, 0.2, 0.3)


@dataclass(frozen=True)
class Verdict:
    """What a step was worth in N worlds, and whether it ended them; all (N,)."""

    reward: np.ndarray
    terminated: np.ndarray
    succeeded: np.ndarray
    lifted: np.ndarray
    """In this step or before."""


def judge(
    duck: np.ndarray,
    grip: np.ndarray,
    bowl: np.ndarray,
    duck_speed: np.ndarray,
    lifted: np.ndarray,
) -> Verdict:
    """Rewards and ends after a step.

    Args:
        duck: (N, 7) its poses.
        grip: (N, 7) poses of the grip.
        bowl: (N, 3) middle of the bowl on the table.
        duck_speed: (N,) [m/s].
        lifted: (N,) bool: the duck was lifted before.
    """
    height, beside = duck[:, 2], np.linalg.norm(duck[:, :2] - bowl[:, :2], axis=1)
    held = np.linalg.norm(duck[:, :3] - grip[:, :3], axis=1) < LET_GO_M
    now_lifted = ~lifted & (height > LIFTED_M) & held
    lifted = lifted | now_lifted
    in_bowl = (beside < IN_BOWL_M) & (height < LIFTED_M) & ~held & (duck_speed < AT_REST_M_S)
    succeeded = lifted & in_bowl
    dropped = lifted & ~held & (height < DROPPED_M) & (beside > BOWL_RADIUS_M)
    gone = (height < DUCK_REST_M - 0.02) | (np.abs(duck[:, :2]) > TABLE_M).any(axis=1)
    reward = now_lifted.astype(np.float32) + succeeded
    return Verdict(reward, succeeded | dropped | gone, succeeded, lifted)
