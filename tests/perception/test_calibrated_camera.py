"""From a camera that films a board to frames a session measures with: nothing gets lost between."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from filmed_board import BOARD, CAMERA, SIZE, board_image, poses

from perception.calibration.file import CalibratedRig, load_rig, save_rig
from perception.calibration.pictures import read_views, take_pictures
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
    return poses(12, np.random.default_rng(0))


def test_only_pictures_that_differ_of_a_board_held_still_are_kept(boards, tmp_path):
    said: list[str] = []
    take_pictures(Films(boards), BOARD, tmp_path, 6, said.append)
    assert len(list(tmp_path.glob("*.png"))) == len(said) == 6
    views, size = read_views(tmp_path, BOARD)
    assert (len(views), size) == (6, SIZE)
    with pytest.raises(ValueError, match="holds pictures already"):
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


def test_a_damaged_calibration_is_refused(tmp_path):
    path = tmp_path / "rig.json"
    with pytest.raises(FileNotFoundError, match=r"calibrate_camera\.py makes one"):
        load_rig(path)
    save_rig(path, CalibratedRig(CAMERA, (0.1, 0.2), SIZE, 0.2))
    whole = json.loads(path.read_text())
    assert load_rig(path).distortion == (0.1, 0.2) and load_rig(path).T_hand_camera is None
    for name, value in (
        ("intrinsics", [[1.0]]),
        ("size", None),
        ("T_hand_camera", np.full((4, 4), np.nan).tolist()),
        ("oak", {"size": [480, 640], "zoom": 2}),
    ):
        path.write_text(json.dumps(whole | {name: value}))
        with pytest.raises(ValueError, match="is no calibration of a camera"):
            load_rig(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is no calibration of a camera"):
        load_rig(path)
