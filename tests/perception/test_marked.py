"""Marks on cubes, cylinders and spheres: keypoints, surfaces, poses from them, pages and files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from perception.cameras.frames import Frame
from perception.cube import FACES, cube_corners
from perception.detector.config import PRESETS
from perception.detector.detector import Detection, padded_box
from perception.detector.files import DetectorFile, load_detector, save_detector
from perception.detector.network import build_network
from perception.geometry import intrinsics, project
from perception.labels import label_corners, silhouette
from perception.marked import (
    CUBE,
    MarkedObject,
    disc_of_square,
    object_contract,
    object_of_contract,
    refuse_other_marks,
    square_of_disc,
)
from perception.marked_files import write_object
from perception.marked_mesh import marked_mesh
from perception.pose.solver import Corners, solve_pose
from perception.print_page import PAGE_MM, RULER_MM, check_fits, piece_picture, pieces
from perception.report.overlay import draw_cube
from perception.samples import CUBE_ID
from perception.tracking.appearance import points_in_sight
from perception.tracking.plausible import PlausibleConfig
from perception.tracking.tracker import CubeTracker, TrackerConfig

LARGE, CYLINDER = MarkedObject("cube", 0.06), MarkedObject("cylinder", 0.05, 0.06)
SPHERE = MarkedObject("sphere", 0.05)
EVERY = pytest.mark.parametrize("marked", [LARGE, CYLINDER, SPHERE], ids=lambda m: m.shape)
CAMERA = intrinsics((280.0, 280.0), (160.0, 120.0))


def random_pose(rng: np.random.Generator) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=rng).as_matrix()
    pose[:3, 3] = (*rng.uniform(-0.03, 0.03, 2), rng.uniform(0.22, 0.34))
    return pose


def is_on(marked: MarkedObject, points: np.ndarray) -> np.ndarray:
    """Whether points lie on the surface, by its equation."""
    half, up = marked.size_m / 2, marked.upright_m / 2
    if marked.shape == "cube":
        return np.isclose(np.abs(points).max(axis=1), half)
    if marked.shape == "sphere":
        return np.isclose(np.linalg.norm(points, axis=1), half)
    across, along = np.hypot(points[:, 0], points[:, 1]), np.abs(points[:, 2])
    inside = (across <= half + 1e-9) & (along <= up + 1e-9)
    return inside & (np.isclose(across, half) | np.isclose(along, up))


def grid(count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    along = np.linspace(-1.0, 1.0, count)
    right, up = np.meshgrid(along, along)
    return right.ravel(), up.ravel()


@EVERY
def test_keypoints_and_pictures_lie_on_the_surface(marked: MarkedObject) -> None:
    assert is_on(marked, marked.keypoints()).all()
    for face in FACES:
        points, normals = marked.surface(face, *grid())
        assert is_on(marked, points).all()
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
        assert ((points * normals).sum(axis=1) > 0.0).all()  # outward


@EVERY
def test_the_corners_of_every_picture_are_its_keypoints(marked: MarkedObject) -> None:
    keypoints, around = marked.keypoints(), np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    for face in FACES:
        points, _ = marked.surface(face, around[:, 0], around[:, 1])
        np.testing.assert_allclose(points, keypoints[list(face.corners)], atol=1e-12)


def test_a_cube_is_what_it_was() -> None:
    np.testing.assert_array_equal(CUBE.keypoints(), cube_corners())
    assert CUBE.label == "cube 45 mm" and object_contract()["cube_size_m"] == 0.045


def test_square_and_disc_are_each_others_inverse() -> None:
    right, up = grid()
    x, y = disc_of_square(right, up)
    assert (np.hypot(x, y) <= 1.0 + 1e-12).all()
    np.testing.assert_allclose(square_of_disc(x, y), (right, up), atol=1e-7)


@EVERY
def test_the_mesh_is_closed_and_turned_outwards(marked: MarkedObject) -> None:
    mesh = marked_mesh(marked)
    corners = mesh.vertices[mesh.triangles]
    volume = np.linalg.det(corners).sum() / 6.0  # of what the triangles enclose
    half, up = marked.size_m / 2, marked.upright_m
    expected = {"cube": marked.size_m**3, "sphere": 4 / 3 * np.pi * half**3}
    expected["cylinder"] = np.pi * half**2 * up
    assert volume == pytest.approx(expected[marked.shape], rel=0.02)
    assert mesh.uv.min() == 0.0 and mesh.uv.max() == 1.0


@EVERY
def test_a_keypoint_is_in_front_if_a_surface_at_it_is(marked: MarkedObject) -> None:
    """Those on the hull of the picture's near side are seen: the camera's side of a convex body."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        pose = random_pose(rng)
        points = marked.keypoints() @ pose[:3, :3].T + pose[:3, 3]
        in_front = marked.faces_camera(pose)
        nearest, farthest = points[:, 2].argmin(), np.linalg.norm(points, axis=1).argmax()
        assert in_front[nearest] and not in_front[farthest]
        assert 1 <= in_front.sum() <= 7


