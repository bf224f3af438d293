"""Frames in, poses for any moment out: detector, pose solver and filter at work together."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from perception.cameras.frames import Frame, View, check_camera, check_picture, undistort
from perception.detector.detector import Detection, padded_box
from perception.geometry import inverse
from perception.marked import CUBE, MarkedObject
from perception.pose.projection import project_with_jacobian
from perception.pose.solver import PoseConfig, PoseResult, PoseStatus, solve_pose
from perception.tracking.filter import FilterConfig, Measurement, Outcome
from perception.tracking.plausible import PlausibleConfig, with_doubts
from perception.tracking.shared import SharedFilter
from perception.tracking.state import POSITION, ROTATION, Array


class Detector(Protocol):
    """What finds the cube, anew or near an expected box."""

    def detect_all(self, image: Array) -> list[Detection]:
        """All that may be the cube in a whole image (h, w, 3), uint8 RGB, the likeliest first."""
        ...

    def track(self, image: Array, box: Array) -> Detection | None:
        """Near a box (4,) of the image."""
        ...


MOST_SUSPICION = 60
"""Pictures upside down that count; so many good ones later, the camera is believed again."""


class Mode(StrEnum):
    """How an image was looked at."""

    DETECT = "whole image"
    TRACK = "around the prediction"


@dataclass(frozen=True)
class TrackerConfig:
    """How images are looked at."""

    detect_size: tuple[int, int] = (240, 320)
    """Height and width for the whole image; paper: 240x320 (F.2)."""
    track_size: tuple[int, int] = (160, 192)
    """Height and width of the window around the prediction."""
    max_fill: float = 0.5
    """The cube's box takes at most this part of the window; smaller cubes are not magnified."""
    detect_every: int = 30
    """Every so many images, and after an image without a pose, the whole image is looked at all the
    same; 0 is only the latter."""
    box_padding: float = 0.08
    """The detector's."""
    marked: MarkedObject = CUBE
    """What is followed; the detector's."""
    pose: PoseConfig = field(default_factory=PoseConfig)
    filter: FilterConfig = field(default_factory=FilterConfig)
    plausible: PlausibleConfig = field(default_factory=PlausibleConfig)


@dataclass(frozen=True)
class Sighting:
    """What became of one frame, for logs and pictures."""

    mode: Mode
    result: PoseResult
    outcome: Outcome | None
    """What the filter did with the pose; None if there was none."""


@dataclass(frozen=True)
class PoseEstimate:
    """The cube at the moment asked for, in the tracker's frame."""

    time_s: float
    pose: Array
    """(4, 4) cube to the tracker's frame."""
    quaternion: Array
    """(4,) xyzw of the rotation, with a sign that does not jump."""
    velocity_m_s: Array
    """(3,)"""
    spin_rad_s: Array
    """(3,)"""
    covariance: Array
    """(6, 6) of the errors of position [m] and rotation [rad]."""
    age_s: float
    """Since the last image that counted was taken."""

    @property
    def position_m(self) -> Array:
        """(3,) the cube's centre."""
        return self.pose[:3, 3]


