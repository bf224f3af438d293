"""Corners to poses: derivatives, accuracy, honesty of the covariance, and no exceptions."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_cube import camera_for, random_pose
from scipy.spatial.transform import Rotation

from perception.cube import FACES, cube_corners
from perception.geometry import project, transform
from perception.pose.projection import move, pose_error, project_with_jacobian
from perception.pose.refinement import refine
from perception.pose.solver import Corners, PoseConfig, PoseStatus, solve_pose

CAMERA = camera_for(320, 240)
POINTS = cube_corners()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def measured(pose, rng, sigma_px=0.0, camera=CAMERA):
    """Corners with isotropic noise, the same standard deviation told as used."""
    sigma = np.broadcast_to(np.asarray(sigma_px, dtype=float), 8)
    uv = project_with_jacobian(pose, POINTS, camera)[0] + sigma[:, None] * rng.normal(size=(8, 2))
    return Corners.certain(uv, np.maximum(sigma, 0.1)[:, None, None] ** 2 * np.eye(2))


def without(corners, missing):
    uv = corners.uv.copy()
    uv[list(missing)] = np.nan
    return replace(corners, uv=uv)


def test_the_projection_is_the_one_of_the_labels(rng):
    pose = random_pose(rng)
    uv, _ = project_with_jacobian(pose, POINTS, CAMERA)
    np.testing.assert_allclose(uv, project(POINTS, CAMERA, pose)[0], atol=1e-9)


def test_points_behind_the_camera_have_no_pixel(rng):
    behind = random_pose(rng)
    behind[2, 3] = -0.3
    assert np.isnan(project_with_jacobian(behind, POINTS, CAMERA)[0]).all()


def test_the_jacobian_is_the_derivative(rng):
    pose, step = random_pose(rng), 1e-6
    skewed = np.array([[229.0, 12.0, 160.0], [-7.0, 210.0, 120.0], [0.0, 0.0, 1.0]])
    _, jacobian = project_with_jacobian(pose, POINTS, skewed)
    for axis in range(6):
        delta = step * np.eye(6)[axis]
        ahead = project_with_jacobian(move(pose, delta), POINTS, skewed)[0]
        back = project_with_jacobian(move(pose, -delta), POINTS, skewed)[0]
        np.testing.assert_allclose(jacobian[:, :, axis], (ahead - back) / (2 * step), atol=1e-3)


def test_pose_error_undoes_move(rng):
    pose, delta = random_pose(rng), np.array([0.01, -0.02, 0.03, 0.3, -0.2, 0.5])
    np.testing.assert_allclose(pose_error(move(pose, delta), pose), delta, atol=1e-12)


def test_exact_corners_give_the_exact_pose(rng):
    for _ in range(20):
        pose = random_pose(rng)
        result = solve_pose(measured(pose, rng), POINTS, CAMERA)
        assert result.ok
        np.testing.assert_allclose(result.T_camera_cube, pose, atol=1e-6)
        assert result.residual_px < 1e-3


def test_vague_corners_that_are_wrong_together_are_not_believed(rng):
    """A network guesses the hidden corners of a face seen from the front, all with one error."""
    believed = PoseConfig(vague_factor=1.0)
    normalized = {config: [] for config in (PoseConfig(), believed)}
    for _ in range(30):
        pose = transform(
            np.array([0.0, 0.0, 0.3]), Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_quat()
        )
        corners = measured(pose, rng, np.full(8, 0.5))
        hidden = np.argsort(POINTS @ pose[2, :3])[4:]
        uv, covariance, mass = corners.uv.copy(), corners.covariance.copy(), corners.mass.copy()
        uv[hidden] += 3.0 * rng.normal(size=2)
        covariance[hidden], mass[hidden] = 3.0**2 * np.eye(2), 0.5
        for config, values in normalized.items():
            result = solve_pose(Corners(uv, covariance, mass), POINTS, CAMERA, config)
            if result.ok:
                error = pose_error(result.T_camera_cube, pose)
                values.append(error @ np.linalg.solve(result.covariance, error))
    honest, trusting = normalized.values()
    assert len(honest) >= len(trusting) - 3
    assert np.mean(honest) < 8.0
    assert np.mean(trusting) > 1.5 * np.mean(honest)


def test_a_skewed_camera_gives_the_same_pose(rng):
    pose = random_pose(rng)
    homography = np.array([[0.95, 0.2, 5.0], [-0.2, 1.1, 30.0], [0.0, 0.0, 1.0]])
    result = solve_pose(
        measured(pose, rng, camera=homography @ CAMERA), POINTS, homography @ CAMERA
    )
    np.testing.assert_allclose(result.T_camera_cube, pose, atol=1e-6)


def test_the_covariance_is_as_large_as_the_errors(rng):
    nees = []
    for _ in range(150):
        pose = random_pose(rng)
        result = solve_pose(measured(pose, rng, rng.uniform(0.3, 1.2, 8)), POINTS, CAMERA)
        assert result.ok
        error = pose_error(result.T_camera_cube, pose)
        nees.append(error @ np.linalg.solve(result.covariance, error))
    assert 4.5 < np.mean(nees) < 8.0


def test_corners_told_to_be_bad_weigh_less(rng):
    told, ignored = [], []
    sigma = np.where(np.arange(8) < 5, 0.4, 2.0)
    for _ in range(60):
        pose = random_pose(rng)
        corners = measured(pose, rng, sigma)
        equal = np.tile(np.eye(2), (8, 1, 1))
        for errors, covariance in ((told, corners.covariance[:, 0]), (ignored, equal)):
            refined = refine(pose, POINTS, corners.likeliest, covariance, CAMERA, huber=1e6)
            errors.append(np.linalg.norm(pose_error(refined.T_camera_cube, pose)[3:]))
    assert np.mean(told) < 0.8 * np.mean(ignored)


def test_two_gross_outliers_do_no_harm(rng):
    errors = []
    for _ in range(60):
        pose = random_pose(rng)
        corners = measured(pose, rng, 0.5)
        bad = rng.permutation(8)[:2]
        corners.uv[bad, 0] += rng.choice([-1, 1], (2, 2)) * rng.uniform(8, 25, (2, 2))
        result = solve_pose(corners, POINTS, CAMERA)
        if result.ok:
            assert not result.inliers[bad].any()
            errors.append(np.degrees(np.linalg.norm(pose_error(result.T_camera_cube, pose)[3:])))
    assert len(errors) >= 55
    assert np.quantile(errors, 0.9) < 4.0


def test_relabelled_corners_are_another_pose_not_the_same(rng):
    """The faces differ, so a quarter turn of the labels is a quarter turn of the cube."""
    pose = transform(np.array([0.0, 0.0, 0.3]), Rotation.from_euler("xy", [0.4, 0.3]).as_quat())
    quarter = Rotation.from_euler("z", np.pi / 2).as_matrix()
    turned = [int(np.argmin(np.linalg.norm(POINTS - quarter @ p, axis=1))) for p in POINTS]
    corners = measured(pose, rng)
    relabelled = replace(corners, uv=corners.uv[turned])
    result = solve_pose(relabelled, POINTS, CAMERA)
    angle = np.linalg.norm(pose_error(result.T_camera_cube, pose)[3:])
    assert angle == pytest.approx(np.pi / 2, abs=1e-4)


def test_a_face_alone_needs_a_prediction(rng):
    pose = transform(np.array([0.0, 0.0, 0.3]), Rotation.from_euler("x", 0.2).as_quat())
    nearest = min(FACES, key=lambda face: (pose[:3, :3] @ face.axes[:, 2])[2])
    hidden = set(range(8)) - set(nearest.corners)
    corners = without(measured(pose, rng, 0.1), hidden)
    assert solve_pose(corners, POINTS, CAMERA).status is PoseStatus.NEEDS_PREDICTION
    near = move(pose, np.array([0.002, 0.0, 0.004, 0.05, 0.05, 0.1]))
    result = solve_pose(corners, POINTS, CAMERA, prediction=near)
    assert result.ok
    assert np.linalg.norm(pose_error(result.T_camera_cube, pose)[3:]) < 0.15
    far = move(pose, np.array([0.05, 0.0, 0.0, 0.0, 0.0, 0.1]))
    assert solve_pose(corners, POINTS, CAMERA, prediction=far).status in (
        PoseStatus.AGAINST_PREDICTION,
    )


@pytest.mark.parametrize("missing", [5, 8])
def test_too_few_corners_are_named(rng, missing):
    corners = without(measured(random_pose(rng), rng), range(missing))
    assert solve_pose(corners, POINTS, CAMERA).status is PoseStatus.TOO_FEW_CORNERS


def test_uncertain_corners_are_not_used(rng):
    corners = measured(random_pose(rng), rng)
    corners.covariance[:5] *= 1e6
    assert solve_pose(corners, POINTS, CAMERA).status is PoseStatus.TOO_FEW_CORNERS


def test_a_cube_too_far_away_is_refused(rng):
    pose = random_pose(rng, depth_m=(1.0, 1.1))
    assert solve_pose(measured(pose, rng), POINTS, CAMERA).status is PoseStatus.OUT_OF_RANGE


def test_corners_that_fit_no_cube_are_refused(rng):
    """Each is near enough to count, all together are too far off."""
    corners = measured(random_pose(rng), rng, 0.7)
    strict = PoseConfig(max_residual_sigmas=0.5)
    assert solve_pose(corners, POINTS, CAMERA).ok
    assert solve_pose(corners, POINTS, CAMERA, strict).status is PoseStatus.LARGE_RESIDUAL


def test_corners_told_to_be_uncertain_may_be_far_off(rng):
    """Judged in pixels, hidden corners would take the pose away that the others agree on."""
    sigma = np.where(np.arange(8) < 5, 0.4, 4.0)
    results = [
        solve_pose(measured(random_pose(rng), rng, sigma), POINTS, CAMERA) for _ in range(60)
    ]
    assert sum(r.ok for r in results) >= 58
    assert max(r.residual_px for r in results) > 2.5


def doubtful(first, second, mass=0.5):
    """Corners with two places each, of which the first holds `mass`."""
    uv = np.stack([first.likeliest, second.likeliest], axis=1)
    covariance = np.stack([first.covariance[:, 0], second.covariance[:, 0]], axis=1)
    return Corners(uv, covariance, np.tile([mass, 1.0 - mass], (8, 1)))


def test_a_network_that_hesitates_is_understood(rng):
    understood, refused = 0, 0
    for _ in range(30):
        pose = random_pose(rng)
        right, wrong = measured(pose, rng, 0.4), measured(pose, rng, 0.4)
        bad = rng.permutation(8)[:4]
        wrong.uv[bad] += rng.choice([-1, 1], (4, 1, 2)) * rng.uniform(12, 30, (4, 1, 2))
        result = solve_pose(doubtful(wrong, right, 0.6), POINTS, CAMERA)
        if result.ok:
            error = pose_error(result.T_camera_cube, pose)
            understood += np.degrees(np.linalg.norm(error[3:])) < 6.0
        refused += not solve_pose(wrong, POINTS, CAMERA).ok
    assert understood >= 27
    assert refused >= 24  # the likeliest places alone are not enough


def test_between_two_poses_only_a_prediction_decides(rng):
    pose = random_pose(rng)
    other = move(pose, np.array([0.004, 0.0, 0.0, 0.0, 0.0, np.pi / 2]))
    corners = doubtful(measured(pose, rng, 0.3), measured(other, rng, 0.3))
    assert solve_pose(corners, POINTS, CAMERA).status is PoseStatus.AMBIGUOUS
    for truth in (pose, other):
        near = move(truth, np.array([0.003, -0.002, 0.004, 0.1, 0.05, -0.1]))
        result = solve_pose(corners, POINTS, CAMERA, prediction=near)
        assert result.ok
        assert np.linalg.norm(pose_error(result.T_camera_cube, truth)[3:]) < 0.1
    elsewhere = move(pose, np.array([0.0, 0.0, 0.0, 0.0, 2.0, 0.0]))
    refused = solve_pose(corners, POINTS, CAMERA, prediction=elsewhere)
    assert refused.status is PoseStatus.AGAINST_PREDICTION


def test_where_the_pose_is_open_all_that_fit_are_given(rng):
    pose = random_pose(rng)
    other = move(pose, np.array([0.004, 0.0, 0.0, 0.0, 0.0, np.pi / 2]))
    result = solve_pose(
        doubtful(measured(pose, rng, 0.3), measured(other, rng, 0.3)), POINTS, CAMERA
    )
    assert not result.ok and all(rival.ok for rival in result.rivals)
    for truth in (pose, other):
        apart = [
            np.linalg.norm(pose_error(rival.T_camera_cube, truth)[3:]) for rival in result.rivals
        ]
        assert min(apart) < 0.1


def test_the_covariance_of_a_pose_is_scaled_by_what_it_tells(rng):
    corners = measured(random_pose(rng), rng, 0.4)
    plain = solve_pose(corners, POINTS, CAMERA)
    told = plain.rotation_sigma_rad
    for factors, expected in (
        (((told / 2, 3.0), (told * 2, 5.0)), 4.0),
        (((told * 2, 3.0), (told * 4, 5.0)), 3.0),
        (((told / 4, 3.0), (told / 2, 5.0)), 5.0),
    ):
        result = solve_pose(corners, POINTS, CAMERA, PoseConfig(pose_factors=factors))
        np.testing.assert_allclose(result.covariance, expected * plain.covariance, rtol=1e-9)
        np.testing.assert_array_equal(result.T_camera_cube, plain.T_camera_cube)


@pytest.mark.parametrize("turn_rad", [0.03, np.pi / 2, 3.0])
def test_where_the_corners_are_clear_a_prediction_changes_nothing(rng, turn_rad):
    for _ in range(10):
        pose = random_pose(rng)
        corners = measured(pose, rng, 0.4)
        alone = solve_pose(corners, POINTS, CAMERA)
        expected = move(pose, np.array([0.001, 0.0, 0.002, 0.0, 0.0, turn_rad]))
        told = solve_pose(corners, POINTS, CAMERA, prediction=expected)
        assert alone.ok and told.ok and (alone.inliers == told.inliers).all()
        apart = pose_error(told.T_camera_cube, alone.T_camera_cube)
        assert apart @ np.linalg.solve(alone.covariance, apart) < 0.1**2


def test_nothing_makes_the_solver_raise(rng):
    odd = [0.0, 1.0, -5.0, 160.0, 1e9, np.nan, np.inf]
    seen = set()
    for _ in range(200):
        uv = rng.choice(odd, (8, 2)) if rng.random() < 0.5 else rng.uniform(0, 300, (8, 2))
        covariance = rng.choice([0.0, 1e-12, 1.0, np.nan, -1.0], 8)[:, None, None] * np.eye(2)
        if rng.random() < 0.5:
            covariance = np.tile(np.eye(2), (8, 1, 1))
        prediction = random_pose(rng) if rng.random() < 0.5 else None
        corners = Corners.certain(uv, covariance)
        result = solve_pose(corners, POINTS, CAMERA, prediction=prediction)
        seen.add(result.status)
        assert result.ok == (result.T_camera_cube is not None)
    assert len(seen) > 2
