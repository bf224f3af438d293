"""The moving average of actions: the hand's guard follows the one of the simulations."""

import numpy as np
import torch
from first_hand import HAND, V1

from sernf_isaac.deploy.hand.guard import Guard, GuardLimits
from tasks.cube_spin.config import CONTROL_DT_S, tuned_task
from tasks.cube_spin.grasps import load_grasps, task_constants
from tasks.cube_spin.student.environment import radian_constants
from tasks.cube_spin.terms import joint_targets

STEPS, TICKS = 200, 2
"""Actions at 20 Hz; the guard's process sends commands at twice that rate."""


def allowed(outside_rad: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The joints' limits less the guard's margin, or this much beyond it."""
    margin = GuardLimits().margin_rad - outside_rad
    return np.array(HAND.lower_rad) + margin, np.array(HAND.upper_rad) - margin


def wandering_targets(reach: float, outside_rad: float = 0.0) -> np.ndarray:
    """Joint targets (T, 17) [rad] that wander up to `reach` per step, from one limit to the other.

    They keep the guard's margin to the limits, or go beyond it by `outside_rad`.
    """
    lower, upper = allowed(outside_rad)
    draw, wanted, heading = np.random.default_rng(0), [(lower + upper) / 2], 1.0
    for step in range(STEPS):
        heading = -heading if step % 67 == 66 else heading
        moved = wanted[-1] + reach * draw.uniform(-0.5 + 0.5 * heading, 0.5 + 0.5 * heading)
        jittered = moved + draw.uniform(-0.2, 0.2, len(lower)) * reach
        wanted.append(np.clip(jittered, lower, upper))
    return np.array(wanted)


def follow(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """What the simulation holds the servos to and what the guard sent, (T, 17) [rad] each.

    The last is in how many ticks the guard's other limits bound.
    """
    task = tuned_task()
    constants = radian_constants(task_constants(task, load_grasps(V1)))
    guard = Guard(HAND, GuardLimits(), CONTROL_DT_S / TICKS)
    guard.restart(targets[0])
    simulated = torch.from_numpy(guard.command).float()[None]
    expected, sent = [], []
    for action in torch.from_numpy(targets[1:]).float():
        simulated = joint_targets(action[None], simulated, constants, task.action.smoothing)
        assert guard.accept(action.numpy())
        for _ in range(TICKS):
            command = guard.step(guard.command)
        expected.append(simulated[0].double().numpy())
        sent.append(command)
    return np.array(expected), np.array(sent), guard.limited


def test_where_no_limit_binds_the_guard_sends_what_the_simulation_executes() -> None:
    expected, sent, limited = follow(wandering_targets(reach=0.08))
    assert limited == 0 and np.ptp(expected, axis=0).min() > 0.3, "far, and never limited"
    np.testing.assert_allclose(sent, expected, rtol=0.0, atol=1e-6)


def test_at_the_limits_they_differ_by_the_margin_alone() -> None:
    margin = GuardLimits().margin_rad
    expected, sent, limited = follow(wandering_targets(reach=0.08, outside_rad=margin))
    assert limited == 0
    difference = np.abs(sent - expected).max()
    assert 0.9 * margin < difference <= margin + 1e-6


def test_a_leap_is_executed_at_once_in_simulation_and_in_time_by_the_guard() -> None:
    targets = wandering_targets(reach=0.08)
    lower, upper = allowed()
    targets[100:] = lower + upper - targets[100]  # as far on the other side of the middle
    expected, sent, limited = follow(targets)
    assert limited > 0 and np.abs(sent - expected).max() > 0.05
    np.testing.assert_allclose(sent[-1], expected[-1], rtol=0.0, atol=1e-6)