@EVERY
def test_the_pose_is_recovered_from_exact_keypoints(marked: MarkedObject) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        truth = random_pose(rng)
        pixels, _ = project(marked.keypoints(), CAMERA, truth)
        corners = Corners.certain(pixels, np.tile(0.25 * np.eye(2), (8, 1, 1)))
        result = solve_pose(corners, marked.keypoints(), CAMERA)
        assert result.T_camera_cube is not None, result.status
        np.testing.assert_allclose(result.T_camera_cube, truth, atol=1e-5)
        other = solve_pose(corners, CUBE.keypoints(), CAMERA)  # of another size: another distance
        assert other.T_camera_cube is None or abs((other.T_camera_cube - truth)[2, 3]) > 0.01


@EVERY
def test_silhouettes_are_those_of_the_surface(marked: MarkedObject) -> None:
    pose = random_pose(np.random.default_rng(2))
    ratio = silhouette(CAMERA, pose, marked)
    dense = np.concatenate([marked.surface(face, *grid(41))[0] for face in FACES])
    hulls = [
        ConvexHull(project(points, CAMERA, pose)[0]).volume
        for points in (dense, marked.keypoints())
    ]
    assert ratio == pytest.approx(hulls[0] / hulls[1], rel=0.02)
    assert (ratio == 1.0) == (marked.shape == "cube")


@EVERY
def test_labels_of_a_drawn_object_are_its_keypoints(marked: MarkedObject) -> None:
    """A picture drawn by its equation: rays meet the surface's dense points."""
    pose = random_pose(np.random.default_rng(3))
    depth, ids = np.full((240, 320), 10.0), np.zeros((240, 320), np.uint8)
    for face in FACES:
        points, normals = marked.surface(face, *grid(161))
        seen = points @ pose[:3, :3].T + pose[:3, 3]
        front = ((normals @ pose[:3, :3].T) * seen).sum(axis=1) < 0.0
        pixels, z = project(points[front], CAMERA, pose)
        row, column = pixels[:, 1].astype(int), pixels[:, 0].astype(int)
        np.minimum.at(depth, (row, column), z)
        ids[row, column] = CUBE_ID
    labels = label_corners(CAMERA, pose, depth, ids, marked)
    np.testing.assert_allclose(labels.corners_px, project(marked.keypoints(), CAMERA, pose)[0])
    assert ((labels.visibility == 2) == marked.faces_camera(pose)).all()
    assert labels.visible_fraction > 0.9


@EVERY
def test_points_of_the_print_that_are_turned_away_are_not_looked_at(marked: MarkedObject) -> None:
    pose = random_pose(np.random.default_rng(4))
    points, faces = points_in_sight(pose, marked)
    assert len(points) == 100 * len(faces) and len(faces) >= 1
    kept = points[np.isfinite(points).all(axis=1)]
    assert (len(kept) < len(points)) == (marked.shape != "cube")
    back = (kept - pose[:3, 3]) @ pose[:3, :3]
    assert is_on(marked, back).all()


class Knowing:
    """A detector that knows where the keypoints are."""

    def __init__(self, marked: MarkedObject, poses: dict[float, np.ndarray]) -> None:
        self.marked, self.poses, self.time_s = marked, poses, 0.0

    def detect_all(self, image: np.ndarray) -> list[Detection]:
        pixels, _ = project(self.marked.keypoints(), CAMERA, self.poses[self.time_s])
        corners = Corners.certain(pixels, np.tile(0.25 * np.eye(2), (8, 1, 1)))
        return [Detection(1.0, padded_box(pixels, 0.08), corners, np.ones((28, 28)))]

    def track(self, image: np.ndarray, box: np.ndarray) -> Detection | None:
        del box
        return self.detect_all(image)[0]


@EVERY
def test_a_tracker_follows_the_object_it_is_told_of(marked: MarkedObject) -> None:
    pose = random_pose(np.random.default_rng(5))
    eyes = Knowing(marked, {0.0: pose, 0.05: pose})
    unseen = PlausibleConfig(min_glyphs=None, min_colours=None)
    config = TrackerConfig(detect_size=(240, 320), marked=marked, plausible=unseen)
    tracker = CubeTracker(eyes, config)
    for time_s in (0.0, 0.05):
        eyes.time_s = time_s
        sighting = tracker.see(Frame(np.zeros((240, 320, 3), np.uint8), CAMERA, time_s))
        assert sighting.result.ok, sighting.result.status
    estimate = tracker.pose_at(0.05)
    assert estimate is not None
    np.testing.assert_allclose(estimate.pose, pose, atol=1e-3)


