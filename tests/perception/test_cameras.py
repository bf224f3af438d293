"""Frames, views, recordings, and the real camera's absence."""

import json
import sys
from types import SimpleNamespace

import imageio.v2 as imageio
import numpy as np
import pytest
from drawn_cube import camera_for, drawn_sample

from perception.cameras import oak
from perception.cameras.frames import Frame, View, to_continuous, undistort
from perception.cameras.recording import FrameRecorder, Recording
from perception.cube import cube_corners
from perception.geometry import project
from perception.picture_files import write_picture


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
    with pytest.raises(FileExistsError, match="holds a recording already"):
        FrameRecorder(tmp_path / "a")
    (tmp_path / "a" / "000001.png").write_bytes(b"no picture")
    recording = Recording(tmp_path / "a")
    recording.read()
    with pytest.raises(ValueError, match=r"000001\.png cannot be read as a picture"):
        recording.read()


def grey_pictures(folder, names):
    """Pictures (24, 32), of which the n-th has grey 10 n, with a camera file for as many."""
    folder.mkdir()
    for number, name in enumerate(names, start=1):
        write_picture(folder / name, np.full((24, 32, 3), 10 * number, np.uint8))
    camera = {"intrinsics": [[30, 0, 16], [0, 30, 12], [0, 0, 1]], "size": [32, 24]}
    times = {"times_s": [number / 20 for number in range(len(names))]}
    (folder / "camera.json").write_text(json.dumps(camera | times))
    return folder


@pytest.mark.parametrize("name", ["{}.png", "{:03d}.jpg", "frame_{}.png", "left-{:04d}_rgb.png"])
@pytest.mark.parametrize("first", [0, 7])
def test_pictures_are_played_by_their_numbers(tmp_path, name, first):
    names = [name.format(number) for number in range(first, first + 12)]
    recording = Recording(grey_pictures(tmp_path / "a", names))
    (tmp_path / "a" / "._000001.png").write_bytes(b"a file system's own note")
    played = [round(recording.read().image.mean() / 10) for _ in recording.times_s]
    assert played == list(range(1, 13)) and recording.read() is None


TWELVE = [f"{number:03d}.png" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        ([], ["000_board.png"], r"000_board\.png is not named 'NUMBER'"),
        ([], ["board.png"], r"board\.png is not named"),
        (["012.png"], ["board.jpg"], r"board\.jpg is not named"),
        ([], ["013.png"], "holds 13 pictures .* but 12 times_s"),
        (["004.png"], [], "holds 11 pictures .* but 12 times_s"),
        (["004.png"], ["013.png"], r"after 003\.png comes 005\.png"),
        (["012.png"], ["0001.png"], r"0001\.png and 001\.png have the same number"),
        (["012.png"], ["001.jpg"], r"001\.jpg and 001\.png have the same number"),
        (TWELVE, [], "holds 0 pictures"),
    ],
)
def test_other_pictures_than_times_are_refused(tmp_path, remove, add, message):
    folder = grey_pictures(tmp_path / "a", TWELVE)
    for name in remove:
        (folder / name).unlink()
    for name in add:
        write_picture(folder / name, np.full((24, 32, 3), 255, np.uint8))
    with pytest.raises(ValueError, match=message):
        Recording(folder)


def test_a_video_with_more_or_fewer_images_than_times_is_refused(rng, tmp_path):
    samples = recorded(tmp_path / "a", rng, count=4)
    imageio.mimwrite(tmp_path / "b.mp4", [s.image for s in samples], fps=30, macro_block_size=1)
    content = json.loads((tmp_path / "a" / "camera.json").read_text())
    for count in (3, 5):
        times = {"times_s": [number / 30 for number in range(count)]}
        lacking = {name: value for name, value in content.items() if name != "poses"}
        (tmp_path / "b.json").write_text(json.dumps(lacking | times))
        with pytest.raises(ValueError, match=rf"b\.mp4 holds 4 images, .*b\.json has {count}"):
            Recording(tmp_path / "b.mp4")


