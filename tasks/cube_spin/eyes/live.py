"""Poses from pictures for a session: camera, detector and tracker behind the runner's interface."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from perception.cameras.frames import FrameSource
from perception.cameras.rendered import LiveRig, Rig, camera_of_rig
from perception.detector.detector import CornerDetector
from perception.detector.files import load_detector
from perception.marked import refuse_other_marks
from perception.report.evaluation import tracker_config
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.tracking.filter import LOWPASS, FilterConfig
from perception.tracking.plausible import Workspace
from perception.tracking.several import SeveralCameras
from perception.tracking.shared import SharedFilter
from perception.tracking.source import SILENCE_S, CameraPoseSource, SteppedPoseSource
from perception.tracking.tracker import CubeTracker, PoseEstimate
from sernf_isaac.deploy.loop.messages import HandLink
from sernf_isaac.deploy.protocols import Clock, PoseReading
from tasks.cube_spin.eyes.marks import marked_model, marks_of
from tasks.cube_spin.eyes.real_cameras import real_cameras
from tasks.cube_spin.hand.settings import HandRun
from tasks.orca.hands import load_hand
from tasks.rendering import choose_gl_backend

SIZE = (320, 240)
WORKSPACE_M = 0.1
"""From the grasp to the cube's centre: one that is farther away is another cube, or no cube."""
SECOND_CAMERA = 1_000
"""What the seed of the twin's second camera is ahead of that of the first."""
BEFORE_BLIND = 0.5
"""Of the time after which an object without a pose counts as dropped."""


class Estimates(Protocol):
    """What follows the cube."""

    def latest(self) -> PoseEstimate | None: ...
    def reset(self) -> None: ...


FILTERS = {"predicting": FilterConfig(), "lowpass": LOWPASS}
"""By the names of `HandRun.pose_filter`."""


class CameraReadings:
    """The tracker's estimates as a `PoseSource`: while the cube is lost, the last one gets older.

    Args:
        source: What follows the cube, in the hand's frame.
    """

    def __init__(self, source: Estimates) -> None:
        self._source = source
        self._last: PoseReading | None = None

    def latest(self) -> PoseReading | None:
        """The cube now, dated by the newest picture that counted."""
        if (found := self._source.latest()) is not None:
            seen_s = found.time_s - found.age_s
            self._last = PoseReading(seen_s, found.position_m, found.quaternion)
        return self._last

    def reset(self) -> None:
        """A new episode begins."""
        self._source.reset()
        self._last = None


@contextmanager
def camera_poses(run: HandRun, hand: HandLink, clock: Clock) -> Iterator[CameraReadings]:
    """Poses from pictures, in a thread per camera beside the session.

    A real camera counts as gone before an object that nobody sees counts as dropped.
    """
    silence_s = None if run.hand == "twin" else min(SILENCE_S, BEFORE_BLIND * run.runner.blind_s)
    sources = [
        CameraPoseSource(camera, tracker, clock.now, silence_s=silence_s)
        for camera, tracker in _eyes(run, hand, clock.now, rate_hz=run.camera.rate_hz)
    ]
    with SeveralCameras(sources) as cameras:
        yield CameraReadings(cameras)


@contextmanager
def stepped_camera_poses(run: HandRun, hand: HandLink, clock: Clock) -> Iterator[CameraReadings]:
    """The same on a clock that does not wait, for the twin."""
    rate_hz, latency_s = run.camera.rate_hz, run.camera.latency_s
    sources = [
        SteppedPoseSource(camera, tracker, clock.now, rate_hz=rate_hz, latency_s=latency_s)
        for camera, tracker in _eyes(run, hand, clock.now, rate_hz=None)
    ]
    with SeveralCameras(sources) as cameras:
        yield CameraReadings(cameras)


def _eyes(
    run: HandRun, hand: HandLink, now: Callable[[], float], *, rate_hz: float | None
) -> list[tuple[FrameSource, CubeTracker]]:
    """Each camera with its tracker; together they know one cube."""
    if run.hand != "twin":
        calibrations = [path for path in (run.calibration, run.second_calibration) if path]
        cameras = real_cameras(calibrations, now)
    else:
        seeds = [run.seed, run.seed + SECOND_CAMERA][: 1 + run.twin.second_camera]
        cameras = [_rendered_camera(run, hand, now, seed, rate_hz=rate_hz) for seed in seeds]
    cube = SharedFilter(FILTERS[run.pose_filter])
    return [(camera, _tracker(run, place, cube)) for camera, place in cameras]


def _tracker(run: HandRun, T_hand_camera: np.ndarray, cube: SharedFilter) -> CubeTracker:
    file = load_detector(Path(run.detector))
    there, what = marks_of(run.object), f"the detector {run.detector}"
    refuse_other_marks(file.marked, there, what, "the session")
    detector = CornerDetector(file.network, file.config)
    workspace = Workspace(load_hand(run.model).grasp_point_m, WORKSPACE_M)
    if not workspace.tells_upside_down(T_hand_camera):
        print(
            "the camera looks straight at the cube: if it were upside down, nobody would notice; "
            "aim it 3 cm past the cube"
        )
    config = tracker_config(file)
    plausible = replace(config.plausible, workspace=workspace)
    config = replace(config, filter=FILTERS[run.pose_filter], plausible=plausible)
    return CubeTracker(detector, config, T_hand_camera, cube)


def _rendered_camera(
    run: HandRun,
    hand: HandLink,
    now: Callable[[], float],
    seed: int,
    *,
    rate_hz: float | None,
) -> tuple[FrameSource, np.ndarray]:
    """A camera of the twin, placed at random, and its place (4, 4)."""
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software rendering without threads of its own
    choose_gl_backend()

    def make() -> Rig:
        model = marked_model(load_hand(run.model), run.object)
        return Rig(MujocoRenderer(model, SIZE, marks_of(run.object)), seed=seed)

    def scene() -> tuple[float, SceneState]:
        state = hand.state()
        assert state.cube is not None, "the twin knows its cube"
        return now(), SceneState(state.joint_pos, state.cube[:3], state.cube[3:])

    return LiveRig(make, scene, rate_hz=rate_hz), camera_of_rig(SIZE, seed).T_world_camera
