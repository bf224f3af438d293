"""From a camera that films a board to frames a session measures with: nothing gets lost between."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filmed_board import BOARD, CAMERA, SIZE, board_image, poses

from perception.calibration.file import CalibratedRig, load_rig, load_settings, save_rig
from perception.calibration.pictures import read_views, take_pictures
from perception.camera_checks import HAND_REACH_M
from perception.camera_checks import pose as checked_pose
from perception.cameras import oak
from perception.cameras.calibrated import CalibratedCamera
from perception.cameras.frames import Frame
from perception.cameras.oak import OakSettings
from perception.geometry import transform
from perception.pose.projection import pose_error

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "calibrate_camera.py"
DEVICE = np.diag([700.0, 700.0, 1.0])
"""What a camera says of itself, wrongly."""


class Films:
    """A camera before which boards are held, each for some frames, after nothing."""

    def __init__(self, boards: list[np.ndarray], frames: int = 3) -> None:
        held = [board_image(pose) for pose in boards for _ in range(frames)]
        self._images = iter([np.full((*SIZE, 3), 128, np.uint8), *held])

    def read(self) -> Frame | None:
        image = next(self._images, None)
        return None if image is None else Frame(image, DEVICE, 0.0)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def boards() -> list[np.ndarray]:
    return poses(20, np.random.default_rng(0))


def test_only_pictures_that_differ_of_a_board_held_still_are_kept(boards, tmp_path):
    said: list[str] = []
    take_pictures(Films(boards), BOARD, tmp_path, 6, said.append)
    assert len(list(tmp_path.glob("*.png"))) == sum("of 6 pictures" in text for text in said) == 6
    seen = read_views(tmp_path, BOARD)
    assert (len(seen.views), seen.size) == (6, SIZE)
    with pytest.raises(FileExistsError, match=r"holds pictures already \(000\.png"):
        take_pictures(Films(boards), BOARD, tmp_path, 6, said.append)
    with pytest.raises(ConnectionError, match="ended after 1 of 2 pictures"):
        take_pictures(Films(boards[:1]), BOARD, tmp_path / "few", 2, said.append)
    with pytest.raises(ConnectionError, match="ended after 0 of 2 pictures"):
        take_pictures(Films(boards, frames=1), BOARD, tmp_path / "moving", 2, said.append)


def run_script(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["calibrate_camera.py", *map(str, arguments)])
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_session_measures_with_what_the_board_showed(boards, tmp_path, monkeypatch):
    opened: list[OakSettings] = []

    def open_camera(settings: OakSettings, **_: object) -> Films:
        opened.append(settings)
        return Films(boards)

    monkeypatch.setattr(oak, "OakCamera", open_camera)
    images, fixture, out = tmp_path / "images", tmp_path / "fixture", tmp_path / "rig.json"
    run_script(monkeypatch, "--capture", 8, "--images", images, "lens=140")
    run_script(monkeypatch, "--capture", 1, "--images", fixture, "lens=140")
    place = ["--fixture", fixture, "--hand_board", 0, 0, -0.1, 0, 0, 0, 1]
    run_script(monkeypatch, "--images", images, *place, "--out", out)
    assert [settings.lens for settings in opened] == [140, 140]

    rig = load_rig(out)
    assert rig.oak == OakSettings(lens=140)
    assert rig.T_hand_camera is not None and rig.spread_m is None
    truth = transform(np.array([0, 0, -0.1]), np.array([0, 0, 0, 1.0])) @ np.linalg.inv(boards[0])
    assert np.linalg.norm(pose_error(rig.T_hand_camera, truth)[:3]) < 0.003
    camera = CalibratedCamera(Films(boards), rig.intrinsics, rig.distortion, rig.size)
    frame = camera.read()
    assert frame is not None and frame.distortion == rig.distortion
    np.testing.assert_allclose(frame.intrinsics, CAMERA, atol=4.0)

    (fixture / "oak.json").unlink()
    with pytest.raises(SystemExit, match="not of a camera set alike"):
        run_script(monkeypatch, "--images", images, *place, "--out", out)


def test_pictures_of_another_size_are_refused(boards):
    camera = CalibratedCamera(Films(boards), CAMERA, (), (1080, 1920))
    with pytest.raises(ValueError, match=r"\(480, 640\).*calibrated with \(1080, 1920\)"):
        camera.read()


CALIBRATION = {
    "intrinsics": [[520.0, 0.0, 326.0], [0.0, 515.0, 237.0], [0.0, 0.0, 1.0]],
    "distortion": [0.1, 0.2, 0.0, 0.0],
    "size": [480, 640],
    "residual_px": 0.2,
}
FAR = np.eye(4)
FAR[0, 3] = 300.0
MIRROR = np.diag([1.0, 1.0, -1.0, 1.0])


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "rig.json"
    with pytest.raises(FileNotFoundError, match=r"calibrate_camera\.py makes one"):
        load_rig(path)
    rig = CalibratedRig(CAMERA, (0.1, 0.2, 0.0, 0.0), SIZE, 0.2, deviations={"fx": 1.5})
    save_rig(path, rig)
    found = load_rig(path)
    assert found.distortion == rig.distortion and found.T_hand_camera is None
    assert found.deviations == {"fx": 1.5}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("intrinsics", [520.0, 0, 326, 0, 515, 237, 0, 0, 1], "expected 3 x 3 numbers, got 9"),
        ("intrinsics", [[0.0, 0, 0], [0, 0, 0], [0, 0, 1]], "focal lengths of 0 and 0 px"),
        ("intrinsics", [[1.1, 0, 0.5], [0, 1.1, 0.5], [0, 0, 1]], "640 wide have 64 to 12800 px"),
        ("intrinsics", [[520, 0, 900], [0, 515, 237], [0, 0, 1]], "principal point"),
        ("intrinsics", [[520, None, 3], [0, 515, 237], [0, 0, 1]], "missing or not finite"),
        ("intrinsics", [[520, 0, 3], [0, 515]], "expected 3 x 3 numbers"),
        ("intrinsics", [[520, 0, 3], [0, 515, 3], [9, 9, 9]], "must be"),
        ("distortion", [[0.1, 0.2, 0, 0, 0]], "a flat list"),
        ("distortion", [0.1, 0.2], "2 of them"),
        ("size", None, "size: expected 2 numbers"),
        ("size", [480.5, 640], "two whole numbers"),
        ("residual_px", None, "residual_px"),
        ("T_hand_camera", np.full((4, 4), None).tolist(), "T_hand_camera: a number is missing"),
        ("T_hand_camera", FAR.tolist(), "T_hand_camera: 300 m away, at most 2 m"),
        ("T_hand_camera", MIRROR.tolist(), "no rotation"),
        ("oak", {"size": [480, 640], "zoom": 2}, "oak: zoom unknown"),
        ("oak", [1], "oak must hold"),
        ("oak", vars(OakSettings()) | {"rate_hz": 0}, r"oak: rate_hz \(0.0\) must be 1 to 120 Hz"),
        ("oak", vars(OakSettings()) | {"lens": None}, "oak: lens: .*missing"),
    ],
)
def test_a_damaged_calibration_is_refused_by_file_and_key(tmp_path, key, value, message):
    path = tmp_path / "rig.json"
    path.write_text(json.dumps(CALIBRATION))
    load_rig(path)
    path.write_text(json.dumps(CALIBRATION | {key: value}))
    with pytest.raises(ValueError, match=message) as caught:
        load_rig(path)
    assert str(path) in str(caught.value) and key in str(caught.value)


def test_files_that_are_no_calibration_say_where(tmp_path):
    path = tmp_path / "rig.json"
    for content, message in (
        (b'{"size": [480,\n oops', r"rig\.json is no JSON, line 2, column 2"),
        (b"[1]", "holds no JSON object"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b"{}", "lacks intrinsics, distortion, size, residual_px"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_rig(path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((float("nan"), 0, 0, 0, 0, 0, 1), "--hand_board: a number is missing or not finite"),
        ((0, 0, -0.1, 0, 0, 0, 0), "--hand_board: .*quaternion xyzw of length 1, not 0"),
        ((0, 0, -0.1, 1, 1, 1, 1), "--hand_board: .*not 2"),
        ((0, 0, -100, 0, 0, 0, 1), "--hand_board: 100 m away, at most 2 m"),
    ],
)
def test_an_impossible_place_of_the_board_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        checked_pose(numbers, "--hand_board", HAND_REACH_M)


def test_boards_seen_from_the_front_only_are_not_kept(tmp_path):
    rng = np.random.default_rng(0)
    frontal = []
    for _ in range(8):
        pose = transform(np.array([*rng.uniform(-0.03, 0.03, 2), 0.25]), np.array([0, 0, 0, 1.0]))
        pose[:3, 3] -= np.array([BOARD.columns, BOARD.rows, 0]) * BOARD.square_m / 2
        frontal.append(pose)
    said: list[str] = []
    with pytest.raises(ConnectionError, match="ended after 1 of 3 pictures"):
        take_pictures(Films(frontal), BOARD, tmp_path, 3, said.append)
    assert any("tilt the board to another side" in text for text in said[1:])


def test_a_camera_that_sees_another_board_says_so(boards, tmp_path):
    said: list[str] = []
    other = replace(BOARD, dictionary="5X5_50")
    with pytest.raises(ConnectionError, match="ended after 0 of 3 pictures"):
        take_pictures(Films(boards[:1], frames=70), other, tmp_path, 3, said.append)
    (text,) = said
    assert "no board is found" in text and "pass --dictionary 4X4_" in text


def test_pictures_taken_before_keep_their_settings(boards, tmp_path, monkeypatch):
    monkeypatch.setattr(oak, "OakCamera", lambda settings, **_: Films(boards))
    run_script(monkeypatch, "--capture", 2, "--images", tmp_path, "lens=140")
    with pytest.raises((FileExistsError, SystemExit), match="holds pictures already"):
        run_script(monkeypatch, "--capture", 2, "--images", tmp_path, "lens=10")
    assert load_settings(tmp_path) == OakSettings(lens=140)
