"""The filter: follows, smooths, gates, takes late news, admits when it is lost."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.geometry import transform
from perception.pose.projection import move, pose_error
from perception.report.sequences import YawCounter, count_quarters
from perception.tracking.filter import FilterConfig, Measurement, Outcome, PoseFilter
from perception.tracking.state import MotionConfig, coast, rotation_matrix, turned

COVARIANCE = np.diag([0.5e-3, 0.5e-3, 2e-3, 0.025, 0.025, 0.01]) ** 2
RATE_HZ = 30.0


def truth(time_s, spin_rad_s=1.2):
    """A tilted, wobbling cube that spins about the line of sight."""
    tilt = Rotation.from_rotvec([0.25 + 0.1 * np.sin(1.7 * time_s), 0.1, 0.0])
    turn = tilt * Rotation.from_rotvec([0.0, 0.0, spin_rad_s * time_s])
    return transform(np.array([0.004 * np.sin(time_s), 0.0, 0.3]), turn.as_quat())


def noisy(time_s, rng, scale=1.0):
    error = scale * rng.multivariate_normal(np.zeros(6), COVARIANCE)
    return Measurement(time_s, move(truth(time_s), error), COVARIANCE)


def measurements(rng, seconds=2.0, scale=1.0):
    return [noisy(k / RATE_HZ, rng, scale) for k in range(int(seconds * RATE_HZ))]


def rotation_error_deg(state, time_s):
    return np.degrees(np.linalg.norm(pose_error(state.pose, truth(time_s))[3:]))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_it_learns_position_and_spin(rng):
    tracked = PoseFilter()
    for measurement in measurements(rng, 3.0, scale=0.0):
        tracked.add(measurement)
    state = tracked.state_at(3.0)
    assert rotation_error_deg(state, 3.0) < 1.0
    assert state.spin_rad_s[2] == pytest.approx(1.2, abs=0.15)


QUARTER = Rotation.from_euler("z", 90, degrees=True)
WRONG = (QUARTER * Rotation.from_euler("x", 180, degrees=True)).as_matrix()
"""A turn of the cube onto itself: what a detector that takes faces for others is off by."""


def mistaken(measurement):
    pose = measurement.pose.copy()
    pose[:3, :3] = pose[:3, :3] @ WRONG
    return Measurement(measurement.time_s, pose, measurement.covariance)


def test_a_measurement_that_took_faces_for_others_counts_turned_back(rng):
    tracked, told = PoseFilter(), PoseFilter()
    for k, measurement in enumerate(measurements(rng, 1.0)):
        told.add(measurement)
        is_wrong = k in (12, 13, 20)
        outcome = tracked.add(mistaken(measurement) if is_wrong else measurement)
        assert (outcome is Outcome.TURNED) == is_wrong
    np.testing.assert_allclose(tracked.state_at(1.0).pose, told.state_at(1.0).pose, atol=1e-9)


def test_a_track_that_began_with_the_wrong_faces_does_not_turn_all_others_to_them(rng):
    tracked, outcomes = PoseFilter(), []
    for k, measurement in enumerate(measurements(rng, 1.0)):
        outcomes.append(tracked.add(mistaken(measurement) if k < 3 else measurement))
    assert outcomes[3:10] == [Outcome.TURNED] * 7
    assert outcomes[10:12] == [Outcome.WAITING, Outcome.STARTED]
    assert set(outcomes[12:]) == {Outcome.USED}
    assert rotation_error_deg(tracked.state_at(29 / RATE_HZ), 29 / RATE_HZ) < 5.0


def test_it_is_better_than_its_measurements(rng):
    """Much better if it is told that there are no jerks, as in this motion; else a little."""
    assert error_ratio(FilterConfig(), rng) < 0.9
    calm = FilterConfig(motion=MotionConfig(jerks_m2_s=1e-6, jerks_rad2_s=0.001))
    assert error_ratio(calm, rng) < 0.7


def error_ratio(config, rng):
    tracked, filtered, raw = PoseFilter(config), [], []
    for measurement in measurements(rng, 4.0):
        tracked.add(measurement)
        state = tracked.state_at(measurement.time_s)
        if measurement.time_s > 1.0:
            filtered.append(rotation_error_deg(state, measurement.time_s))
            error = pose_error(measurement.pose, truth(measurement.time_s))
            raw.append(np.degrees(np.linalg.norm(error[3:])))
    return np.mean(filtered) / np.mean(raw)


def test_predicting_to_now_beats_holding_the_last_pose(rng):
    tracked, predicted, held = PoseFilter(), [], []
    latency_s = 0.1
    for measurement in measurements(rng, 4.0):
        tracked.add(measurement)
        now = measurement.time_s + latency_s
        if measurement.time_s > 1.0:
            predicted.append(rotation_error_deg(tracked.state_at(now), now))
            held.append(rotation_error_deg(tracked.state_at(measurement.time_s), now))
    assert np.mean(predicted) < 0.6 * np.mean(held)


def test_outliers_and_gaps_do_little_harm(rng):
    tracked, errors = PoseFilter(), []
    for measurement in measurements(rng, 6.0):
        chance = rng.random()
        if chance < 0.15:
            continue
        if chance < 0.25:
            wild = transform(rng.normal(0, 0.05, 3), Rotation.random(random_state=rng).as_quat())
            measurement = Measurement(measurement.time_s, wild, COVARIANCE)
        tracked.add(measurement)
        state = tracked.state_at(measurement.time_s)
        if measurement.time_s > 1.0:
            errors.append(rotation_error_deg(state, measurement.time_s))
    assert np.mean(errors) < 2.5
    assert max(errors) < 10.0


def test_without_the_gate_outliers_would_do_harm(rng):
    """Negative control of the test above."""
    config, errors = FilterConfig(gate=np.inf), []
    tracked = PoseFilter(config)
    for number, measurement in enumerate(measurements(rng, 3.0)):
        if number % 10 == 9:
            wild = transform(np.zeros(3), Rotation.from_rotvec([2.0, 0.0, 0.0]).as_quat())
            measurement = Measurement(measurement.time_s, wild, COVARIANCE)
        tracked.add(measurement)
        errors.append(
            rotation_error_deg(tracked.state_at(measurement.time_s), measurement.time_s)
            if number > 30
            else 0.0
        )
    assert max(errors) > 10.0


def test_late_measurements_end_in_the_same_state_as_punctual_ones(rng):
    punctual, late = PoseFilter(), PoseFilter()
    known = measurements(rng, 1.0)
    for measurement in known:
        punctual.add(measurement)
    shuffled = list(known)
    for first in range(4, len(known) - 3, 4):  # every fourth arrives two frames late
        shuffled[first : first + 3] = [*known[first + 1 : first + 3], known[first]]
    for measurement in shuffled:
        late.add(measurement)
    expected, found = punctual.state_at(1.0), late.state_at(1.0)
    np.testing.assert_array_equal(found.pose, expected.pose)
    np.testing.assert_array_equal(found.covariance, expected.covariance)


def test_news_from_before_the_memory_are_refused(rng):
    tracked = PoseFilter()
    known = measurements(rng, 1.0)
    for measurement in known[1:]:
        tracked.add(measurement)
    before = tracked.state_at(1.0)
    assert tracked.add(known[0]) is Outcome.TOO_OLD
    np.testing.assert_array_equal(tracked.state_at(1.0).pose, before.pose)


def test_one_measurement_is_no_track_and_two_that_agree_are(rng):
    tracked = PoseFilter()
    assert tracked.add(noisy(0.0, rng)) is Outcome.WAITING
    assert tracked.state_at(0.0) is None
    wild = transform(np.array([0.1, 0.0, 0.3]), Rotation.from_rotvec([2.0, 0, 0]).as_quat())
    assert tracked.add(Measurement(0.03, wild, COVARIANCE)) is Outcome.WAITING
    assert tracked.add(noisy(0.06, rng)) is Outcome.WAITING
    assert tracked.add(noisy(0.09, rng)) is Outcome.STARTED
    assert tracked.state_at(0.09) is not None


def test_a_long_gap_loses_the_cube_and_two_sightings_find_it_again(rng):
    tracked = PoseFilter()
    for measurement in measurements(rng, 1.0):
        tracked.add(measurement)
    assert tracked.state_at(1.2) is not None
    assert tracked.state_at(1.6) is None
    assert tracked.add(noisy(1.7, rng)) is Outcome.WAITING
    assert tracked.add(noisy(1.73, rng)) is Outcome.STARTED
    assert rotation_error_deg(tracked.state_at(1.73), 1.73) < 5.0


def test_a_cube_that_was_moved_is_found_again(rng):
    tracked = PoseFilter()
    for measurement in measurements(rng, 1.0):
        tracked.add(measurement)
    elsewhere = np.array([0.05, 0.0, 0.0, 1.0, 0.0, 0.0])
    outcomes = [
        tracked.add(Measurement(t, move(truth(t), elsewhere), COVARIANCE))
        for t in 1.0 + np.arange(12) / RATE_HZ
    ]
    assert outcomes[:7] == [Outcome.REJECTED] * 7
    assert Outcome.STARTED in outcomes
    assert rotation_error_deg(tracked.state_at(1.4), 1.4) > 40.0


def test_the_sign_of_a_quaternion_means_nothing_and_never_jumps(rng):
    tracked = PoseFilter()
    last = None
    for measurement in measurements(rng, 8.0):
        tracked.add(measurement)
        state = tracked.state_at(measurement.time_s)
        if state is not None and last is not None:
            assert state.quat_xyzw @ last > 0.9
        last = None if state is None else state.quat_xyzw


@pytest.mark.parametrize("place", [(0, 3), (1, 1)])
def test_bad_numbers_are_rejected(rng, place):
    tracked = PoseFilter()
    for measurement in measurements(rng, 0.5):
        tracked.add(measurement)
    before = tracked.state_at(0.6)
    broken = truth(0.55)
    broken[place] = np.nan
    assert tracked.add(Measurement(0.55, broken, COVARIANCE)) is Outcome.REJECTED
    np.testing.assert_allclose(tracked.state_at(0.6).pose, before.pose)


def test_turning_a_quaternion_is_multiplying_rotations(rng):
    for length in (0.0, 1e-13, 0.3, 3.0, 6.0):
        quat = Rotation.random(random_state=rng).as_quat()
        vector = length * np.array([0.6, 0.0, -0.8])
        expected = Rotation.from_rotvec(vector) * Rotation.from_quat(quat)
        found = turned(quat, vector)
        assert found @ quat >= 0.0 and found @ found == pytest.approx(1.0)
        np.testing.assert_allclose(rotation_matrix(found), expected.as_matrix(), atol=1e-12)


def test_uncertainty_grows_while_nobody_looks(rng):
    tracked = PoseFilter()
    for measurement in measurements(rng, 1.0):
        tracked.add(measurement)
    spread = [np.trace(tracked.state_at(1.0 + gap).covariance) for gap in (0.0, 0.1, 0.3)]
    assert spread == sorted(spread)


def test_the_past_cannot_be_predicted(rng):
    tracked = PoseFilter()
    for measurement in measurements(rng, 0.5):
        tracked.add(measurement)
    with pytest.raises(ValueError, match="into the past"):
        coast(tracked.state_at(0.5), 0.1, MotionConfig())


def test_turns_are_counted_through_any_number_of_rounds_and_with_tilt():
    counter, total = YawCounter(), 0.0
    for yaw in np.arange(0.0, 6 * np.pi, 0.3):
        tilt = Rotation.from_rotvec([0.3 * np.sin(yaw), 0.2 * np.cos(2 * yaw), 0.0])
        total = counter.add(tilt * Rotation.from_rotvec([0.0, 0.0, yaw]))
    assert total == pytest.approx(yaw, abs=0.15)


def test_wobbling_about_a_quarter_counts_once():
    yaw = np.pi / 2 + np.radians(8.0) * np.sin(np.linspace(0, 60, 400))
    path = np.concatenate([np.linspace(0, np.pi / 2, 50), yaw, np.linspace(np.pi / 2, 3.4, 50)])
    assert count_quarters(path) == 2
    assert count_quarters(-path) == -2
    assert count_quarters(np.zeros(5)) == 0
