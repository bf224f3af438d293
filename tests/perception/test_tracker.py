"""Tracker, pose source, sequence report and film, with a detector that knows the truth."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from drawn_cube import camera_for
from scipy.spatial.transform import Rotation

from perception.cameras.frames import Frame
from perception.cameras.recording import FrameRecorder, Recording
from perception.cube import cube_corners
from perception.detector.detector import Detection, padded_box
from perception.geometry import inverse, project, transform
from perception.pose.projection import pose_error
from perception.pose.solver import Corners, PoseStatus, solve_pose
from perception.report.film import film
from perception.report.mishaps import MistakenDetector, wrong_labels
from perception.report.sequences import SequenceConfig, play, summarize_sequence
from perception.tracking.filter import GATE_997, FilterConfig
from perception.tracking.source import CameraPoseSource, SteppedPoseSource
from perception.tracking.tracker import CubeTracker, Mode, TrackerConfig

RATE_HZ = 30.0
SPIN_RAD_S = 2.4
FRAMES = 66
SMALL = TrackerConfig(detect_size=(60, 80), track_size=(40, 48))
CAMERA = camera_for(160, 120)


def truth(time_s):
    """A cube that spins about the line of sight."""
    turn = Rotation.from_rotvec([0.3, 0.2, 0.0]) * Rotation.from_rotvec([0, 0, SPIN_RAD_S * time_s])
    return transform(np.array([0.01 * np.sin(time_s), 0.0, 0.28]), turn.as_quat())


class KnowingDetector:
    """Measures where the cube is in the view it is given, with noise; the view is all it gets.

    The frame's image carries its time in its first pixels; the camera of the view is worked out
    from the view's place, which the tracker must therefore get right.
    """

    def __init__(self, rng, sigma_px=0.3):
        self.rng, self.sigma_px = rng, sigma_px
        self.view = self.blind = None
        self.asked = []

    def detect(self, image):
        return self._measure(image, "detect")

    def track(self, image, box):
        self.asked.append(box)
        return self._measure(image, "track")

    def _measure(self, image, kind):
        if self.blind:
            return None
        uv = self.view(image, kind)
        uv = uv + self.sigma_px * self.rng.normal(size=(8, 2))
        covariance = np.tile(self.sigma_px**2 * np.eye(2), (8, 1, 1))
        return Detection(
            0.9, padded_box(uv, 0.08), Corners.certain(uv, covariance), np.zeros((28, 28))
        )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def eyes(rng):
    """A detector that finds the cube's corners by the marks a frame carries at its pixels."""
    detector = KnowingDetector(rng)
    detector.view = lambda image, _: located(image)
    return detector


GRID = np.stack(np.meshgrid(np.arange(160), np.arange(120)), axis=-1)


def marked_frame(time_s):
    """Every pixel says where it is in the frame, and, in blue, when that was."""
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    image[..., :2] = GRID
    image[..., 2] = round(time_s * RATE_HZ) % 256
    return Frame(image, CAMERA, time_s)


