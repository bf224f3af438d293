"""Poses that are wrong are refused, whatever made them; pictures that are no such are named."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_cube import camera_for
from knowing_detector import CAMERA, SMALL, KnowingDetector, located, marked_frame, truth
from scipy.spatial.transform import Rotation

from perception.cameras.frames import Frame, View
from perception.cube import CUBE_SIZE_M, FACES, cube_corners
from perception.cube_art import face_picture
from perception.detector.detector import Detection, padded_box
from perception.geometry import project, transform
from perception.pose.projection import move
from perception.pose.solver import Corners, PoseResult, PoseStatus
from perception.tracking.plausible import PlausibleConfig, Workspace, with_doubts
from perception.tracking.tracker import CubeTracker

LENS = camera_for(320, 240)
TURNS = Rotation.create_group("O")
OTHER_FACES = TURNS[TURNS.magnitude() > 0.1].as_matrix()
HERE = Workspace((0.0, 0.0, 0.3), 0.1)


def drawn(pose, *, printed=True):
    """A frame of the cube, or of a plain grey block of its size, before a grey wall."""
    image = np.full((240, 320, 3), 110, dtype=np.uint8)
    for face in FACES:
        normal = pose[:3, :3] @ face.axes[:, 2]
        if normal @ (pose[:3, 3] + normal * CUBE_SIZE_M / 2) >= 0.0:
            continue
        uv, _ = project(cube_corners()[list(face.corners)], LENS, pose)
        tile = face_picture(face, 64) if printed else np.full((64, 64, 3), 160, np.uint8)
        square = np.array([[0, 64], [64, 64], [64, 0], [0, 0]], dtype=np.float32)
        warp = cv2.getPerspectiveTransform(square, uv.astype(np.float32))
        part = cv2.warpPerspective(tile, warp, (320, 240))
        inside = cv2.warpPerspective(np.ones((64, 64), np.uint8), warp, (320, 240)) > 0
        image[inside] = part[inside]
    return Frame(image, LENS, 0.0)


def judged(frame, pose, box_of=None, config=None, to_base=None, rivals=()):
    """What becomes of a pose, with the box of another one if wanted; or of rivals, without it."""
    uv, _ = project(cube_corners(), LENS, pose if box_of is None else box_of)
    corners = Corners.certain(uv, np.tile(np.eye(2), (8, 1, 1)))
    detection = Detection(0.9, padded_box(uv, 0.08), corners, np.zeros((28, 28)))
    view = View.of(frame, (0, 0, 320, 240), (240, 320))
    result = PoseResult(PoseStatus.OK, pose, np.eye(6), np.ones(8, dtype=bool), 0.3)
    if rivals:
        others = tuple(replace(result, T_camera_cube=rival) for rival in rivals)
        result = PoseResult(PoseStatus.AMBIGUOUS, rivals=others)
    config = config or PlausibleConfig(workspace=HERE)
    base = np.eye(4) if to_base is None else to_base
    return with_doubts(result, frame, view, detection, config, box_padding=0.08, to_base=base)


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    tilts = [Rotation.from_rotvec(rng.normal(0.0, 0.5, 3)) for _ in range(24)]
    order = [TURNS[k % 24] for k in range(24)]
    quats = [(tilt * turn).as_quat() for tilt, turn in zip(tilts, order, strict=True)]
    return [transform(np.array([0.01, -0.01, 0.28]), quat) for quat in quats]


def test_good_poses_are_kept(poses):
    for pose in poses:
        rough = move(pose, np.array([0.0005, 0.0, 0.001, 0.02, -0.01, 0.02]))
        result = judged(drawn(pose), rough, box_of=pose)
        assert result.ok and result.T_camera_cube is rough


def test_other_faces_are_refused(poses):
    refused = 0
    for number, pose in enumerate(poses):
        wrong = pose.copy()
        wrong[:3, :3] = pose[:3, :3] @ OTHER_FACES[number % len(OTHER_FACES)]
        result = judged(drawn(pose), wrong)
        assert result.ok == (result.T_camera_cube is not None)
        refused += not result.ok
    assert refused >= 20  # a few glyphs look alike to a correlation; the filter refuses those


def test_a_block_without_print_gives_no_pose(poses):
    assert not any(judged(drawn(pose, printed=False), pose).ok for pose in poses)


@pytest.mark.parametrize("swapped", [True, False])
def test_swapped_and_missing_colours_give_no_pose(poses, swapped):
    kept = 0
    for pose in poses:
        image = drawn(pose).image
        grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        wrong = np.ascontiguousarray(image[..., ::-1]) if swapped else grey
        result = judged(Frame(wrong, LENS, 0.0), pose)
        kept += result.ok
        assert result.ok or result.status in (PoseStatus.OTHER_COLOURS, PoseStatus.OTHER_PRINT)
    assert kept <= 4  # those that show green and white alone look alike


def test_a_bleached_print_keeps_its_pose(poses):
    kept = 0
    for pose in poses:
        image = drawn(pose).image.astype(float)
        bleached = (image + 0.65 * (235.0 - image)).astype(np.uint8)
        kept += judged(Frame(bleached, LENS, 0.0), pose).ok
    assert kept == len(poses)


def test_of_poses_that_fit_the_corners_the_one_in_the_picture_is_taken(poses):
    settled = 0
    for number, pose in enumerate(poses):
        wrong = pose.copy()
        wrong[:3, :3] = pose[:3, :3] @ OTHER_FACES[number % len(OTHER_FACES)]
        result = judged(drawn(pose), pose, rivals=(wrong, pose))
        assert result.status in (PoseStatus.OK, PoseStatus.AMBIGUOUS)
        assert result.T_camera_cube is (pose if result.ok else None)
        settled += result.ok
    assert settled >= 20


def test_of_poses_that_the_picture_shows_alike_none_is_taken(poses):
    pose = poses[0]
    near = move(pose, np.array([0.0, 0.0, 0.0, 0.02, 0.0, 0.0]))
    assert judged(drawn(pose), pose, rivals=(pose, near)).status is PoseStatus.AMBIGUOUS
    blank = drawn(pose, printed=False)
    assert judged(blank, pose, rivals=(pose, poses[3])).status is PoseStatus.AMBIGUOUS


def test_a_pose_must_fill_the_box_and_lie_in_the_workspace(poses):
    pose = poses[0]
    frame, farther = drawn(pose), move(pose, np.array([0.0, 0.0, 0.06, 0.0, 0.0, 0.0]))
    assert judged(frame, farther, box_of=pose).status is PoseStatus.NOT_IN_BOX
    away = move(pose, np.array([0.09, 0.0, 0.05, 0.0, 0.0, 0.0]))
    assert judged(frame, away).status is PoseStatus.OUTSIDE_WORKSPACE
    hand = transform(np.array([0.0, 0.0, 0.5]), Rotation.from_rotvec([np.pi, 0.0, 0.0]).as_quat())
    moved = Workspace(tuple((hand @ pose)[:3, 3]), 0.01)
    assert judged(frame, pose, config=PlausibleConfig(workspace=moved), to_base=hand).ok
    elsewhere = PlausibleConfig(workspace=moved)
    assert judged(frame, pose, config=elsewhere).status is PoseStatus.OUTSIDE_WORKSPACE
    with pytest.raises(ValueError, match="radius above 0"):
        Workspace((0.0, 0.0, 0.0), 0.0)


BELOW = transform(np.array([0.0, 0.0, 0.6]), Rotation.from_rotvec([np.pi, 0.0, 0.0]).as_quat())
"""A camera that looks along -z of a base frame whose origin it is 0.6 m above."""
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def aimed(off_m):
    """A workspace that the camera looks past, and a cube in its middle."""
    pose = transform(np.array([off_m, 0.0, 0.28]), Rotation.from_rotvec([0.5, 0.3, 0.0]).as_quat())
    return Workspace(tuple((BELOW @ pose)[:3, 3]), 0.1), pose


@pytest.mark.parametrize("off_m", [0.02, 0.035, -0.03])
def test_a_picture_upside_down_gives_no_pose(off_m):
    there, pose = aimed(off_m)
    turned = HALF_TURN @ pose
    frame = drawn(turned)
    config = PlausibleConfig(workspace=there)
    assert judged(drawn(pose), pose, config=config, to_base=BELOW).ok
    result = judged(frame, turned, config=config, to_base=BELOW)
    assert result.status is PoseStatus.UPSIDE_DOWN and result.T_camera_cube is None
    assert there.tells_upside_down(BELOW)


def test_a_camera_that_looks_straight_at_the_cube_cannot_tell():
    """What does not hold: nothing but the hand shows which way up the picture is."""
    there, pose = aimed(0.005)
    turned = HALF_TURN @ pose
    assert judged(drawn(turned), turned, config=PlausibleConfig(workspace=there), to_base=BELOW).ok
    assert not there.tells_upside_down(BELOW)


def test_a_mirrored_print_gives_no_pose(poses):
    """The corners of a mirrored cube fit a cube if one face is seen; its print does not."""
    refused = 0
    for pose in poses:
        straight = pose.copy()
        near = min(FACES, key=lambda face: (pose[:3, :3] @ face.axes[:, 2])[2])
        normal = pose[:3, :3] @ near.axes[:, 2]
        to_eye = -pose[:3, 3] / np.linalg.norm(pose[:3, 3])
        turn = Rotation.align_vectors([to_eye], [normal])[0].as_matrix()
        straight[:3, :3] = turn @ pose[:3, :3]
        frame = drawn(straight)
        assert judged(frame, straight).ok
        flipped = Frame(np.ascontiguousarray(frame.image[:, ::-1]), LENS, 0.0)
        there = straight.copy()
        there[0, 3] = -straight[0, 3] + (320.0 - 2.0 * LENS[0, 2]) * straight[2, 3] / LENS[0, 0]
        # Over a mirrored square lies the same square, turned to where the glyph fits best.
        about = there[:3, 3] / np.linalg.norm(there[:3, 3])
        for quarter in range(4):
            guess = there.copy()
            spin = Rotation.from_rotvec(quarter * np.pi / 2 * about).as_matrix()
            guess[:3, :3] = spin @ straight[:3, :3]
            refused += not judged(flipped, guess, config=PlausibleConfig()).ok
    assert refused >= 0.95 * 4 * len(poses)


def test_a_camera_that_was_upside_down_is_believed_after_as_many_good_pictures():
    """Some turned pictures give a pose all the same; it must not start a track."""
    tracker = CubeTracker(KnowingDetector(np.random.default_rng(0)), SMALL)
    refused = PoseResult(PoseStatus.UPSIDE_DOWN)
    good = PoseResult(PoseStatus.OK, truth(0.0), np.eye(6))
    assert tracker._suspected(good) is good
    for _ in range(5):
        assert tracker._suspected(refused) is refused
    for _ in range(5):
        doubted = tracker._suspected(good)
        assert doubted.status is PoseStatus.UPSIDE_DOWN and doubted.T_camera_cube is None
    assert tracker._suspected(good) is good


class TwoCubes(KnowingDetector):
    """Likes a cube far from the workspace better than the one in it."""

    def detect_all(self, image):
        (ours,) = super().detect_all(image)
        shift = np.array([25.0, 0.0])
        corners = replace(ours.corners, uv=ours.corners.uv + shift)
        other = Detection(0.99, ours.box + np.tile(shift, 2), corners, ours.mask)
        return [other, ours]


@pytest.mark.parametrize("knows", [True, False])
def test_of_two_cubes_the_one_in_the_workspace_is_followed(knows):
    eyes = TwoCubes(np.random.default_rng(0))
    eyes.view = lambda image, _: located(image)
    there = Workspace((0.0, 0.0, 0.28), 0.06) if knows else None
    config = replace(SMALL, plausible=replace(SMALL.plausible, workspace=there))
    tracker = CubeTracker(eyes, config)
    for k in range(4):
        tracker.see(marked_frame(k / 30.0))
    estimate = tracker.pose_at(3 / 30.0)
    assert (abs(estimate.position_m[0]) < 0.03) == knows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intrinsics": np.diag([np.nan, 100.0, 1.0])}, "not finite"),
        ({"intrinsics": np.zeros((3, 3))}, "must be"),
        ({"intrinsics": np.diag([-1.0, -1.0, 1.0])}, "focal lengths of -1"),
        ({"intrinsics": np.diag([2.0, 2.0, 1.0]) @ CAMERA}, "another resolution"),
        ({"intrinsics": np.diag([0.5, 0.5, 1.0]) @ CAMERA}, "another resolution"),
        ({"time_s": float("nan")}, "taken at nan s"),
        ({"time_s": -1.0}, "taken at -1.0 s"),
        ({"image": np.zeros((0, 0, 3), np.uint8)}, r"got \(0, 0, 3\)"),
        ({"image": np.zeros((120, 160), np.uint8)}, r"got \(120, 160\)"),
        ({"image": np.zeros((120, 160, 3))}, "float64"),
    ],
)
def test_a_frame_that_no_camera_took_is_named(change, message):
    tracker = CubeTracker(KnowingDetector(np.random.default_rng(0)), SMALL)
    with pytest.raises(ValueError, match=message):
        tracker.see(replace(marked_frame(0.0), **change))
