"""Strange fingers: drawn where their geometry says, in front of what they cover, seen by labels."""

from dataclasses import dataclass

import numpy as np
import pytest
from fake_samples import silhouette

from perception.cube import cube_corners
from perception.geometry import intrinsics, project, transform
from perception.labels import label_corners
from perception.marked import CUBE
from perception.samples import CUBE_ID, HAND_ID, VISIBLE
from perception.synthetic.fingers import Finger, FingerConfig, cover, draw_fingers, hit
from perception.synthetic.looks import LookConfig, draw_look
from perception.synthetic.mujoco_renderer import Rendering
from perception.synthetic.pictures import PictureConfig, Pictures
from perception.synthetic.views import View

SIZE = (160, 120)
CAMERA = intrinsics((150.0, 150.0), (80.0, 60.0))
POSE = transform(np.array([0.0, 0.0, 0.3]), np.array([0.3, 0.2, 0.1, 0.9]) / np.sqrt(0.95))
ALWAYS = FingerConfig(probability=1.0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def look(rng):
    return draw_look(LookConfig(), 2, (8, 8), rng)


@pytest.fixture
def rendering():
    corners, depth = project(cube_corners(), CAMERA, POSE)
    ids = np.where(silhouette(corners, SIZE), CUBE_ID, 0).astype(np.uint8)
    image = np.full((*ids.shape, 3), 200, dtype=np.uint8)
    return Rendering(image, np.where(ids == CUBE_ID, depth.min(), 10.0), ids, POSE)


def test_rays_meet_the_surface(rng):
    """Whatever is hit lies a radius from the axis, and the normal points to the camera."""
    finger = Finger(np.array([0.01, 0.0, 0.2]), np.array([0.05, 0.04, 0.24]), 0.008, (1, 1, 1))
    rays = rng.normal(0.0, 0.15, (20000, 3)) + np.array([0.1, 0.07, 1.0])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    distance, normal = hit(finger, rays)
    met = np.isfinite(distance)
    assert 100 < met.sum() < 15000
    points = distance[met, None] * rays[met]
    axis = finger.root - finger.tip
    along = np.clip((points - finger.tip) @ axis / (axis @ axis), 0.0, 1.0)
    off = points - finger.tip - along[:, None] * axis
    np.testing.assert_allclose(np.linalg.norm(off, axis=1), finger.radius_m, atol=1e-9)
    np.testing.assert_allclose(normal[met], off / finger.radius_m, atol=1e-6)
    assert ((normal[met] * rays[met]).sum(axis=1) <= 1e-6).all()
    # Rays that miss keep their distance: sampled finely, no point of them is inside.
    steps = np.linspace(0.15, 0.3, 300)[:, None, None] * rays[~met][:300]
    along = np.clip((steps - finger.tip) @ axis / (axis @ axis), 0.0, 1.0)
    closest = np.linalg.norm(steps - finger.tip - along[..., None] * axis, axis=2).min()
    assert closest > finger.radius_m - 1e-4


def test_a_finger_hides_what_lies_behind_it_and_nothing_before_it(rendering, look):
    before = Finger(np.array([0.0, 0.0, 0.2]), np.array([0.2, 0.0, 0.2]), 0.01, (0.5, 0.5, 0.5))
    behind = Finger(np.array([0.0, 0.0, 0.5]), np.array([0.2, 0.0, 0.5]), 0.01, (0.5, 0.5, 0.5))
    hidden = cover(rendering, before, CAMERA, look, np.eye(4))
    shown = cover(rendering, behind, CAMERA, look, np.eye(4))
    assert hidden.ids[60, 82] == HAND_ID and hidden.depth_m[60, 82] == pytest.approx(0.19, abs=1e-3)
    assert (hidden.image[hidden.ids == HAND_ID] != 200).any()
    cube = rendering.ids == CUBE_ID
    assert (shown.ids[cube] == CUBE_ID).all() and (shown.image[cube] == 200).all()
    assert (shown.ids == HAND_ID).any()
    assert (rendering.ids != HAND_ID).all()  # the given one is not changed


def test_labels_see_fingers_like_the_hand(rendering, look, rng):
    clear = label_corners(CAMERA, POSE, rendering.depth_m, rendering.ids)
    fractions = []
    for _ in range(30):
        drawn = rendering
        for finger in draw_fingers(ALWAYS, POSE, look, rng):
            drawn = cover(drawn, finger, CAMERA, look, np.eye(4))
        labels = label_corners(CAMERA, POSE, drawn.depth_m, drawn.ids)
        np.testing.assert_array_equal(labels.corners_px, clear.corners_px)
        assert (labels.visibility == VISIBLE).sum() <= (clear.visibility == VISIBLE).sum()
        fractions.append(labels.visible_fraction / clear.visible_fraction)
    assert np.mean(fractions) < 0.85 and min(fractions) < 0.6


@dataclass
class StillRenderer:
    """Shows the same cube whatever it is asked for."""

    rendering: Rendering
    name = "still"
    materials = 2
    textures_px = (8, 8)
    batch = 1
    any_intrinsics, draws_rooms, marked = True, False, CUBE

    def render(self, states, views: list[View], looks) -> list[Rendering]:
        return [self.rendering for _ in states]

    def close(self) -> None:
        pass


def test_without_fingers_pictures_are_what_they_were(rendering, monkeypatch):
    """The setting is off by default and then draws no random numbers."""

    @dataclass
    class State:
        joint_pos: np.ndarray

    config = PictureConfig(min_visible_fraction=0.0)
    config.view.width, config.view.height = SIZE
    states = [State(np.zeros(17))]

    def picture() -> np.ndarray:
        pictures = Pictures(StillRenderer(rendering), config, "train", seed=0)
        return pictures.draw(states, [{}], shard=0)[0].image  # type: ignore[arg-type]  # a stand-in

    default = picture()
    with monkeypatch.context() as patched:
        patched.setattr("perception.synthetic.pictures.draw_fingers", lambda *_: [])
        np.testing.assert_array_equal(picture(), default)
    config.fingers.probability = 1.0
    assert (picture() != default).any()