def test_contracts_name_the_object_and_only_this_print_is_read() -> None:
    for marked in (CUBE, LARGE, CYLINDER, SPHERE):
        assert object_of_contract(object_contract(marked), "x").label == marked.label
    assert "shape" not in object_contract(LARGE)
    with pytest.raises(ValueError, match=r"x was made for another print .*cube is 'glyphs-2'"):
        object_of_contract(object_contract(SPHERE) | {"cube": "glyphs-2"}, "x")
    with pytest.raises(ValueError, match=r"x: a marked object is one of cube.*not 'cone'"):
        object_of_contract(object_contract(SPHERE) | {"shape": "cone"}, "x")
    with pytest.raises(
        ValueError, match=r"a\.pt is for the object cube 60 mm, runs/x for sphere 50 mm"
    ):
        refuse_other_marks(LARGE, SPHERE, "a.pt", "runs/x")


def test_a_detector_file_tells_what_it_sees(tmp_path: Path) -> None:
    network = build_network(PRESETS["tiny"])
    save_detector(
        tmp_path / "d.pt", DetectorFile(network, PRESETS["tiny"], (240, 320), marked=CYLINDER)
    )
    assert load_detector(tmp_path / "d.pt").marked.label == CYLINDER.label


PRINTED = [CUBE, LARGE, CYLINDER, SPHERE, MarkedObject("cube", 0.07), MarkedObject("cube", 0.03)]
PRINTED += [MarkedObject("sphere", 0.07), MarkedObject("cylinder", 0.07, 0.09)]


@pytest.mark.parametrize("marked", PRINTED, ids=lambda marked: marked.label)
def test_pages_are_full_size_and_pieces_do_not_overlap(marked: MarkedObject) -> None:
    check_fits(marked)
    size, boxes = 1000.0 * marked.size_m, [piece.box_mm for piece in pieces(marked)]
    for piece, (left, right, bottom, top) in zip(pieces(marked), boxes, strict=True):
        assert left >= 0.0 and right <= PAGE_MM[0] and bottom >= 0.0 and top <= PAGE_MM[1]
        width, height = {
            "square": (size, size),
            "disc": (size, size),
            "patch": (size * np.pi / 4, size * np.pi / 4),  # a quarter of the way round
        }[piece.outline]
        if marked.shape == "cylinder" and piece.outline == "square":
            width, height = np.pi * size / 4, 1000.0 * marked.upright_m
        assert (right - left, top - bottom) == pytest.approx((width, height))
    for i, (left, right, bottom, top) in enumerate(boxes):
        for other in boxes[:i]:
            apart = right <= other[0] + 1e-6 or other[1] <= left + 1e-6
            assert apart or top <= other[2] + 1e-6 or other[3] <= bottom + 1e-6


def test_what_does_not_fit_on_the_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pictures of a cube 120 mm do not fit on an A4 page"):
        write_object(tmp_path, MarkedObject("cube", 0.12))
    with pytest.raises(ValueError, match=r"a marked sphere 200 mm cannot be: 10 to 150 mm"):
        MarkedObject("sphere", 0.2)


def test_round_pieces_are_white_outside_and_dark_at_the_rim() -> None:
    for marked in (CYLINDER, SPHERE):
        piece = next(p for p in pieces(marked) if p.outline != "square")
        picture = piece_picture(piece, 128)
        assert (picture[0, 0] == 255).all() and (picture[64, 1] < 60).all()


@EVERY
def test_files_of_an_object_are_written(marked: MarkedObject, tmp_path: Path) -> None:
    obj, _, _, page = write_object(tmp_path, marked)
    rows = [line.split() for line in obj.read_text().splitlines()]
    vertices = np.array([row[1:] for row in rows if row[0] == "v"], float)
    np.testing.assert_allclose(np.abs(vertices).max(axis=0)[2], marked.upright_m / 2, atol=1e-6)
    assert page.read_bytes().startswith(b"%PDF") and RULER_MM == 100.0


@EVERY
def test_an_overlay_draws_any_object(marked: MarkedObject) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    drawn = draw_cube(image, random_pose(np.random.default_rng(6)), CAMERA, marked=marked)
    assert drawn.any() and not image.any()