class CubeTracker:
    """Follows one cube through the frames of one camera.

    Args:
        detector: Finds corners.
        config: How to look.
        T_base_camera: (4, 4) camera to the frame poses are wanted in, such as the hand's; the
            camera's own by default.
        cube: What is known about the cube, where another camera's tracker knows it too.
    """

    def __init__(
        self,
        detector: Detector,
        config: TrackerConfig | None = None,
        T_base_camera: Array | None = None,  # the frames are its meaning
        cube: SharedFilter | None = None,
    ) -> None:
        self.config = config or TrackerConfig()
        self._detector = detector
        self._to_base = np.eye(4) if T_base_camera is None else T_base_camera
        self._cube = cube or SharedFilter(self.config.filter)
        self._tracked, self._missed = 0, False
        self._checked: tuple[tuple[int, ...], bytes] | None = None
        self._suspicion = 0

    def see(self, frame: Frame) -> Sighting:
        """Look at a frame and take in what it shows; poses may be asked for meanwhile.

        Raises:
            ValueError: If it is no picture, has no time, or its intrinsics are not its camera's.
        """
        check_picture(frame)
        camera = frame.image.shape, frame.intrinsics.tobytes()
        if camera != self._checked:
            check_camera(frame)
            self._checked = camera
        state, _ = self._cube.state_at(frame.time_s)
        expected = None if state is None else inverse(self._to_base) @ state.pose
        box = None if expected is None else self._expected_box(frame, expected)
        every = self.config.detect_every
        due = self._missed or (every > 0 and self._tracked >= every)
        if box is None or due:
            mode, (view, detections) = Mode.DETECT, self._detect(frame)
            self._tracked = 0
        else:
            mode, (view, detections) = Mode.TRACK, self._track(frame, box)
            self._tracked += 1
        results = [self._solve(frame, view, detection, expected) for detection in detections]
        result = self._suspected(self._chosen(results, expected))
        self._missed = mode is Mode.TRACK and not result.ok
        if result.T_camera_cube is None or result.covariance is None:
            return Sighting(mode, result, None)
        measurement = self._in_base(frame.time_s, result.T_camera_cube, result.covariance)
        return Sighting(mode, result, self._cube.add(measurement))

    def reset(self) -> None:
        """Forget the cube."""
        self._cube.reset()

    def pose_at(self, time_s: float) -> PoseEstimate | None:
        """The cube at a moment, predicted from the images so far; None while it is lost."""
        state, last_used_s = self._cube.state_at(time_s)
        if state is None:
            return None
        shown = np.r_[POSITION, ROTATION]
        return PoseEstimate(
            time_s=state.time_s,
            pose=state.pose,
            quaternion=state.quat_xyzw,
            velocity_m_s=state.velocity_m_s,
            spin_rad_s=state.spin_rad_s,
            covariance=state.covariance[np.ix_(shown, shown)],
            age_s=time_s - last_used_s,
        )

    def _detect(self, frame: Frame) -> tuple[View, list[Detection]]:
        height, width = frame.image.shape[:2]
        size = self.config.detect_size
        view = View.of(frame, _of_shape(width, height, size), size)
        return view, self._detector.detect_all(view.image)

    def _track(self, frame: Frame, box: Array) -> tuple[View, list[Detection]]:
        window = _window(box, frame.image.shape[:2], self.config)
        view = View.of(frame, window, _view_size(window, self.config.track_size))
        in_view = view.to_view(box.reshape(2, 2)).ravel()
        detection = self._detector.track(view.image, in_view)
        return view, [] if detection is None else [detection]

    def _expected_box(self, frame: Frame, expected: Array) -> Array | None:
        """Where the cube should be in the frame (4,); None if that is not mostly inside."""
        uv, _ = project_with_jacobian(expected, self.config.marked.keypoints(), frame.intrinsics)
        if not np.isfinite(uv).all():
            return None
        height, width = frame.image.shape[:2]
        centre = uv.mean(axis=0)
        if not (0 <= centre[0] <= width and 0 <= centre[1] <= height):
            return None
        return padded_box(uv, self.config.box_padding)

    def _solve(
        self, frame: Frame, view: View, detection: Detection, expected: Array | None
    ) -> PoseResult:
        """The pose from the corners in the view, whose pixels are what thresholds are about."""
        corners = detection.corners
        if frame.distortion:
            straight = undistort(view.to_frame(corners.uv).reshape(-1, 2), frame)
            corners = replace(corners, uv=view.to_view(straight).reshape(corners.uv.shape))
        intrinsics = view.intrinsics(frame.intrinsics)
        points = self.config.marked.keypoints()
        result = solve_pose(corners, points, intrinsics, self.config.pose, expected)
        return with_doubts(
            *(result, frame, view, detection, self.config.plausible),
            box_padding=self.config.box_padding,
            to_base=self._to_base,
            marked=self.config.marked,
        )

    def _chosen(self, results: list[PoseResult], expected: Array | None) -> PoseResult:
        """Of several cubes, the one nearest to where ours should be; else the likeliest."""
        good = [(r.T_camera_cube, r) for r in results if r.T_camera_cube is not None]
        if not good:
            return results[0] if results else PoseResult(PoseStatus.NO_CUBE)
        workspace = self.config.plausible.workspace
        if expected is not None:
            apart = [float(np.linalg.norm((pose - expected)[:3, 3])) for pose, _ in good]
        elif workspace is not None:
            apart = [workspace.distance_m((self._to_base @ pose)[:3, 3]) for pose, _ in good]
        else:
            return good[0][1]
        return good[int(np.argmin(apart))][1]

    def _suspected(self, result: PoseResult) -> PoseResult:
        """Without its pose while more pictures before it were upside down than were not."""
        if result.status is PoseStatus.UPSIDE_DOWN:
            self._suspicion = min(self._suspicion + 1, MOST_SUSPICION)
        elif result.ok and self._suspicion:
            self._suspicion -= 1
            status = PoseStatus.UPSIDE_DOWN
            return replace(result, status=status, T_camera_cube=None, covariance=None)
        return result

    def _in_base(self, time_s: float, pose: Array, covariance: Array) -> Measurement:
        turn = np.kron(np.eye(2), self._to_base[:3, :3])
        return Measurement(time_s, self._to_base @ pose, turn @ covariance @ turn.T)


def _of_shape(width: int, height: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of an image with the shape of `size` (height, width)."""
    kept_width = min(width, round(height * size[1] / size[0]))
    kept_height = min(height, round(width * size[0] / size[1]))
    x0, y0 = (width - kept_width) // 2, (height - kept_height) // 2
    return x0, y0, x0 + kept_width, y0 + kept_height


def _window(
    box: Array, image_size: tuple[int, int], config: TrackerConfig
) -> tuple[int, int, int, int]:
    """Whole pixels x0, y0, x1, y1 around a box, inside the image, at least the view's size."""
    scale = max(
        1.0,
        (box[3] - box[1]) / (config.max_fill * config.track_size[0]),
        (box[2] - box[0]) / (config.max_fill * config.track_size[1]),
    )
    edges = []
    centre = (box[:2] + box[2:]) / 2
    for axis, length in ((0, config.track_size[1]), (1, config.track_size[0])):
        available = image_size[1 - axis]
        wanted = min(round(scale * length), available)
        start = int(np.clip(round(centre[axis] - wanted / 2), 0, available - wanted))
        edges.append((start, start + wanted))
    (x0, x1), (y0, y1) = edges
    return x0, y0, x1, y1


def _view_size(window: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the view: at most `size`, and no magnification of small images."""
    x0, y0, x1, y1 = window
    return min(size[0], y1 - y0), min(size[1], x1 - x0)
