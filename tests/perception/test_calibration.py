"""A board is drawn through a known camera; the camera must be found again."""

import numpy as np
import pytest
from filmed_board import BOARD, CAMERA, SIZE, board_image, poses
from scipy.spatial.transform import Rotation

from perception.calibration.charuco import (
    Board,
    board_pose,
    calibrate,
    find_board,
    mounting,
)
from perception.calibration.pictures import print_board, read_views
from perception.cameras.frames import Frame, undistort
from perception.geometry import inverse, transform
from perception.pose.projection import pose_error


@pytest.fixture(scope="module")
def scene():
    true_poses = poses(12, np.random.default_rng(0))
    views = [find_board(board_image(pose), BOARD) for pose in true_poses]
    kept = [(p, v) for p, v in zip(true_poses, views, strict=True) if v is not None]
    assert len(kept) >= 10
    return [p for p, _ in kept], [v for _, v in kept]


def test_board_corners_are_found_where_the_camera_puts_them(scene):
    for pose, view in zip(*scene, strict=True):
        in_camera = view.points_m @ pose[:3, :3].T + pose[:3, 3]
        uv = (in_camera / in_camera[:, 2:] @ CAMERA.T)[:, :2]
        assert np.abs((view.uv - uv).mean(axis=0)).max() < 0.1  # half a pixel would show


def test_the_camera_is_found(scene):
    calibration = calibrate(scene[1], SIZE)
    np.testing.assert_allclose(calibration.intrinsics, CAMERA, atol=4.0)
    assert calibration.residual_px < 0.3
    straight = np.random.default_rng(0).uniform([200, 150], [440, 330], (50, 2))
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), CAMERA, 0.0, calibration.distortion)
    assert np.abs(undistort(straight, frame) - straight).max() < 0.5  # where the board was


def test_the_cameras_place_at_the_hand_is_found(scene):
    true_poses, views = scene
    calibration = calibrate(views, SIZE)
    T_hand_camera = transform(  # a frame
        np.array([0.02, -0.01, -0.3]), Rotation.from_euler("xyz", [0.2, 0.1, 1.0]).as_quat()
    )
    found = mounting([board_pose(views[0], calibration)[0]], T_hand_camera @ true_poses[0])
    error = pose_error(found.T_hand_camera, T_hand_camera)
    assert np.linalg.norm(error[:3]) < 0.003
    assert np.linalg.norm(error[3:]) < 0.02


def test_noise_of_single_pictures_averages_out():
    rng = np.random.default_rng(0)
    place = transform(np.array([0.0, 0.0, -0.1]), np.array([0.0, 0.0, 0.0, 1.0]))
    truth = transform(np.array([0.01, 0.02, -0.3]), Rotation.random(random_state=rng).as_quat())
    noisy = []
    for _ in range(200):
        shaken = truth.copy()
        shaken[:3, 3] += rng.normal(0, 0.001, 3)
        shaken[:3, :3] = Rotation.from_rotvec(rng.normal(0, 0.01, 3)).as_matrix() @ truth[:3, :3]
        noisy.append(inverse(shaken) @ place)
    found = mounting(noisy, place)
    error = pose_error(found.T_hand_camera, truth)
    assert np.linalg.norm(error[:3]) < 0.0004 and np.linalg.norm(error[3:]) < 0.004
    assert found.spread_m == pytest.approx(0.001 * np.sqrt(3), rel=0.15)


def test_too_few_pictures_are_refused(scene):
    with pytest.raises(ValueError, match="at least 6"):
        calibrate(scene[1][:3], SIZE)
    with pytest.raises(ValueError, match="not found"):
        mounting([], np.eye(4))


def test_a_picture_without_a_board_shows_none():
    assert find_board(np.full((*SIZE, 3), 128, dtype=np.uint8), BOARD) is None


def test_an_impossible_board_is_refused():
    with pytest.raises(ValueError, match="smaller than"):
        Board(square_m=0.02, marker_m=0.02)


def test_a_printed_board_can_be_read_back(tmp_path):
    print_board(tmp_path / "board.png", BOARD)
    views, size = read_views(tmp_path, BOARD)
    assert len(views) == 1 and size == (5 * 120 + 120, 7 * 120 + 120)
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        read_views(tmp_path, BOARD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        read_views(tmp_path / "empty", BOARD)
