"""MuJoCo pictures: six faces can be read, labels lie where the cube is drawn."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import mujoco
import numpy as np
import pytest
from fake_samples import silhouette
from scipy.spatial.transform import Rotation

from perception.cube import FACES, cube_corners
from perception.cube_art import face_picture
from perception.geometry import intrinsics, inverse, look_at, project
from perception.labels import label_corners
from perception.samples import CUBE_ID, HAND_ID, OCCLUDED, VISIBLE
from perception.synthetic.looks import Light, LookConfig, draw_look
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.synthetic.pictures import compose
from perception.synthetic.views import View
from tasks.cube_spin.pictures.scene import set_stage
from tasks.rendering import choose_gl_backend

SIZE = (480, 360)
HERE = np.array([0.04, 0.18, -0.06])


@pytest.fixture(scope="module")
def renderer() -> Iterator[MujocoRenderer]:
    """A scene of a ball on a slider, which stands for the hand, and the cube."""
    try:
        choose_gl_backend()
    except RuntimeError as error:
        pytest.skip(f"no way to draw on this machine: {error}")
    spec = mujoco.MjSpec()
    ball = spec.worldbody.add_body(name="ball", pos=[*HERE[:2], -0.16])
    ball.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0])
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.015, 0, 0], mass=1.0)
    set_stage(spec)
    made = MujocoRenderer(spec.compile(), SIZE)
    yield made
    made.close()


def state(quat: np.ndarray, ball: float = 0.5) -> SceneState:
    return SceneState(np.array([ball]), HERE, quat)


def look(renderer: MujocoRenderer, seed: int = 0):
    rng = np.random.default_rng(seed)
    return draw_look(LookConfig(), renderer.materials, renderer.textures_px, rng)


def view_from(direction: np.ndarray, up: np.ndarray, distance: float = 0.25, **camera) -> View:
    matrix = intrinsics(camera.get("focal", (400.0, 410.0)), camera.get("centre", (247.3, 171.9)))
    return View(matrix, look_at(HERE + distance * direction, HERE, up), SIZE)


def test_all_six_faces_are_drawn_as_designed(renderer: MujocoRenderer) -> None:
    """Each face seen straight on is itself, upright and not mirrored: 1 of 48 pictures."""
    candidates = {
        (face.normal, turns, mirrored): np.rot90(picture[:, ::-1] if mirrored else picture, turns)
        for face in FACES
        for picture in [face_picture(face, 64).mean(axis=2)]
        for turns in range(4)
        for mirrored in (False, True)
    }
    for face in FACES:
        _, up, normal = face.axes.T
        drawn = renderer.render_one(
            state(np.array([0, 0, 0, 1.0])), view_from(normal, up), look(renderer)
        )
        camera = view_from(normal, up)
        corners, _ = project(
            cube_corners()[list(face.corners)] + HERE,
            camera.camera,
            inverse(camera.T_world_camera),
        )
        share = (np.arange(64) + 0.5) / 64
        grid = (
            corners[3]
            + share[None, :, None] * (corners[2] - corners[3])
            + (share[:, None, None] * (corners[0] - corners[3]))
        )
        seen = drawn.image[grid[..., 1].astype(int), grid[..., 0].astype(int)].mean(axis=2)
        scores = {
            name: np.corrcoef(seen.ravel(), picture.ravel())[0, 1]
            for name, picture in candidates.items()
        }
        best = max(scores, key=lambda name: scores[name])
        assert best == (face.normal, 0, False) and scores[best] > 0.85


def random_views(count: int) -> Iterator[tuple[SceneState, View]]:
    for seed in range(count):
        rng = np.random.default_rng(seed)
        direction = np.append(rng.uniform(-0.5, 0.5, 2), -1.0)
        camera = {
            "focal": tuple(rng.uniform(350, 550, 2)),
            "centre": tuple(np.array(SIZE) / 2 + rng.uniform(-20, 20, 2)),
        }
        view = view_from(direction / np.linalg.norm(direction), np.array([0.3, 1.0, 0]), **camera)
        yield state(Rotation.random(rng=rng).as_quat()), view


def centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def test_the_cube_is_drawn_where_the_labels_say(renderer: MujocoRenderer) -> None:
    """Silhouettes agree to a twentieth of a pixel on average; half a pixel would be seen."""
    offsets, wrong = [], []
    for scene, view in random_views(12):
        drawn = renderer.render_one(scene, view, look(renderer))
        labels = label_corners(view.camera, drawn.T_camera_cube, drawn.depth_m, drawn.ids)
        expected = silhouette(labels.corners_px, SIZE)
        mask = drawn.ids == CUBE_ID
        offsets.append(centroid(mask) - centroid(expected))
        wrong.append((mask != expected).mean())
    assert np.abs(offsets).max() < 0.05
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.02
    assert max(wrong) < 2e-4


def test_drawn_depth_is_the_distance_along_the_axis(renderer: MujocoRenderer) -> None:
    for scene, view in random_views(6):
        drawn = renderer.render_one(scene, view, look(renderer))
        rows, columns = np.nonzero(drawn.ids == CUBE_ID)
        depth = drawn.depth_m[rows, columns]
        (fx, _, cx), (_, fy, cy) = view.camera[0], view.camera[1]
        rays = np.stack([(columns + 0.5 - cx) / fx, (rows + 0.5 - cy) / fy, np.ones(len(rows))], 1)
        back = inverse(drawn.T_camera_cube)
        inside = (rays * depth[:, None]) @ back[:3, :3].T + back[:3, 3]
        np.testing.assert_allclose(np.abs(inside).max(axis=1), 0.0225, atol=1e-4)


def test_corners_behind_something_are_hidden_and_come_back(renderer: MujocoRenderer) -> None:
    view = view_from(np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 0.0]))
    quat = Rotation.from_euler("z", 45, degrees=True).as_quat()
    labels = {}
    for name, ball in {"away": 0.5, "left": -0.015, "right": 0.015}.items():
        drawn = renderer.render_one(state(quat, ball), view, look(renderer))
        labels[name] = label_corners(view.camera, drawn.T_camera_cube, drawn.depth_m, drawn.ids)
        assert (drawn.ids == HAND_ID).any() == (name != "away")
    lower = cube_corners()[:, 2] < 0  # towards the camera
    assert (labels["away"].visibility[lower] == VISIBLE).all()
    assert (labels["away"].visibility[~lower] == OCCLUDED).all()
    hidden = {
        name: set(np.flatnonzero(lower & (at.visibility != VISIBLE))) for name, at in labels.items()
    }
    assert hidden["left"] and hidden["right"] and not hidden["left"] & hidden["right"]
    assert (labels["left"].depth_margin_m[list(hidden["left"])] < -0.01).all()
    assert labels["away"].visible_fraction > 0.99 > labels["left"].visible_fraction


def test_backgrounds_fill_what_is_empty_and_nothing_else(renderer: MujocoRenderer) -> None:
    scene, view = next(random_views(1))
    drawn = renderer.render_one(scene, view, look(renderer))
    white = np.full((SIZE[1], SIZE[0], 3), 255, dtype=np.uint8)
    image = compose(drawn, white)
    cube = (drawn.ids == CUBE_ID).astype(np.uint8)
    inner = cv2.erode(cube, np.ones((3, 3), np.uint8)) > 0
    black = compose(drawn, 0 * white)
    np.testing.assert_array_equal(image[inner], black[inner])
    assert (image[:3] == 255).all() and (black[:3] == 0).all()


def test_the_same_seed_draws_the_same_picture(renderer: MujocoRenderer) -> None:
    scene, view = next(random_views(1))
    first = renderer.render_one(scene, view, look(renderer, 3))
    renderer.render_one(scene, view, look(renderer, 4))
    again = renderer.render_one(scene, view, look(renderer, 3))
    np.testing.assert_array_equal(first.image, again.image)


def test_a_view_or_state_of_another_scene_is_refused(renderer: MujocoRenderer) -> None:
    scene, view = next(random_views(1))
    small = View(view.camera, view.T_world_camera, (320, 240))
    with pytest.raises(ValueError, match=r"a view of \(320, 240\) pixels; this renderer draws"):
        renderer.render_one(scene, small, look(renderer))
    with pytest.raises(ValueError, match="a state of 17 joints; the scene has 1"):
        renderer.render_one(SceneState(np.zeros(17), HERE, scene.cube_quat), view, look(renderer))


def test_something_in_a_lamps_way_casts_a_shadow(renderer: MujocoRenderer) -> None:
    """The ball hangs between a lamp below and the cube; the camera looks past it."""
    view = view_from(np.array([0.5, 0.0, -0.85]), np.array([0.0, 1.0, 0.0]))
    share = {}
    for shadow in (True, False):
        lamp = Light(offset_m=(0.0, 0.0, -0.8), diffuse=(0.8, 0.8, 0.8), shadow=shadow)
        lit = replace(look(renderer, 5), lights=(lamp,))
        away, between = (
            renderer.render_one(state(np.array([0, 0, 0, 1.0]), ball), view, lit)
            for ball in (0.5, 0.0)
        )
        both = (away.ids == CUBE_ID) & (between.ids == CUBE_ID)
        darker = away.image[both].astype(int) - between.image[both]
        assert darker.min() > -10
        share[shadow] = (darker.max(axis=1) > 20).mean()
    assert share[True] > 0.02 and share[False] == 0.0
