"""The simulated scissors task's rules: rewards, ends, and every number of them.

A reward of 1 for taking the scissors off their stand, once, and of 1 for cutting the tape in two,
which ends the episode (paper App. B, E.2). It also ends when the scissors fall, when they leave
the table, and after 30 s; the paper's limit is 120 s (App. B).
"""

from dataclasses import dataclass

import numpy as np

from tasks.scissors_tape.scene import TOOL_REST_M

TIME_LIMIT_S = 30.0
STAGES = ("grasped", "cut")
"""What the two rewards stand for."""
GRASPED_M = TOOL_REST_M + 0.025
"""Height of the handles' middle from which on the scissors count as taken from the stand."""
FALLEN_M = TOOL_REST_M - 0.023
LET_GO_M = 0.05
"""Scissors whose handles' middle is this far from the grip are not in the hand."""
TABLE_M = 0.38
"""Scissors farther from the middle than this, in x or y, are leaving the table."""


@dataclass(frozen=True)
class Verdict:
    """What a step was worth in N worlds, and whether it ended them; all (N,)."""

    reward: np.ndarray
    terminated: np.ndarray
    succeeded: np.ndarray
    grasped: np.ndarray
    """In this step or before."""


def judge(tool: np.ndarray, grip: np.ndarray, cut: np.ndarray, grasped: np.ndarray) -> Verdict:
    """Rewards and ends after a step.

    Args:
        tool: (N, 7) poses of the scissors, at the handles' middle.
        grip: (N, 7) poses of the grip.
        cut: (N,) share of the strips' width that is cut.
        grasped: (N,) bool: the scissors were taken from the stand before.
    """
    held = np.linalg.norm(tool[:, :3] - grip[:, :3], axis=1) < LET_GO_M
    now_grasped = ~grasped & (tool[:, 2] > GRASPED_M) & held
    grasped = grasped | now_grasped
    succeeded = grasped & (cut >= 1.0)
    fallen = (tool[:, 2] < FALLEN_M) | (np.abs(tool[:, :2]) > TABLE_M).any(axis=1)
    reward = now_grasped.astype(np.float32) + succeeded
    return Verdict(reward, succeeded | fallen, succeeded, grasped)
