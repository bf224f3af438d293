"""Recordings that are played, judged and filmed, with a detector that knows the truth."""

import json
from dataclasses import replace

import imageio.v2 as imageio
import numpy as np
import pytest
from knowing_detector import (
    CAMERA,
    FRAMES,
    RATE_HZ,
    SMALL,
    KnowingDetector,
    located,
    marked_frame,
    truth,
)

from perception.cameras.recording import FrameRecorder, Recording
from perception.cube import cube_corners
from perception.detector.config import PRESETS
from perception.detector.files import DetectorFile
from perception.detector.network import build_network
from perception.geometry import project
from perception.pose.projection import pose_error
from perception.pose.solver import Corners, solve_pose
from perception.report.evaluation import tracker_config
from perception.report.film import film
from perception.report.mishaps import MistakenDetector, wrong_labels
from perception.report.overlay import FOUND, TRUTH
from perception.report.sequences import SequenceConfig, play, summarize_sequence
from perception.tracking.filter import GATE_997, LOWPASS, FilterConfig
from perception.tracking.tracker import CubeTracker


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def eyes(rng):
    """A detector that finds the cube's corners by the marks a frame carries at its pixels."""
    detector = KnowingDetector(rng)
    detector.view = lambda image, _: located(image)
    return detector


@pytest.fixture
def recording(tmp_path):
    recorder = FrameRecorder(tmp_path / "spin")
    for k in range(FRAMES):
        recorder.write(marked_frame(k / RATE_HZ), truth(k / RATE_HZ))
    recorder.close()
    return tmp_path / "spin"


def test_a_sequence_is_judged_at_the_moment_of_use(eyes, recording):
    config = SequenceConfig(latency_s=0.05, dropout=0.15)
    records, costs_ms = play(Recording(recording), CubeTracker(eyes, SMALL), config)
    numbers = summarize_sequence(records, costs_ms)
    assert numbers["lost_rate"] == 0.0
    assert numbers["rotation_deg_mean"] < 5.0
    assert 0.05 < numbers["age_ms_mean"] / 1e3 < 0.2  # never younger than the latency
    assert numbers["quarter_turns"] == numbers["true_quarter_turns"] == 2
    assert 0.7 * FRAMES < len(costs_ms) < FRAMES


@pytest.mark.parametrize("gated", [True, False])
def test_faces_taken_for_others_are_kept_out_by_the_gate(eyes, recording, gated):
    """Without the gate (the negative control) they do harm, so they are outliers indeed."""
    mistaken = MistakenDetector(eyes, 0.1, np.random.default_rng(0))
    gate = GATE_997 if gated else np.inf
    config = replace(SMALL, filter=FilterConfig(gate=gate))
    played = play(Recording(recording), CubeTracker(mistaken, config), SequenceConfig(dropout=0.0))
    numbers = summarize_sequence(*played)
    assert mistaken.mistakes >= 4
    assert (numbers["rotation_deg_mean"] < 5.0) == gated
    if gated:
        assert numbers["lost_rate"] == 0.0
        assert numbers["quarter_turns"] == numbers["true_quarter_turns"] == 2


def test_a_mistake_is_another_pose_of_the_cube():
    """All 23 wrong orders of the corners are poses, a quarter turn or more away."""
    orders = wrong_labels()
    assert orders.shape == (23, 8) and len(np.unique(orders, axis=0)) == 23
    uv, _ = project(cube_corners(), CAMERA, truth(0.0))
    for order in orders:
        corners = Corners.certain(uv[order], np.tile(0.1 * np.eye(2), (8, 1, 1)))
        result = solve_pose(corners, cube_corners(), CAMERA)
        assert result.ok
        apart = pose_error(result.T_camera_cube, truth(0.0))
        assert np.linalg.norm(apart[:3]) < 1e-3 and np.linalg.norm(apart[3:]) > np.pi / 2 - 1e-3


def test_a_rate_of_outliers_must_be_one(eyes, rng):
    with pytest.raises(ValueError, match="between 0 and 1"):
        MistakenDetector(eyes, 10.0, rng)


