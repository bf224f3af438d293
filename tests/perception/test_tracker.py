"""Tracker and pose sources, with a detector that knows the truth."""

import threading

import numpy as np
import pytest
from knowing_detector import (
    RATE_HZ,
    SMALL,
    SPIN_RAD_S,
    KnowingDetector,
    located,
    marked_frame,
    truth,
)
from scipy.spatial.transform import Rotation

from perception.geometry import inverse, transform
from perception.pose.projection import pose_error
from perception.pose.solver import PoseStatus
from perception.tracking.source import CameraPoseSource, SteppedPoseSource
from perception.tracking.tracker import CubeTracker, Mode, TrackerConfig


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def eyes(rng):
    """A detector that finds the cube's corners by the marks a frame carries at its pixels."""
    detector = KnowingDetector(rng)
    detector.view = lambda image, _: located(image)
    return detector


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
