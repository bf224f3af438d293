"""Whatever comes in, what goes out obeys limits, speed and acceleration."""

import numpy as np
import pytest
import torch

from sernf_isaac.benchmarks.guard import fuzz_guard
from sernf_isaac.deploy.hand.guard import Guard, GuardLimits
from sernf_isaac.deploy.protocols import HandDescription

PERIOD_S = 1 / 40
MIDDLE = np.array([0.0, 0.5, -0.5])


@pytest.mark.parametrize("acceleration", [400.0, 30.0])
def test_nothing_a_policy_says_breaks_a_limit(hand, acceleration):
    limits = GuardLimits(max_acceleration_rad_s2=acceleration)
    report = fuzz_guard(hand, limits, 4000, seed=1)
    assert report.commands == 4000 and report.refused > 500
    assert (report.outside, report.too_fast, report.too_abrupt) == (0, 0, 0)


def test_the_judge_of_the_fuzz_sees_violations(hand):
    report = fuzz_guard(hand, GuardLimits(), 2000, control=True)
    assert min(report.outside, report.too_fast, report.too_abrupt) > 100


def test_limits_that_do_not_bind_leave_the_moving_average_of_the_simulation(hand):
    guard = Guard(hand, GuardLimits(max_speed_rad_s=20.0, max_acceleration_rad_s2=4000.0), PERIOD_S)
    guard.restart(MIDDLE)
    expected, rng = torch.from_numpy(MIDDLE), np.random.default_rng(0)
    for _ in range(20):
        action = MIDDLE + rng.uniform(-0.3, 0.3, 3)
        assert guard.accept(action)
        guard.step(guard.command)
        expected = torch.lerp(expected, torch.from_numpy(action), 0.5)
        np.testing.assert_allclose(guard.step(guard.command), expected, atol=1e-12)


NO_ACTIONS = [
    np.full(3, np.nan),
    [1.0, 2.0],
    None,
    "up",
    [0.0, np.inf, 0.0],
    [10**400, 0, 0],
    [0.5, 0.5, 10**30 + 1],  # numpy keeps it as an object
    np.array([0.0, 0.1, 0.2]) + 0j,
    np.array(["0.0", "0.1", "0.2"]),
    [b"0", b"0", b"0"],
    [True, False, True],
    np.ma.masked_array([0.0, 0.1, 0.2], [False, True, False]),
    np.array([np.longdouble("1e4000")] * 3),
    np.array(["2026-01-01"] * 3, "datetime64[s]"),
]


@pytest.mark.parametrize("bad", NO_ACTIONS, ids=range(len(NO_ACTIONS)))
@pytest.mark.filterwarnings("error")
def test_what_is_no_action_changes_nothing(hand, bad):
    guard = Guard(hand, GuardLimits(), PERIOD_S)
    guard.restart(MIDDLE)
    assert guard.accept(MIDDLE + 0.1)
    goal = guard.goal
    assert not guard.accept(bad)
    np.testing.assert_array_equal(guard.goal, goal)
    assert guard.rejected == 1


def test_a_goal_is_reached_exactly_and_without_overshoot(hand):
    guard = Guard(hand, GuardLimits(max_acceleration_rad_s2=10.0), PERIOD_S)
    guard.restart(MIDDLE)
    guard.aim(MIDDLE + 0.7)
    path = [guard.step(guard.command)[0]]
    while not guard.arrived:
        path.append(guard.step(guard.command)[0])
        assert len(path) < 200
    assert np.diff(path).min() >= -1e-12 and path[-1] == pytest.approx(0.7, abs=1e-6)


def test_a_blocked_joint_is_not_wound_up(hand):
    guard = Guard(hand, GuardLimits(max_error_rad=0.2), PERIOD_S)
    guard.restart(MIDDLE)
    for _ in range(100):
        guard.accept(MIDDLE + 0.9)
        command = guard.step(MIDDLE)
    np.testing.assert_allclose(command, MIDDLE + 0.2, atol=1e-9)


def test_stopping_brakes_instead_of_jumping(hand):
    limits = GuardLimits(max_acceleration_rad_s2=40.0)
    guard = Guard(hand, limits, PERIOD_S)
    guard.restart(MIDDLE)
    guard.aim(MIDDLE + 0.9)
    path = [guard.command] + [guard.step(guard.command) for _ in range(6)]
    guard.stop()
    path += [guard.step(guard.command) for _ in range(20)]
    speed = np.diff(path, axis=0)
    assert np.abs(np.diff(speed, axis=0)).max() <= 40.0 * PERIOD_S**2 + 1e-9
    assert np.abs(speed[-1]).max() < 1e-9


def test_limits_cannot_be_switched_off(hand):
    for setting in ({"max_speed_rad_s": np.inf}, {"margin_rad": 0.0}, {"max_error_rad": -1.0}):
        with pytest.raises(ValueError, match="no limit can be off"):
            GuardLimits(**setting)
    for setting in ({"max_speed_rad_s": 80.0}, {"max_error_rad": 3.0}, {"smoothing": 1.5}):
        with pytest.raises(ValueError, match=rf"guard\.{next(iter(setting))} .* must be at most"):
            GuardLimits(**setting)
    with pytest.raises(ValueError, match="leaves right_wrist no range"):
        Guard(hand, GuardLimits(margin_rad=1.0), PERIOD_S)


def test_a_description_must_make_sense(hand):
    fields = dict(vars(hand))
    with pytest.raises(ValueError, match="one entry per joint"):
        HandDescription(**fields | {"signs": (1, 1)})
    with pytest.raises(ValueError, match="right_thumb has the impossible range"):
        HandDescription(**fields | {"lower_rad": (-1.0, 9.0, -2.0)})
    with pytest.raises(ValueError, match="signs must be 1 or -1"):
        HandDescription(**fields | {"signs": (1, 0, 1)})


@pytest.mark.parametrize("bad", NO_ACTIONS, ids=range(len(NO_ACTIONS)))
def test_a_hand_is_never_aimed_at_or_found_at_what_is_no_place(hand, bad):
    guard = Guard(hand, GuardLimits(), PERIOD_S)
    before = guard.command
    for move in (guard.aim, guard.restart):
        with pytest.raises(ValueError, match="3 finite angles"):
            move(bad)
    np.testing.assert_array_equal(guard.command, before)
