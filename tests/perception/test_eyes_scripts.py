"""What a user can do wrong with the eyes' scripts ends in what was wrong, where, what to do."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from perception.cameras.frames import Frame
from perception.cameras.recording import FrameRecorder

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = ROOT / "assets" / "detector.pt"
ERRORS = (ValueError, OSError, ImportError, RuntimeError)


@pytest.fixture
def message(monkeypatch, capsys):
    """Runs a script that must fail; its message, whoever turns the error into one line."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises((SystemExit, *ERRORS)) as caught:
            runpy.run_path(str(ROOT / "scripts" / name), run_name="__main__")
        text = str(caught.value)
        if text == "2":  # a flag that argparse itself refused
            text = capsys.readouterr().err
        assert text.partition("error: ")[2].count("\n") < 3
        return text

    return run


@pytest.fixture
def recording(tmp_path):
    recorder = FrameRecorder(tmp_path / "recording")
    camera = np.array([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]])
    for number in range(2):
        recorder.write(Frame(np.zeros((60, 80, 3), np.uint8), camera, 0.05 * number))
    recorder.close()
    return tmp_path / "recording"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give --images"),
        (["--print", "{}/board.pdf"], r"board.pdf: the name of a picture must end in .png"),
        (["--print", "{}/file/board.png"], "file"),
        (["--print", "{}/b.png", "--columns", 30, "--rows", 30], "needs 450 markers"),
        (["--print", "{}/b.png", "--dictionary", "4X5_100"], "'4X5_100' is not one of 4X4_100"),
        (["--images", "{}/none"], "no folder of pictures at"),
        (["--images", "{}", "rate_hz=0"], "rate_hz (0.0) must be 1 to 120 Hz"),
        (["--images", "{}", "--fixture", "{}"], "--fixture and --hand_board belong together"),
        (
            ["--images", "{}", "--fixture", "{}", "--hand_board", 0, 0, "nan", 0, 0, 0, 1],
            "--hand_board: a number is missing or not finite",
        ),
        (
            ["--images", "{}", "--fixture", "{}", "--hand_board", 0, 0, 300, 0, 0, 0, 1],
            "--hand_board: 300 m away, at most 2 m can be",
        ),
        (["--images", "{}", "--capture", 2], "needs the package depthai"),
    ],
)
def test_calibrating_says_what_is_wrong(message, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.setitem(sys.modules, "depthai", None)
    (tmp_path / "file").write_text("")
    filled = [str(argument).replace("{}", str(tmp_path)) for argument in arguments]
    assert expected in message("calibrate_camera.py", *filled)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "nothing to judge"),
        (["--video", "{}/a.mp4", "--shards", "{}"], "--video and --replay are"),
        (["--sequence", "{}/recording", "--replay", "{}/a.csv"], "a replay ends in one of .npz"),
        (["--sequence", "{}/none"], "no recording at"),
        (["--sequence", "{}/recording", "--video", "{}/a.txt"], "a video ends in one of .mp4"),
        (["--sequence", "{}/recording", "--figure", "{}/a.xyz"], "a figure ends in one of .png"),
        (["--sequence", "{}/recording", "--json", "{}"], "is a folder; name a file"),
        (["--sequence", "{}/recording", "--json", "{}/file/a.json"], "file"),
        (["--sequence", "{}/recording"], "recording has no true poses"),
        (["--sequence", "{}/recording", "--latency", -1], "latency (-1.0 s) must be 0 to 2"),
        (["--sequence", "{}/broken"], "camera.json is no JSON, line 1"),
        (["--real", "{}/nothing"], "no recording at"),
        (["--real", "{}/recording", "--second", "{}/recording"], "need each other"),
        (["--sequence", "{}/recording", "--turns", 2], "are of --real pictures"),
        (["--shards", "{}", "--threads", 0], "--threads"),
        (["--shards", "{}", "--images", 0], "--images"),
        (["--shards", "{}"], "index.json missing"),
    ],
)
def test_judging_says_what_is_wrong(message, recording, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "camera.json").write_text('{"size": [80, 60],}')
    filled = [str(argument).replace("{}", str(tmp_path)) for argument in arguments]
    assert expected in message("evaluate_pose.py", "--detector", DETECTOR, *filled)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("train_detector.py", [], "give --data FOLDER"),
        ("train_detector.py", ["--data", "{}"], "index.json missing"),
        (
            "train_detector.py",
            ["--data", "{}", "--threads", 0],
            "--threads: must be a whole number of",
        ),
        ("train_detector.py", ["--resume", "latest", "--out", "{}"], "no run to resume under"),
        ("train_detector.py", ["--resume", "{}"], "it has no config.yaml"),
        ("render_keypoints.py", ["--out", "{}", "--verify"], "index.json missing"),
        ("render_keypoints.py", ["--out", "{}/a", "--train", -1], "at least 0 and 1 in all"),
        ("render_keypoints.py", ["--out", "{}/a", "--per_shard", 0], "per shard (0)"),
        (
            "render_keypoints.py",
            ["--out", "{}/a", "--processes", 0],
            "--processes: must be a whole",
        ),
        ("render_keypoints.py", ["--out", "{}/a", "--policy", "{}/no.pt"], "no.pt"),
        ("render_keypoints.py", ["--backgrounds", "{}/no"], "no folder of backgrounds at"),
        ("render_keypoints.py", ["view.width=0"], "view.width (0) must lie in 16 to 4096"),
        (
            "render_keypoints.py",
            ["view.distance_m=[300,300]"],
            "view.distance_m (300.0) must lie in 0.05 to 2",
        ),
        ("render_keypoints.py", ["view.tilt_deg=0"], "view.tilt_deg (0.0) must lie in 1 to 80"),
        ("record_camera.py", ["--out", "{}/recording"], "holds a recording already"),
        ("record_camera.py", ["--out", "{}/a", "--seconds", "nan"], "--seconds (nan) must be"),
        ("record_camera.py", ["--out", "{}/a", "--width", 5000], "this scene draws 1 x 1 to"),
        ("export_detector.py", ["--detector", DETECTOR, "--out", "{}/a.pt"], "end in .onnx"),
        (
            "export_detector.py",
            ["--detector", DETECTOR, "--out", "{}/a.onnx", "--height", 0],
            "--height (0) must be at least 32",
        ),
        ("draw_cube.py", ["--out", "{}/file"], "file is a file; name a folder"),
        ("draw_cube.py", ["--out", "{}/a", "--size_mm", "nan"], "a marked cube nan mm cannot be"),
    ],
)
def test_the_other_scripts_say_what_is_wrong(
    message, recording, tmp_path, name, arguments, expected
):
    (tmp_path / "file").write_text("")
    filled = [str(argument).replace("{}", str(tmp_path)) for argument in arguments]
    assert expected in message(name, *filled)


def test_a_copied_data_set_is_compared_with_its_checksums(monkeypatch, capsys, tmp_path, message):
    from fake_samples import fake_sample

    from perception.shards import shard_name, write_index, write_shard

    path = tmp_path / shard_name("train", 0)
    write_index(tmp_path, {}, [write_shard(path, [fake_sample(0), fake_sample(1)])])
    monkeypatch.setattr(sys, "argv", ["render_keypoints.py", "--verify", "--out", str(tmp_path)])
    runpy.run_path(str(ROOT / "scripts" / "render_keypoints.py"), run_name="__main__")
    assert "2 samples" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    text = message("render_keypoints.py", "--verify", "--out", tmp_path)
    assert "train-000000.tar is missing or damaged" in text


def test_nothing_is_written_before_a_wrong_flag_is_refused(message, recording, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    message("evaluate_pose.py", "--detector", DETECTOR, "--sequence", recording, "--dropout", 2)
    assert sorted(tmp_path.rglob("*")) == before
    assert json.loads((recording / "camera.json").read_text())["size"] == [80, 60]
