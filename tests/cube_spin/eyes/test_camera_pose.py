"""Pictures of the twin lead to its true poses, behind the runner's interface."""

import threading

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.tracking.filter import LOWPASS, FilterConfig
from perception.tracking.shared import SharedFilter
from sernf_isaac.deploy.actor.virtual import VirtualClock
from sernf_isaac.deploy.policy.local import DecisionSettings
from tasks.assets import DEFAULT_DETECTOR, DEFAULT_STUDENT
from tasks.cube_spin.eyes import live
from tasks.cube_spin.eyes.live import (
    CameraReadings,
    camera_poses,
    stepped_camera_poses,
)
from tasks.cube_spin.hand.session import (
    open_virtual_session,
    prepare,
)
from tasks.cube_spin.hand.settings import HandRun, TwinOptions


class Estimate:
    """What a tracker knows."""

    def __init__(self, time_s: float, age_s: float) -> None:
        self.time_s, self.age_s = time_s, age_s
        self.position_m, self.quaternion = np.array([0.0, 0.1, 0.2]), np.array([0, 0, 0, 1.0])


class Tracker:
    """Finds the cube, then loses it."""

    estimate: Estimate | None = None

    def latest(self) -> Estimate | None:
        return self.estimate

    def reset(self) -> None:
        self.estimate = None


def test_a_lost_cube_leaves_a_reading_that_gets_older():
    tracker = Tracker()
    readings = CameraReadings(tracker)  # type: ignore[arg-type]
    assert readings.latest() is None
    tracker.estimate = Estimate(5.0, 0.1)
    first = readings.latest()
    assert first is not None and first.time_s == pytest.approx(4.9)
    tracker.estimate = None
    assert readings.latest() is first
    readings.reset()
    assert readings.latest() is None


class Cut:
    """A camera whose cable is cut after a frame."""

    def __init__(self) -> None:
        self.waits, self.ends = threading.Event(), threading.Event()
        self._frames = iter([object()])

    def read(self) -> object | None:
        if (frame := next(self._frames, None)) is None:
            self.waits.set()
            self.ends.wait(timeout=30.0)
        return frame

    def close(self) -> None:
        pass


class Blind:
    """Sees nothing."""

    def see(self, frame: object) -> None:
        pass

    def pose_at(self, time_s: float) -> None:
        pass


@pytest.mark.parametrize("hand", ["orca", "twin"])
def test_a_real_camera_is_gone_before_the_cube_counts_as_dropped(monkeypatch, hand):
    camera, clock, run = Cut(), VirtualClock(), HandRun(hand=hand, pose="camera", calibration="c")
    monkeypatch.setattr(live, "_eyes", lambda *_, **__: [(camera, Blind())])
    with camera_poses(run, None, clock) as readings:  # type: ignore[arg-type]  # no hand needed
        assert camera.waits.wait(timeout=30.0)
        clock.sleep_until(clock.now() + 0.4 * run.runner.blind_s)
        readings.latest()
        clock.sleep_until(clock.now() + 0.4 * run.runner.blind_s)
        if hand == "orca":
            with pytest.raises(ConnectionError, match="no frame for 0"):
                readings.latest()
        else:
            readings.latest()
        camera.ends.set()


@pytest.mark.slow
def test_a_student_drives_the_twin_by_pictures_alone(tmp_path):
    run = HandRun(
        pose="camera",
        detector=str(DEFAULT_DETECTOR),
        decisions=DecisionSettings(candidates=1),
        twin=TwinOptions(physics="nominal", support_s=6.0),
    )
    run.runner.max_episode_s = 6.0
    prepare(run, tmp_path / "run", DEFAULT_STUDENT)
    errors_m, errors_rad = [], []
    with open_virtual_session(
        run, tmp_path / "run", lambda _: None, camera=stepped_camera_poses
    ) as session:
        observe = session.station.task.observe

        def compare(joint_pos, sent, previous_action, pose, goal):
            cube = session.station.hand.state().cube
            errors_m.append(np.linalg.norm(pose.position_m - cube[:3]))
            off = Rotation.from_quat(pose.quaternion) * Rotation.from_quat(cube[3:]).inv()
            errors_rad.append(off.magnitude())
            return observe(joint_pos, sent, previous_action, pose, goal)

        session.station.task.observe = compare
        (result,) = session.episodes(count=1)
    assert len(errors_m) >= 60 and result.steps >= 60
    assert np.median(errors_m) < 0.006 and np.degrees(np.median(errors_rad)) < 10.0


def test_the_papers_filter_is_a_setting_of_the_camera():
    trackers = [
        live._tracker(
            HandRun(pose="camera", pose_filter=name, model="orca_v1_right"),
            np.eye(4),
            SharedFilter(),
        )
        for name in ("predicting", "lowpass")
    ]
    assert [tracker.config.filter for tracker in trackers] == [FilterConfig(), LOWPASS]
    with pytest.raises(ValueError, match=r"pose_filter = lowpass would have no effect"):
        HandRun(pose_filter="lowpass")
    with pytest.raises(ValueError, match="pose_filter must be one of"):
        HandRun(pose="camera", pose_filter="highpass")
