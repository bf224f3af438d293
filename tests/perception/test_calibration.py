"""A board is drawn through a known camera; the camera must be found again."""

from dataclasses import replace

import numpy as np
import pytest
from filmed_board import BOARD, CAMERA, SIZE, board_image, poses
from scipy.spatial.transform import Rotation

from perception.calibration.charuco import Board, find_board
from perception.calibration.intrinsics import calibrate
from perception.calibration.mounting import board_pose, mounting
from perception.calibration.pictures import print_board, read_views
from perception.cameras.frames import Frame, undistort
from perception.geometry import inverse, transform
from perception.picture_files import write_picture
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
    found = mounting(
        [board_pose(views[0], calibration.intrinsics, calibration.distortion)[0]],
        T_hand_camera @ true_poses[0],
    )
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
    with pytest.raises(ValueError, match="at 3 different places only; at least 6"):
        calibrate(scene[1][:3], SIZE)
    with pytest.raises(ValueError, match="in 12 pictures, but at 3 different places"):
        calibrate(scene[1][:3] * 4, SIZE)
    with pytest.raises(ValueError, match="not found"):
        mounting([], np.eye(4))


def test_a_picture_without_a_board_shows_none():
    assert find_board(np.full((*SIZE, 3), 128, dtype=np.uint8), BOARD) is None


def test_a_printed_board_can_be_read_back(tmp_path):
    print_board(tmp_path / "board.png", BOARD)
    seen = read_views(tmp_path, BOARD)
    assert len(seen.views) == 1 and seen.size == (5 * 120 + 120, 7 * 120 + 120)
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        read_views(tmp_path, BOARD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        read_views(tmp_path / "empty", BOARD)
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_views(tmp_path / "nowhere", BOARD)
    with pytest.raises(ValueError, match=r"board\.pdf: the name of a picture must end in \.png"):
        print_board(tmp_path / "board.pdf", BOARD)


@pytest.mark.parametrize(
    "board",
    [Board(rows=6), Board(rows=6, legacy=True), Board(dictionary="6X6_250"), Board(9, 11)],
)
def test_boards_of_other_kinds_are_found(tmp_path, board):
    print_board(tmp_path / "board.png", board)
    (view,) = read_views(tmp_path, board).views
    assert len(view.uv) == board.corners


@pytest.mark.parametrize(
    ("shown", "asked", "message"),
    [
        (Board(rows=6, legacy=True), Board(rows=6), "other pattern: call this with --legacy"),
        (Board(rows=6), Board(rows=6, legacy=True), "other pattern: call this without --legacy"),
        (Board(dictionary="5X5_50"), BOARD, "pass --dictionary 5X5_50"),
        (Board(dictionary="APRILTAG_36H11"), BOARD, "pass --dictionary APRILTAG_36H11"),
        (Board(columns=9, rows=8), BOARD, "marker 35, but a board of 7 x 5 squares has .*0 to 16"),
        (Board(columns=5, rows=7), BOARD, "--columns, --rows"),
        (None, BOARD, "no marker of any dictionary"),
    ],
)
def test_a_wrong_board_is_named_instead_of_asking_to_tilt_it(tmp_path, shown, asked, message):
    if shown is None:
        write_picture(tmp_path / "grey.png", np.full((480, 640), 128, np.uint8))
    else:
        print_board(tmp_path / "board.png", shown)
    with pytest.raises(ValueError, match=message) as caught:
        read_views(tmp_path, asked)
    assert "tilt" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"square_m": 0.02, "marker_m": 0.02}, "smaller than"),
        ({"square_m": 20.0, "marker_m": 15.0}, "in metres"),
        ({"columns": 30, "rows": 30}, "needs 450 markers, dictionary 4X4_100 has 100"),
        ({"columns": 3, "rows": 3}, "has 4 inner corners, at least 8"),
        ({"columns": 0}, "inner corners"),
        ({"dictionary": "4X4"}, "dictionary '4X4' is not one of 4X4_100"),
    ],
)
def test_an_impossible_board_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Board(**settings)


def views_at(tilt_rad, count=12, seed=0):
    """The board filmed at random tilts of at most this much, anywhere in the picture."""
    rng = np.random.default_rng(seed)
    centre = np.array([BOARD.columns, BOARD.rows, 0]) * BOARD.square_m / 2
    views = []
    for _ in range(count):
        turn = Rotation.from_rotvec([*rng.uniform(-tilt_rad, tilt_rad, 2), rng.uniform(-0.5, 0.5)])
        pose = transform(
            np.array([*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.18, 0.3)]), turn.as_quat()
        )
        pose[:3, 3] -= pose[:3, :3] @ centre
        views.append(find_board(board_image(pose), BOARD))
    return [view for view in views if view is not None]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tilt_rad", [0.0, 0.05, 0.5])
def test_a_camera_is_given_only_if_the_pictures_determine_it(tilt_rad, seed):
    """Whatever is not refused is right, and its deviations say how right."""
    views = views_at(tilt_rad, seed=seed)
    if tilt_rad < 0.1:
        with pytest.raises(ValueError, match=r"do not determine the camera.*tilted by 20 to 40"):
            calibrate(views, SIZE)
        return
    found = calibrate(views, SIZE)
    off = {
        "fx": found.intrinsics[0, 0] - CAMERA[0, 0],
        "fy": found.intrinsics[1, 1] - CAMERA[1, 1],
        "cx": found.intrinsics[0, 2] - CAMERA[0, 2],
        "cy": found.intrinsics[1, 2] - CAMERA[1, 2],
    }
    for name, value in off.items():
        assert abs(value) < 4 * found.deviations[name] < 0.05 * CAMERA[0, 0], name


def test_deviations_are_those_that_noise_makes(scene):
    """Many cameras from the same views with fresh noise scatter as much as each one claims."""
    rng, exact = np.random.default_rng(0), scene[1]
    found = [
        calibrate([replace(v, uv=v.uv + rng.normal(0, 0.3, v.uv.shape)) for v in exact], SIZE)
        for _ in range(40)
    ]
    scatter = np.std([[c.intrinsics[0, 0], c.intrinsics[1, 2]] for c in found], axis=0)
    claimed = np.mean([[c.deviations["fx"], c.deviations["cy"]] for c in found], axis=0)
    np.testing.assert_allclose(scatter, claimed, rtol=0.35)


def test_corners_of_another_board_are_not_fitted(scene):
    stretched = [replace(v, points_m=v.points_m * [1.0, 1.6, 1.0]) for v in scene[1]]
    bent = [
        replace(v, points_m=v.points_m + 0.01 * np.sin(300 * v.points_m[:, [1, 0, 2]]))
        for v in stretched
    ]
    with pytest.raises(ValueError, match="corners are off by"):
        calibrate(bent, SIZE)


def test_pictures_of_the_fixture_that_contradict_each_other_are_refused():
    near, far = np.eye(4), np.eye(4)
    near[2, 3], far[2, 3] = 0.3, 0.4
    with pytest.raises(ValueError, match="50 mm apart"):
        mounting([near, far], np.eye(4))
    far[2, 3] = 300.0
    with pytest.raises(ValueError, match="300 m away, at most 2 m"):
        mounting([far], np.eye(4))
