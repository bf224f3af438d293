"""Frames, views, recordings, the simulated camera and the real one's absence."""

import sys
from types import SimpleNamespace

import imageio.v2 as imageio
import mujoco
import numpy as np
import pytest
from drawn_cube import camera_for, drawn_sample

from perception.cameras import oak
from perception.cameras.frames import Frame, View, to_continuous, undistort
from perception.cameras.recording import FrameRecorder, Recording
from perception.cameras.simulated import camera_matrix
from perception.cube import cube_corners
from perception.geometry import project


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def frame(rng):
    sample = drawn_sample(rng, 640, 480)
    return Frame(sample.image, sample.camera, 1.5)


def recorded(folder, rng, count=3, size=(160, 120)):
    recorder, samples = FrameRecorder(folder), []
    for number in range(count):
        sample = drawn_sample(rng, *size)
        recorder.write(Frame(sample.image, sample.camera, number / 30.0), sample.T_camera_cube)
        samples.append(sample)
    recorder.close()
    return samples


@pytest.mark.parametrize("size", [(240, 320), (100, 150), (60, 40)])
def test_a_view_and_its_camera_agree(rng, size):
    sample = drawn_sample(rng, 640, 480)
    view = View.of(Frame(sample.image, sample.camera, 0.0), (100, 80, 420, 380), size)
    assert view.image.shape == (*size, 3)
    uv, _ = project(cube_corners(), view.intrinsics(sample.camera), sample.T_camera_cube)
    np.testing.assert_allclose(view.to_view(sample.corners_px), uv, atol=1e-9)
    np.testing.assert_allclose(view.to_frame(uv), sample.corners_px, atol=1e-9)


def test_a_view_shows_what_its_coordinates_say():
    """An edge in the image lands where `to_view` puts it, without half a pixel of shift."""
    image = np.zeros((100, 120, 3), dtype=np.uint8)
    image[:, 60:] = 200
    view = View.of(Frame(image, np.eye(3), 0.0), (20, 10, 100, 70), (30, 40))
    edge = view.to_view(np.array([60.0, 40.0]))[0]
    assert edge == 20.0
    assert view.image[15, 19].max() == 0 and view.image[15, 20].min() == 200


def test_undistorting_removes_the_distortion(rng):
    cv2 = pytest.importorskip("cv2")
    camera = camera_for(640, 480)
    distortion = (-0.2, 0.05, 0.001, -0.002, 0.0)
    points = np.c_[rng.uniform(-0.05, 0.05, (20, 2)), rng.uniform(0.25, 0.35, 20)]
    bent, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera, np.array(distortion))
    straight, _ = project(points, camera, np.eye(4))
    seen = bent[:, 0].copy()
    seen[3] = np.nan
    found = undistort(seen, Frame(np.zeros((480, 640, 3), np.uint8), camera, 0.0, distortion))
    assert np.isnan(found[3]).all()
    kept = np.arange(20) != 3
    np.testing.assert_allclose(found[kept], straight[kept], atol=0.02)
    assert np.abs(seen[kept] - straight[kept]).max() > 0.1


def test_opencvs_centre_is_moved_by_half_a_pixel():
    matrix = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])
    np.testing.assert_array_equal(to_continuous(matrix)[:2, 2], [320.0, 240.0])
    assert matrix[0, 2] == 319.5


def test_a_recording_plays_what_was_recorded(rng, tmp_path):
    samples = recorded(tmp_path / "a", rng)
    recording = Recording(tmp_path / "a")
    for number, sample in enumerate(samples):
        frame = recording.read()
        np.testing.assert_array_equal(frame.image, sample.image)
        np.testing.assert_array_equal(frame.intrinsics, sample.camera)
        np.testing.assert_array_equal(recording.poses[number], sample.T_camera_cube)
        assert frame.time_s == number / 30.0
    assert recording.read() is None


def test_a_video_plays_with_its_camera(rng, tmp_path):
    samples = recorded(tmp_path / "a", rng, count=4)
    (tmp_path / "b.json").write_text((tmp_path / "a" / "camera.json").read_text())
    video = tmp_path / "b.mp4"
    imageio.mimwrite(video, [s.image for s in samples], fps=30, macro_block_size=1)
    recording = Recording(video)
    for sample in samples:
        frame = recording.read()
        assert np.abs(frame.image.astype(int) - sample.image).mean() < 20
        np.testing.assert_allclose(frame.intrinsics, sample.camera)
    assert recording.read() is None


def test_recordings_that_do_not_fit_are_refused(rng, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"camera\.json"):
        Recording(tmp_path)
    recorded(tmp_path / "a", rng)
    with pytest.raises(FileExistsError, match="already"):
        FrameRecorder(tmp_path / "a")
    (tmp_path / "a" / "000001.png").write_bytes(b"no picture")
    recording = Recording(tmp_path / "a")
    recording.read()
    with pytest.raises(ValueError, match="image 1 is missing or damaged"):
        recording.read()


def test_a_camera_that_changes_cannot_be_recorded(frame, tmp_path):
    recorder = FrameRecorder(tmp_path)
    recorder.write(frame)
    with pytest.raises(ValueError, match="changed"):
        recorder.write(Frame(frame.image[:100], frame.intrinsics, 0.0))
    with pytest.raises(ValueError, match="nothing"):
        FrameRecorder(tmp_path / "b").close()


def test_a_simulated_camera_knows_its_matrix():
    xml = """<mujoco><worldbody>
      <camera name="angle" fovy="60"/>
      <camera name="lens" resolution="320 240" sensorsize="0.0032 0.0024"
              focalpixel="229 231" principalpixel="5 -3"/>
    </worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    half = 120 / np.tan(np.radians(30))
    expected = [[half, 0, 160], [0, half, 120], [0, 0, 1]]
    np.testing.assert_allclose(camera_matrix(model, 0, (240, 320)), expected)
    expected = [[229, 0, 155], [0, 231, 123], [0, 0, 1]]
    np.testing.assert_allclose(camera_matrix(model, 1, (240, 320)), expected, rtol=1e-5)


def test_without_the_driver_an_oak_camera_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "depthai", None)
    with pytest.raises(ImportError, match=r"sernf-isaac\[oak\]"):
        oak.OakCamera()


def test_without_a_device_an_oak_camera_fails_at_once(monkeypatch):
    def wait_forever():
        raise AssertionError("opening a pipeline without a device hangs for 11 s")

    device = SimpleNamespace(getAllAvailableDevices=list)
    monkeypatch.setitem(
        sys.modules, "depthai", SimpleNamespace(Device=device, Pipeline=wait_forever)
    )
    with pytest.raises(ConnectionError, match="no OAK camera"):
        oak.OakCamera()