FAR, TURNED = np.eye(4).tolist(), np.diag([1.0, -1.0, 1.0, 1.0]).tolist()
FAR[2][3] = 300.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("intrinsics", [30, 0, 16, 0, 30, 12, 0, 0, 1], "expected 3 x 3 numbers, got 9 numbers"),
        ("intrinsics", None, "expected 3 x 3 numbers"),
        ("distortion", None, "a flat list"),
        ("distortion", [0.1] * 7, "7 of them"),
        ("size", 32, "size: expected 2 numbers, got one number"),
        ("times_s", [0.0, 0.1, 0.1], "entry 2 is 0.1 after 0.1"),
        ("times_s", [0.0, None, 0.2], "times_s: a number is missing"),
        ("times_s", [0.0, 50.0, 100.0], "they are in seconds"),
        ("times_s", [], "one time per picture"),
        ("poses", [FAR] * 3, r"poses\[0\]: 300 m away, at most 10 m"),
        ("poses", [TURNED] * 3, "is no rotation"),
        ("poses", [np.eye(4).tolist()] * 3, "behind the camera"),
        ("poses", [np.eye(4).tolist()] * 2, r"one 4x4 matrix per image \(3\), got 2 poses"),
        ("poses", [[1.0] * 16] * 3, "expected 4 x 4 numbers, got 16 numbers"),
    ],
)
def test_a_camera_file_that_cannot_be_is_refused_by_key(rng, tmp_path, key, value, message):
    recorded(tmp_path / "a", rng)
    path = tmp_path / "a" / "camera.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=message) as caught:
        Recording(tmp_path / "a")
    assert str(path) in str(caught.value) and key in str(caught.value)


def test_a_camera_file_with_a_missing_key_or_broken_json_is_refused(rng, tmp_path):
    recorded(tmp_path / "a", rng)
    path = tmp_path / "a" / "camera.json"
    path.write_text('{"size": [32, 24]}')
    with pytest.raises(ValueError, match=r"camera\.json lacks intrinsics, times_s"):
        Recording(tmp_path / "a")
    path.write_text('{"size": [32, 24], }')
    with pytest.raises(ValueError, match=r"camera\.json is no JSON, line 1"):
        Recording(tmp_path / "a")


def test_frames_must_follow_each_other_in_time(frame, tmp_path):
    recorder = FrameRecorder(tmp_path)
    recorder.write(frame)
    with pytest.raises(ValueError, match=r"an image of 1\.5 s after one of 1\.5 s"):
        recorder.write(frame)
    with pytest.raises(FileExistsError, match="interrupted"):
        FrameRecorder(tmp_path)


def test_a_camera_that_changes_cannot_be_recorded(frame, tmp_path):
    recorder = FrameRecorder(tmp_path)
    recorder.write(frame)
    with pytest.raises(ValueError, match="changed"):
        recorder.write(Frame(frame.image[:100], frame.intrinsics, 0.0))
    with pytest.raises(ValueError, match="nothing"):
        FrameRecorder(tmp_path / "b").close()
    assert not (tmp_path / "b").exists()  # a camera that never came leaves no folder


def test_without_the_driver_an_oak_camera_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "depthai", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package depthai.*'oak'") as caught:
        oak.OakCamera()
    assert caught.value.name == "depthai"


def test_without_a_device_an_oak_camera_fails_at_once(monkeypatch):
    def wait_forever():
        raise AssertionError("opening a pipeline without a device hangs for 11 s")

    device = SimpleNamespace(getAllAvailableDevices=list)
    monkeypatch.setitem(
        sys.modules, "depthai", SimpleNamespace(Device=device, Pipeline=wait_forever)
    )
    with pytest.raises(ConnectionError, match="no OAK camera"):
        oak.OakCamera()
