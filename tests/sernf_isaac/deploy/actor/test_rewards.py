"""Quarters are paid once, whatever the cube and the camera do."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.actor.rewards import (
    QUARTER_RAD,
    DropDetector,
    QuarterCounter,
    progress,
    propose,
    turn_between,
)


def turned(*angles_rad: float) -> np.ndarray:
    """(T, 4) rotations about the vertical, from some tilted start."""
    start = Rotation.from_rotvec([0.1, -0.05, 0.3])
    return np.array([(Rotation.from_rotvec([0, 0, a]) * start).as_quat() for a in angles_rad])


def count(quaternions: np.ndarray, direction: float = 1.0) -> int:
    counter = QuarterCounter(direction)
    return sum(counter.update(quaternion) for quaternion in quaternions)


def test_two_turns_are_eight_quarters_in_either_direction():
    path = np.arange(0.0, 4 * np.pi + 0.5, 0.06)
    assert count(turned(*path)) == 8
    assert count(turned(*-path), -1.0) == 8
    assert count(turned(*path), -1.0) == 0


def test_noise_does_not_change_the_count():
    path, rng = np.arange(0.0, 4 * np.pi + 0.5, 0.06), np.random.default_rng(0)
    wobble = Rotation.from_rotvec(rng.normal(0.0, 0.05, (len(path), 3)))
    assert count((wobble * Rotation.from_quat(turned(*path))).as_quat()) == 8


def test_rocking_about_a_mark_is_paid_once():
    rocking = QUARTER_RAD + 0.3 * np.sin(np.arange(0.0, 60.0, 0.1))
    path = np.concatenate([np.arange(0.0, QUARTER_RAD, 0.1), rocking])
    assert count(turned(*path)) == 1


def test_the_sign_of_a_quaternion_means_nothing():
    path = turned(*np.arange(0.0, 7.0, 0.1))
    flipped = path * np.where(np.arange(len(path)) % 3 == 0, -1.0, 1.0)[:, None]
    assert count(flipped) == count(path) == 4


def test_a_false_pose_is_ignored_and_a_lasting_jump_is_believed_without_pay():
    path = np.full(30, 0.1)
    path[10] = 2.0
    assert count(turned(*path)) == 0
    path[10:] = 2.0
    counter = QuarterCounter(1.0)
    for quaternion in turned(*path):
        counter.update(quaternion)
    assert counter.quarters == 0 and abs(counter.progress_rad) < 1e-9
    assert count(turned(*path, *np.arange(2.0, 2.0 + 2.0, 0.1))) == 1


def test_turning_over_without_turning_about_the_vertical_earns_nothing():
    over = Rotation.from_rotvec(np.outer(np.arange(0.0, 12.0, 0.1), [1.0, 0.0, 0.0])).as_quat()
    assert count(over) == 0
    assert turn_between(over[0], over[1]) == pytest.approx(0.0, abs=1e-12)


def counted_live(yaw: np.ndarray, new: np.ndarray) -> list[int]:
    """Steps a robot rewards: what a pose shows is the doing of the step before it."""
    counter, steps = QuarterCounter(1.0), []
    for moment, quaternion in enumerate(turned(*yaw)):
        if new[moment] and counter.update(quaternion):
            steps.append(moment - 1)
    return steps


def poses_of(yaw: np.ndarray) -> np.ndarray:
    """As they are stored: in single precision."""
    return np.concatenate([np.zeros((len(yaw), 3)), turned(*yaw)], axis=1).astype(np.float32)


def test_proposals_are_where_a_robot_counting_live_put_its_rewards():
    yaw = np.repeat(np.arange(0.0, 7.0, 0.07), 2)  # every second step has no new pose
    new = np.arange(len(yaw)) % 2 == 0
    events = propose(poses_of(yaw), 1.0)
    assert [value for _, value, _ in events] == [1.0] * 4
    assert [step for step, _, _ in events] == counted_live(yaw, new)
    seen_next = progress(poses_of(yaw), 1.0)[[step + 1 for step, _, _ in events]]
    np.testing.assert_array_less(0, seen_next - QUARTER_RAD * np.arange(1, 5))
    with pytest.raises(ValueError, match=r"poses must be \(T, 7\)"):
        propose(poses_of(yaw)[:, :4], 1.0)
    with pytest.raises(ValueError, match=r"new must be \(200,\)"):
        propose(poses_of(yaw), 1.0, new[:3])


@pytest.mark.parametrize("steps_per_quarter", [7, 10, 16])
def test_quarters_reached_exactly_count_alike_live_and_from_what_was_stored(steps_per_quarter):
    yaw = np.arange(5 * steps_per_quarter) * (QUARTER_RAD / steps_per_quarter)
    live = counted_live(yaw, np.ones(len(yaw), bool))
    assert len(live) == 4
    assert [step for step, _, _ in propose(poses_of(yaw), 1.0)] == live


def test_a_resting_object_that_is_seen_again_confirms_its_quarter():
    yaw = np.concatenate([np.arange(0.0, 1.6, 0.1), np.full(10, 1.6)])
    new = np.ones(len(yaw), bool)
    assert [step for step, _, _ in propose(poses_of(yaw), 1.0, new)] == counted_live(yaw, new)
    assert propose(poses_of(yaw), 1.0) == []  # equal poses may be one old pose


def test_a_direction_is_needed():
    with pytest.raises(ValueError, match="positive or negative"):
        QuarterCounter(0.0)


def test_a_drop_needs_several_poses_or_none_at_all():
    drops = DropDetector(confirm=3, blind_s=1.0)
    seen = [drops.update(new=True, lost=lost, age_s=0.1) for lost in (1, 1, 0, 1, 1)]
    assert not any(seen)
    assert not drops.update(new=False, lost=True, age_s=0.1)  # the same pose again
    assert drops.update(new=True, lost=True, age_s=0.1)
    assert DropDetector().update(new=False, lost=False, age_s=1.1)