def located(image):
    """Corners in a view of a marked frame, from the marks alone."""
    height, width = image.shape[:2]
    time_s = float(np.median(image[..., 2])) / RATE_HZ
    uv, _ = project(cube_corners(), CAMERA, truth(time_s))
    columns, rows = image[height // 2, :, 0].astype(float), image[:, width // 2, 1].astype(float)
    # Marks are at pixel centres; averaging them over a view's pixel keeps that true.
    x = np.polyval(np.polyfit(columns + 0.5, np.arange(width) + 0.5, 1), uv[:, 0])
    y = np.polyval(np.polyfit(rows + 0.5, np.arange(height) + 0.5, 1), uv[:, 1])
    return np.stack([x, y], axis=1)


def errors(estimate, time_s):
    error = pose_error(estimate.pose, truth(time_s))
    return np.degrees(np.linalg.norm(error[3:])), 1e3 * np.linalg.norm(error[:3])


def test_it_detects_first_then_tracks_and_looks_at_everything_now_and_then(eyes):
    tracker = CubeTracker(eyes, TrackerConfig(**vars(SMALL) | {"detect_every": 5}))
    modes = [tracker.see(marked_frame(k / RATE_HZ)).mode for k in range(20)]
    assert modes[:2] == [Mode.DETECT] * 2  # a track begins with two sightings that agree
    assert modes[2:7] == [Mode.TRACK] * 5 and modes[7] is Mode.DETECT
    assert modes[8:13] == [Mode.TRACK] * 5 and modes[13] is Mode.DETECT


def test_poses_are_right_in_both_modes(eyes):
    tracker = CubeTracker(eyes, SMALL)
    for k in range(60):
        sighting = tracker.see(marked_frame(k / RATE_HZ))
        assert sighting.result.status is PoseStatus.OK
    estimate = tracker.pose_at(59 / RATE_HZ)
    rotation_deg, position_mm = errors(estimate, 59 / RATE_HZ)
    assert rotation_deg < 4.0 and position_mm < 8.0  # of a cube 8 pixels wide in the small views
    assert estimate.spin_rad_s[2] == pytest.approx(SPIN_RAD_S, abs=0.5)
    assert estimate.age_s == pytest.approx(0.0, abs=1e-9)


def test_the_box_it_tracks_in_is_where_the_cube_is(eyes):
    tracker = CubeTracker(eyes, SMALL)
    for k in range(30):
        frame = marked_frame(k / RATE_HZ)
        tracker.see(frame)
    box = eyes.asked[-1]
    assert 0 <= box[0] < box[2] <= 48 and 0 <= box[1] < box[3] <= 40


def test_poses_come_in_the_frame_that_was_asked_for(eyes):
    T_hand_camera = transform(  # a frame
        np.array([0.0, 0.1, -0.3]), Rotation.from_euler("xyz", [0.3, 0.1, 0.7]).as_quat()
    )
    tracker = CubeTracker(eyes, SMALL, T_hand_camera)
    for k in range(30):
        tracker.see(marked_frame(k / RATE_HZ))
    estimate = tracker.pose_at(29 / RATE_HZ)
    in_camera = inverse(T_hand_camera) @ estimate.pose
    error = pose_error(in_camera, truth(29 / RATE_HZ))
    assert np.degrees(np.linalg.norm(error[3:])) < 4.0
    # Depth is known worst, wherever the camera looks from.
    depth = T_hand_camera[:3, 2]
    values, vectors = np.linalg.eigh(estimate.covariance[:3, :3])
    assert abs(vectors[:, -1] @ depth) > 0.9 and values[-1] > 4 * values[0]


def test_a_cube_that_disappears_is_lost_and_found(eyes):
    tracker = CubeTracker(eyes, SMALL)
    for k in range(15):
        tracker.see(marked_frame(k / RATE_HZ))
    eyes.blind = True
    blind = [tracker.see(marked_frame(k / RATE_HZ)) for k in range(15, 30)]
    assert {sighting.result.status for sighting in blind} == {PoseStatus.NO_CUBE}
    # What is not found near the prediction is looked for everywhere in the next image.
    assert [sighting.mode for sighting in blind[:4]] == [Mode.TRACK, Mode.DETECT] * 2
    assert tracker.pose_at(29 / RATE_HZ) is None
    eyes.blind = False
    modes = [tracker.see(marked_frame(k / RATE_HZ)).mode for k in range(30, 33)]
    assert modes == [Mode.DETECT, Mode.DETECT, Mode.TRACK]
    assert tracker.pose_at(32 / RATE_HZ) is not None


class Frames:
    """A camera whose frames are there already."""

    def __init__(self, frames):
        self.frames, self.closed = iter(frames), False

    def read(self):
        return next(self.frames, None)

    def close(self):
        self.closed = True


def test_a_pose_source_answers_while_frames_come_in(eyes):
    camera = Frames([marked_frame(k / RATE_HZ) for k in range(20)])
    seen, done = [], threading.Event()

    def on_frame(frame, sighting):
        seen.append(frame.time_s)
        if len(seen) == 20:
            done.set()

    tracker = CubeTracker(eyes, SMALL)
    with CameraPoseSource(
        camera, tracker, clock=lambda: 20 / RATE_HZ, on_frame=on_frame, silence_s=None
    ) as source:
        assert done.wait(timeout=30.0)
        estimate = source.latest()
        source.reset()
        assert source.latest() is None
    assert estimate is not None and estimate.age_s == pytest.approx(1 / RATE_HZ)
    np.testing.assert_allclose(estimate.position_m, estimate.pose[:3, 3])
    assert source.frames == 20 and camera.closed


@pytest.mark.parametrize("live", [True, False])
def test_a_camera_that_ends_is_reported_and_a_recording_that_ends_is_not(eyes, live):
    camera = Frames([marked_frame(k / RATE_HZ) for k in range(3)])
    options = {} if live else {"silence_s": None}
    with CameraPoseSource(camera, CubeTracker(eyes, SMALL), lambda: 1.0, **options) as source:
        source._thread.join(timeout=30.0)
        assert source.frames == 3
        if live:
            with pytest.raises(ConnectionError, match="no more frames"):
                source.latest()
        else:
            source.latest()


def test_a_camera_that_falls_silent_is_reported_and_one_that_is_slow_is_not(eyes):
    now, waits, goes_on = [0.0], threading.Event(), threading.Event()

    class Hanging(Frames):
        def read(self):
            if (frame := super().read()) is not None:
                return frame
            waits.set()
            goes_on.wait(timeout=30.0)
            return None

    class Slow(Hanging):
        """Is still beginning."""

    for kind, frames, silent in ((Hanging, 3, True), (Slow, 0, False)):
        now[0] = 0.0
        waits.clear()
        goes_on.clear()
        camera = kind([marked_frame(k / RATE_HZ) for k in range(frames)])
        with CameraPoseSource(camera, CubeTracker(eyes, SMALL), lambda: now[0]) as source:
            assert waits.wait(timeout=30.0)
            now[0] = 1.9
            source.latest()
            now[0] = 2.1
            if silent:
                with pytest.raises(ConnectionError, match=r"no frame for 2\.1 s"):
                    source.latest()
            else:
                source.latest()
            goes_on.set()


def test_a_tracker_that_takes_long_is_no_silent_camera(eyes):
    now, looking, goes_on = [0.0], threading.Event(), threading.Event()

    def on_frame(frame, sighting):
        looking.set()
        goes_on.wait(timeout=30.0)

    frames = Frames([marked_frame(k / RATE_HZ) for k in range(3)])
    tracker = CubeTracker(eyes, SMALL)
    with CameraPoseSource(frames, tracker, lambda: now[0], on_frame=on_frame) as source:
        assert looking.wait(timeout=30.0)
        now[0] = 10.0
        source.latest()
        goes_on.set()


def test_a_camera_that_fails_is_reported_to_whoever_asks(eyes):
    class Broken(Frames):
        def read(self):
            raise OSError("unplugged")

    with CameraPoseSource(Broken([]), CubeTracker(eyes, SMALL)) as source:
        source._thread.join(timeout=10.0)
        with pytest.raises(RuntimeError, match="has failed") as caught:
            source.latest()
    assert "unplugged" in str(caught.value.__cause__)


def test_on_a_simulated_clock_pictures_are_taken_in_time_and_count_late(eyes):
    now, taken = [0.0], []

    class Live:
        def read(self):
            taken.append(now[0])
            return marked_frame(now[0])

        def close(self):
            pass

    source = SteppedPoseSource(
        Live(), CubeTracker(eyes, SMALL), lambda: now[0], rate_hz=10.0, latency_s=0.15
    )
    ages = []
    for step in range(40):
        now[0] = step / 20.0
        if (estimate := source.latest()) is not None:
            ages.append(estimate.age_s)
            distance, turn = np.split(pose_error(estimate.pose, truth(now[0])), 2)
            assert step < 20 or (np.linalg.norm(distance) < 0.01 and np.linalg.norm(turn) < 0.2)
    np.testing.assert_allclose(taken, np.arange(20) / 10.0)
    assert min(ages) >= 0.15 - 1e-9 and max(ages) <= 0.2 + 1e-9
    source.reset()
    assert source.latest() is None


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


def test_a_film_shows_every_frame(eyes, recording, tmp_path):
    path = tmp_path / "film.mp4"
    posed = film(Recording(recording), CubeTracker(eyes, SMALL), path)
    assert posed == pytest.approx(1 - 1 / FRAMES)  # all but the first frame
    assert path.stat().st_size > 1000