def test_a_blind_tracker_is_judged_lost(eyes, recording):
    eyes.blind = True
    records, costs_ms = play(Recording(recording), CubeTracker(eyes, SMALL), SequenceConfig())
    numbers = summarize_sequence(records, costs_ms)
    assert numbers["lost_rate"] == 1.0 and numbers["rotation_deg_mean"] is None


def test_a_film_shows_every_frame_at_its_own_rate(eyes, recording, tmp_path):
    path = tmp_path / "film.mp4"
    posed = film(Recording(recording), CubeTracker(eyes, SMALL), path)
    assert posed == pytest.approx(1 - 1 / FRAMES)  # all but the first frame
    video = imageio.get_reader(path)
    assert video.get_meta_data()["fps"] == pytest.approx(RATE_HZ, abs=0.01)
    assert sum(1 for _ in video) == FRAMES


def test_a_film_says_which_cube_is_true(eyes, recording, tmp_path):
    """The names at the top are in the colours of the cubes: measured yellow, truth green."""
    camera = json.loads((recording / "camera.json").read_text())
    for name, shows_truth in (("with", True), ("without", False)):
        if not shows_truth:
            del camera["poses"]
            (recording / "camera.json").write_text(json.dumps(camera))
        path = tmp_path / f"{name}.mp4"
        film(Recording(recording), CubeTracker(eyes, SMALL), path)
        legend = (
            np.stack([image[:24] for image in imageio.get_reader(path)][5:])
            .reshape(-1, 3)
            .astype(int)
        )
        near = [np.abs(legend - colour).max(axis=1).min() < 90 for colour in (FOUND, TRUTH)]
        assert near == [True, shows_truth]


def test_pictures_of_odd_sizes_can_be_filmed(eyes, tmp_path):
    recorder = FrameRecorder(tmp_path / "odd")
    for k in range(3):
        frame = marked_frame(k / RATE_HZ)
        recorder.write(replace(frame, image=frame.image[:-1, :-1]))
    recorder.close()
    film(Recording(tmp_path / "odd"), CubeTracker(eyes, SMALL), tmp_path / "odd.mp4")
    height, width = Recording(tmp_path / "odd").read().image.shape[:2]
    assert height % 2 and width % 2
    shown = imageio.get_reader(tmp_path / "odd.mp4").get_data(0).shape
    assert shown == (height - 1, width - 1, 3)


def test_a_film_that_cannot_be_written_is_refused_before_it_is_made(eyes, recording, tmp_path):
    tracker = CubeTracker(eyes, SMALL)
    with pytest.raises(ValueError, match=r"a\.jpg: the name must end in \.mp4"):
        film(Recording(recording), tracker, tmp_path / "a.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        film(Recording(recording), tracker, tmp_path / "file" / "a.mp4")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latency_s": -0.1}, r"latency \(-0.1 s\) must be 0 to 2"),
        ({"latency_s": 50.0}, r"latency \(50.0 s\) must be 0 to 2"),
        ({"dropout": 1.0}, r"dropout \(1.0\)"),
        ({"dropout": float("nan")}, r"dropout \(nan\)"),
        ({"outliers": 2.0}, r"outliers \(2.0\)"),
        ({"query_rate_hz": 0.0}, "query_rate_hz"),
    ],
)
def test_an_impossible_way_to_play_a_recording_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SequenceConfig(**settings)


def test_a_recording_that_cannot_be_judged_is_named(eyes, recording):
    tracker = CubeTracker(eyes, SMALL)
    with pytest.raises(ValueError, match=r"spin is .* s long; poses are judged after the first 90"):
        play(Recording(recording), tracker, SequenceConfig(settle_s=90.0))
    camera = json.loads((recording / "camera.json").read_text())
    del camera["poses"]
    (recording / "camera.json").write_text(json.dumps(camera))
    with pytest.raises(ValueError, match="spin has no true poses"):
        play(Recording(recording), tracker, SequenceConfig())


def test_the_papers_filter_can_be_chosen():
    """It expects less motion than the cube makes, so its poses are late."""
    file = DetectorFile(build_network(PRESETS["tiny"]), PRESETS["tiny"], (240, 320))
    assert tracker_config(file, lowpass=True).filter == LOWPASS
    assert tracker_config(file).filter == FilterConfig() != LOWPASS
