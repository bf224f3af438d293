"""The filter's covariances are right for a cube that moves in jerks, and hold with outliers.

NEES is the squared error of an estimate in units of its covariance, NIS that of a measurement
against the prediction. Both are 6 on average, for six dimensions, if the covariances are right.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.geometry import transform
from perception.pose.projection import move, pose_error
from perception.tracking.filter import FilterConfig, Measurement, Outcome, PoseFilter
from perception.tracking.state import POSITION, ROTATION, MotionConfig

COVARIANCE = np.diag([0.5e-3, 0.5e-3, 2e-3, 0.025, 0.025, 0.01]) ** 2
PERIOD_S, LATER_S = 0.05, 0.07
STEP_S = 0.01
POSE = np.r_[POSITION, ROTATION]
TURNS = Rotation.create_group("O")
OTHER_FACES = TURNS[TURNS.magnitude() > 0.1].as_matrix()
"""(23, 3, 3) what a detector that mistakes the faces is off by."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def jerky(rng, seconds=30.0, spin_rad_s=1.5, motion=MotionConfig()):  # noqa: B008  # frozen
    """(T, 4, 4) poses every 10 ms of a cube that spins and is pushed in jerks."""
    pose, poses = transform(np.array([0.0, 0.0, 0.3]), np.array([0.2, 0.0, 0.0, 0.98])), []
    deviation = np.sqrt(STEP_S * np.repeat([motion.jerks_m2_s, motion.jerks_rad2_s], 3))
    for _ in range(round(seconds / STEP_S)):
        poses.append(pose)
        pose = move(
            pose, deviation * rng.normal(size=6) + STEP_S * np.array([0, 0, 0, 0, 0, spin_rad_s])
        )
    return np.array(poses)


def squared(error, covariance):
    return error @ np.linalg.solve(covariance, error)


def played(tracked, truth, rng, *, outliers=0.0, dropout=0.0):
    """NEES of estimates now and later, NIS of good measurements, outcomes of good and bad ones."""
    now, later, nis, good, bad = [], [], [], [], []
    every, ahead = round(PERIOD_S / STEP_S), round(LATER_S / STEP_S)
    for step in range(0, len(truth) - ahead, every):
        time_s = step * STEP_S
        if rng.random() < dropout:
            continue
        pose = move(truth[step], rng.multivariate_normal(np.zeros(6), COVARIANCE))
        wrong = rng.random() < outliers
        if wrong:
            pose[:3, :3] = pose[:3, :3] @ OTHER_FACES[rng.integers(len(OTHER_FACES))]
        expected = tracked.state_at(time_s)
        if expected is not None and not wrong:
            spread = expected.covariance[np.ix_(POSE, POSE)] + COVARIANCE
            nis.append(squared(pose_error(pose, expected.pose), spread))
        (bad if wrong else good).append(tracked.add(Measurement(time_s, pose, COVARIANCE)))
        for values, at in ((now, step), (later, step + ahead)):
            state = tracked.state_at(at * STEP_S)
            if state is not None and time_s > 1.0:
                error = pose_error(state.pose, truth[at])
                values.append(squared(error, state.covariance[np.ix_(POSE, POSE)]))
    return np.mean(now), np.mean(later), np.mean(nis), good, bad


def test_covariances_are_right_for_a_cube_that_moves_as_expected(rng):
    now, later, nis, good, _ = played(PoseFilter(), jerky(rng), rng)
    assert now == pytest.approx(6.0, abs=1.0)
    assert later == pytest.approx(6.0, abs=1.6)  # neighbours share most of their motion
    assert nis == pytest.approx(6.0, abs=1.0)
    assert Outcome.REJECTED not in good


def test_without_jerks_in_mind_covariances_are_far_too_small(rng):
    """Negative control: the motion model of a cube that is in nobody's hands."""
    calm = MotionConfig(jerks_m2_s=1e-7, jerks_rad2_s=1e-4)
    now, _, nis, good, _ = played(PoseFilter(FilterConfig(motion=calm)), jerky(rng), rng)
    assert now > 15.0 or nis > 15.0
    assert Outcome.REJECTED in good


def test_other_faces_are_never_believed_and_jerks_are_not_refused(rng):
    now, _, _, good, bad = played(PoseFilter(), jerky(rng), rng, outliers=0.1, dropout=0.15)
    assert len(bad) > 30 and set(bad) <= {Outcome.REJECTED, Outcome.WAITING, Outcome.TURNED}
    assert good.count(Outcome.REJECTED) == 0
    assert now == pytest.approx(6.0, abs=1.0)
