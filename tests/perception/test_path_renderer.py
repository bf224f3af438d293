"""Path-traced pictures: the same scene and labels as the fast renderer's, in honest light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.cube import cube_corners
from perception.geometry import look_at, project, transform
from perception.samples import CUBE_ID
from perception.synthetic.develop import develop, exposure_times, rolling_shutter
from perception.synthetic.distortion import distorted, distorted_picture, distorted_points
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.synthetic.pictures import PictureConfig, Pictures
from perception.synthetic.room import (
    CONDITIONS,
    Motion,
    RoomConfig,
    Sensor,
    black_body,
    draw_room,
    mirrored_lamp,
)
from perception.tone import to_linear
from tasks.cube_spin.pictures.scene import picture_model
from tasks.orca.hands import load_hand
from tasks.rendering import choose_gl_backend

SIZE = (96, 72)
HAND = load_hand()
UNDER = look_at(np.array([0.02, 0.17, -0.33]), np.array(HAND.grasp_point_m), np.array([0, 1.0, 0]))
GREY = np.full((16, 32, 3), 128, dtype=np.uint8)


def room(condition: str, seed: int = 0, cube: np.ndarray | None = None):
    cube = (
        transform(np.array(HAND.grasp_point_m), np.array([0, 0, 0, 1.0])) if cube is None else cube
    )
    config = RoomConfig(conditions=(condition,))
    return draw_room(config, 4, GREY, UNDER, cube, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def model():
    choose_gl_backend()
    return picture_model(HAND)


def test_path_traced_and_fast_pictures_show_the_same_cube(model) -> None:
    """The print is where the fast renderer has it: the same face, the same way up."""
    pytest.importorskip("mitsuba")
    from perception.synthetic.path_renderer import PathRenderer

    config = PictureConfig(room=RoomConfig(samples=4, conditions=("plain",)))
    config.view.width, config.view.height = SIZE
    config.view.focal_px = (90.0, 90.0)
    fast, slow = MujocoRenderer(model, SIZE), PathRenderer(model, SIZE, samples=4)
    try:
        for seed in range(4):
            quat = Rotation.random(rng=np.random.default_rng(seed)).as_quat()
            state = SceneState(np.array(HAND.typical_rad), np.array(HAND.grasp_point_m), quat)
            pictures = Pictures(slow, config, "train", seed=seed)
            (sample,) = pictures.draw([state], [{}], shard=0)
            assert sample.notes["condition"] == "plain"
            assert sample.notes["renderer"] == "path"
            (again,) = pictures.draw([state], [{}], shard=0)
            apart = np.abs(again.image.astype(int) - sample.image)
            assert apart.mean() < 10.0  # the same room; its noise may be another
            flat = Pictures(fast, config, "train", seed=seed)
            fast.any_intrinsics = False  # type: ignore[misc]  # as the path tracer's cameras
            (drawn,) = flat.draw([state], [{}], shard=0)
            np.testing.assert_allclose(drawn.T_camera_cube, sample.T_camera_cube)
            assert (drawn.ids == sample.ids).all()
            mine = sample.ids == CUBE_ID
            same = np.corrcoef(drawn.image[mine].ravel(), sample.image[mine].ravel())[0, 1]
            assert same > 0.45, f"seed {seed}: {same:.2f}"
            turned = np.rot90(sample.image, 2)[np.rot90(mine, 2)]
            assert same > np.corrcoef(drawn.image[mine].ravel(), turned.ravel())[0, 1]
    finally:
        fast.close()
        slow.close()


def test_strange_fingers_are_left_to_the_fast_renderer() -> None:
    from tasks.cube_spin.eyes.rendering import check_path

    config = PictureConfig()
    config.fingers.probability = 0.5
    with pytest.raises(ValueError, match=r"fingers\.probability .* take --renderer twin"):
        check_path(config, here=False)


def test_a_condition_nobody_knows_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"room.conditions \['foggy'\]: there are plain, highlight"
    ):
        RoomConfig(conditions=("plain", "foggy"))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_condition_spoils_what_it_says(condition: str) -> None:
    plain, spoilt = room("plain"), room(condition)
    assert spoilt.condition == condition
    gains = np.array(spoilt.sensor.gains)[[0, 2]]
    limits = {
        "dim": spoilt.sensor.electrons <= 300.0,
        "tinted": bool((np.abs(np.log(gains)) <= np.log(1.0 / 0.45)).all()),
        "faded": spoilt.bleached >= 0.35,
        "defocused": not 0.65 < spoilt.lens.focus < 1.5,
        "moving": spoilt.motion is not None,
        "distorted": 0.03 <= abs(spoilt.lens.k1) <= 0.1,
        "raking": abs(spoilt.lamps[0].offset_m[2]) < np.linalg.norm(spoilt.lamps[0].offset_m) / 3,
        "highlight": spoilt.cube.coat and spoilt.cube.roughness <= 0.25,
        "misprinted": spoilt.print_scale in (0.98, 1.02),
        "plain": plain.print_scale == 1.0,
    }
    assert limits[condition]
    assert plain.motion is None
    assert plain.lens.k1 == 0.0


def test_a_highlights_lamp_is_where_the_face_mirrors_it() -> None:
    """Angle in is angle out, about the normal of the face seen most directly."""
    cube = transform(np.array(HAND.grasp_point_m), np.array([0, 0, 0, 1.0]))
    lamp = np.mean(
        [mirrored_lamp(UNDER, cube, np.random.default_rng(seed)).offset_m for seed in range(200)],
        axis=0,
    )
    to_eye = UNDER[:3, 3] - cube[:3, 3]
    expected = to_eye * [-1.0, -1.0, 1.0]  # mirrored at the normal -z
    cosine = lamp @ expected / np.linalg.norm(lamp) / np.linalg.norm(expected)
    assert np.degrees(np.arccos(cosine)) < 1.0


def test_warm_lamps_are_red_and_daylight_is_white() -> None:
    np.testing.assert_allclose(black_body(6500.0), 1.0)
    red, _, blue = black_body(3000.0)
    assert red > 1.5 > 0.6 > blue


def test_a_sensor_gives_back_the_light_that_it_got() -> None:
    """With much light, right exposure and right gains, linear light comes back in proportion."""
    ramp = np.broadcast_to(np.linspace(0.1, 1.0, 64)[None, :, None], (48, 64, 3))
    sensor = Sensor((1.0, 1.0, 1.0), exposure_stops=0.0, electrons=1e6, jpeg=97)
    everything = np.ones((48, 64), dtype=bool)
    picture = develop(7.0 * ramp, everything, sensor, np.random.default_rng(0))
    expected = 0.6 / np.quantile(ramp[0, :, 0], 0.8) * ramp
    assert np.abs(to_linear(picture / 255.0) - expected)[:, 4:-4].max() < 0.03


def test_less_light_is_more_noise() -> None:
    flat, everything = np.ones((64, 64, 3)), np.ones((64, 64), dtype=bool)
    noise = []
    for electrons in (20_000.0, 200.0):
        sensor = Sensor((1.0, 1.0, 1.0), 0.0, electrons, jpeg=97)
        picture = develop(flat, everything, sensor, np.random.default_rng(0))
        noise.append(to_linear(picture / 255.0).std())
    # Shot noise alone: sqrt(0.6 / 200) = 0.055; a JPEG smooths some of it away.
    assert 0.03 < noise[1] < 0.07
    assert noise[0] < noise[1] / 5


def test_rows_are_exposed_one_after_the_other() -> None:
    """A brightness that grows with time is seen as a ramp over the rows."""
    motion = Motion(np.zeros(3), np.zeros(3), exposure_s=0.004, readout_s=0.02)
    times = exposure_times(motion, 60)
    slices = np.broadcast_to(times[:, None, None, None], (60, 11, 3, 3))
    rows = rolling_shutter(slices, motion)[:, 0, 0]
    expected = ((np.arange(11) + 0.5) / 11 - 0.5) * 0.02
    np.testing.assert_allclose(rows, expected, atol=2e-4)


def test_a_distorted_picture_and_its_labels_move_together() -> None:
    camera = np.array([[90.0, 0, 48.0], [0, 90.0, 36.0], [0, 0, 1.0]])
    points = np.array([[20.5, 15.5], [70.5, 60.5], [48.5, 10.5]])
    picture = np.zeros((72, 96), dtype=np.float32)
    for x, y in points:
        picture[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 1.0
    moved = distorted_points(points, camera, k1=-0.3)
    seen = distorted_picture(picture, camera, -0.3)
    for place in moved:
        y, x = np.mgrid[:72, :96] + 0.5
        near = np.hypot(x - place[0], y - place[1]) < 5
        weight = seen * near
        centre = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        assert np.linalg.norm(centre - place) < 0.15
    assert np.linalg.norm(moved - points, axis=1).max() > 1.0


def test_a_distorted_sample_keeps_pose_and_camera() -> None:
    from fake_samples import fake_sample

    sample = fake_sample()
    corners, _ = project(cube_corners(), sample.camera, sample.T_camera_cube)
    bent = distorted(replace(sample, corners_px=corners), 0.1)
    np.testing.assert_allclose(bent.corners_px, distorted_points(corners, sample.camera, 0.1))
    np.testing.assert_allclose(bent.T_camera_cube, sample.T_camera_cube)
    assert bent.image.shape == sample.image.shape
    assert set(np.unique(bent.ids)) <= set(np.unique(sample.ids))
