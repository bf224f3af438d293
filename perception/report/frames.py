"""Single images: what the detector and the pose solver made of each labelled sample."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from perception.cameras.frames import Frame, View
from perception.cube import FACES
from perception.detector.detector import Detection, paste_mask
from perception.marked import CUBE, MarkedObject
from perception.pose.projection import pose_error
from perception.pose.solver import PoseConfig, PoseResult, PoseStatus, solve_pose
from perception.samples import CUBE_ID, Sample
from perception.tracking.plausible import PlausibleConfig, with_doubts

Array = np.ndarray


class Detector(Protocol):
    """What finds the cube in an image."""

    def detect(self, image: Array) -> Detection | None:
        """The cube in an image (h, w, 3), uint8 RGB."""
        ...


@dataclass(frozen=True)
class FrameRecord:
    """One image. Numbers about a pose or a detection are NaN where there is none."""

    status: PoseStatus
    visible_fraction: float
    obliquity_deg: float
    """Angle between the line of sight and the normal of the face seen most directly: 0 to 54.7."""
    sharpness: float
    """Variance of the Laplacian around the cube, grey values 0 to 255; low if blurred."""
    rotation_deg: float
    position_error_m: Array
    """(3,) in the camera's axes."""
    add_m: float
    """Mean distance of the corners from where they are."""
    nees: float
    """Squared pose error in units of its covariance; 6 on average if that is right."""
    rotation_sigma_rad: float
    """What the pose tells of its rotation: the standard deviation, all axes together."""
    corner_error_px: Array
    """(8,)"""
    corner_nees: Array
    """(8,) squared corner errors in units of their covariance; 2 on average if that is right."""
    visibility: Array
    """(8,) from the label."""
    mask_iou: float
    detect_ms: float
    pose_ms: float
    condition: str = ""
    """What its renderer made difficult, if it says so (`room.CONDITIONS`)."""
    renderer: str = ""
    """Who drew it, if its labels say so."""

    @property
    def has_pose(self) -> bool:
        """Whether the solver gave a pose."""
        return self.status is PoseStatus.OK


def judge_frames(
    detector: Detector,
    samples: Iterable[Sample],
    config: PoseConfig,
    marked: MarkedObject = CUBE,
    plausible: PlausibleConfig | None = None,
    box_padding: float = 0.08,
) -> list[FrameRecord]:
    """Run detector and pose solver on every sample of an object.

    Args:
        detector: Finds corners.
        samples: Labelled pictures.
        config: How to solve for poses.
        marked: What the pictures show.
        plausible: What a pose must agree with besides its corners, as while tracking; None:
            nothing.
        box_padding: The detector's.
    """
    looks = _Looks(detector, config, marked, plausible, box_padding)
    return [_judge(looks, sample) for sample in samples]


@dataclass(frozen=True)
class _Looks:
    """How pictures are looked at."""

    detector: Detector
    config: PoseConfig
    marked: MarkedObject
    plausible: PlausibleConfig | None
    box_padding: float

    def pose(self, sample: Sample, detection: Detection) -> PoseResult:
        """The pose, or why there is none."""
        keypoints = self.marked.keypoints()
        result = solve_pose(detection.corners, keypoints, sample.camera, self.config)
        if self.plausible is None:
            return result
        frame, (height, width) = Frame(sample.image, sample.camera, 0.0), sample.image.shape[:2]
        return with_doubts(
            *(result, frame, View.of(frame, (0, 0, width, height), (height, width))),
            *(detection, self.plausible),
            box_padding=self.box_padding,
            to_base=np.eye(4),
            marked=self.marked,
        )


def _judge(looks: _Looks, sample: Sample) -> FrameRecord:
    started = time.perf_counter()
    detection = looks.detector.detect(sample.image)
    detected = time.perf_counter()
    result = looks.pose(sample, detection) if detection else PoseResult(PoseStatus.NO_CUBE)
    solved = time.perf_counter()
    rotation_deg, position_error_m, add_m, nees = _pose_numbers(
        result, sample.T_camera_cube, looks.marked.keypoints()
    )
    corner_error_px, corner_nees = _corner_numbers(detection, sample)
    return FrameRecord(
        status=result.status,
        visible_fraction=sample.visible_fraction,
        obliquity_deg=obliquity_deg(sample.T_camera_cube),
        sharpness=_sharpness(sample),
        rotation_deg=rotation_deg,
        position_error_m=position_error_m,
        add_m=add_m,
        nees=nees,
        rotation_sigma_rad=result.rotation_sigma_rad,
        corner_error_px=corner_error_px,
        corner_nees=corner_nees,
        visibility=sample.visibility,
        mask_iou=_mask_iou(detection, sample),
        detect_ms=1e3 * (detected - started),
        pose_ms=1e3 * (solved - detected),
        condition=str(sample.notes.get("condition", "")),
        renderer=str(sample.notes.get("renderer", "")),
    )


def _pose_numbers(
    result: PoseResult, truth: Array, keypoints: Array
) -> tuple[float, Array, float, float]:
    if result.T_camera_cube is None or result.covariance is None:
        return float("nan"), np.full(3, np.nan), float("nan"), float("nan")
    error = pose_error(result.T_camera_cube, truth)
    corners = np.c_[keypoints, np.ones(8)]
    apart = (corners @ (result.T_camera_cube - truth).T)[:, :3]
    nees = float(error @ np.linalg.solve(result.covariance, error))
    rotation_deg = float(np.degrees(np.linalg.norm(error[3:])))
    return rotation_deg, error[:3], float(np.linalg.norm(apart, axis=1).mean()), nees


def _corner_numbers(detection: Detection | None, sample: Sample) -> tuple[Array, Array]:
    if detection is None:
        return np.full(8, np.nan), np.full(8, np.nan)
    error = detection.corners.likeliest - sample.corners_px
    whitened = np.linalg.solve(detection.corners.covariance[:, 0], error[:, :, None])[:, :, 0]
    return np.linalg.norm(error, axis=1), (error * whitened).sum(axis=1)


def _mask_iou(detection: Detection | None, sample: Sample) -> float:
    truth = sample.ids == CUBE_ID
    if detection is None or not truth.any():
        return float("nan")
    mask = paste_mask(detection, *truth.shape)
    return float((mask & truth).sum() / (mask | truth).sum())


def obliquity_deg(T_camera_cube: Array) -> float:
    """Angle between the line of sight and the normal of the cube's face seen most directly."""
    sight = T_camera_cube[:3, 3] / np.linalg.norm(T_camera_cube[:3, 3])
    normals = np.stack([face.axes[:, 2] for face in FACES]) @ T_camera_cube[:3, :3].T
    return float(np.degrees(np.arccos(np.clip((-normals @ sight).max(), -1.0, 1.0))))


def _sharpness(sample: Sample) -> float:
    height, width = sample.ids.shape
    x0, y0, x1, y1 = sample.amodal_box
    left, right = np.clip([int(x0), int(np.ceil(x1))], 0, width)
    top, bottom = np.clip([int(y0), int(np.ceil(y1))], 0, height)
    if right - left < 3 or bottom - top < 3:
        return float("nan")
    grey = cv2.cvtColor(sample.image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())
