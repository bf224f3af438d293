"""Poses that fit their corners and are wrong all the same: what a right one agrees with besides."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from perception.cameras.frames import Frame, View, undistort
from perception.detector.detector import Detection, padded_box
from perception.marked import CUBE, MarkedObject
from perception.pose.solver import PoseResult, PoseStatus
from perception.tracking.appearance import Appearance, appearance, points_in_sight

Array = np.ndarray


@dataclass(frozen=True)
class Workspace:
    """A sphere that the cube's centre stays in, in the tracker's frame."""

    centre_m: tuple[float, float, float]
    radius_m: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.centre_m).all() and 0.0 < self.radius_m < np.inf):
            raise ValueError(f"a workspace needs a finite centre and a radius above 0, got {self}")

    def distance_m(self, position_m: Array) -> float:
        """From its centre."""
        return float(np.linalg.norm(position_m - np.array(self.centre_m)))

    def belongs_turned(self, to_base: Array, position_m: Array) -> bool:
        """Whether a cube off the centre would be near it if the picture were turned or mirrored.

        Args:
            to_base: (4, 4) camera to the frame of the workspace.
            position_m: (3,) of the cube, in the camera's frame.
        """
        places = np.vstack([position_m, _TURNED * position_m]) @ to_base[:3, :3].T + to_base[:3, 3]
        here, *others = (self.distance_m(place) for place in places)
        return here > OFF_CENTRE_M and min(others) < 0.5 * here

    def tells_upside_down(self, to_base: Array) -> bool:
        """Whether pictures of a cube at the centre that are turned by 180 degrees are noticed.

        They are not if the camera looks straight at the centre: then nothing but the hand tells.
        """
        centre = to_base[:3, :3].T @ (np.array(self.centre_m) - to_base[:3, 3])
        return self.belongs_turned(to_base, _TURNED[0] * centre)


MIRRORED_LEAD = 0.02
"""If the mirror image of a face's print correlates so much better, the picture is mirrored. None of
186 pictures of the twin is taken for one; all of 67 mirrored ones with a pose are."""
OFF_CENTRE_M = 0.025
"""A cube that is so near to the centre of its workspace is not suspected to be elsewhere. In
pictures of the twin no true pose is refused, and 91 of 100 turned pictures of a teacher's rollouts
are."""
_TURNED = np.array([[-1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]])
"""Where a position in the camera's frame is in a picture that is turned, mirrored or flipped."""


@dataclass(frozen=True)
class PlausibleConfig:
    """What a pose must agree with."""

    min_overlap: float = 0.75
    """Of the pose's own box with the detected one: intersection over union. Good poses have 0.8."""
    min_glyphs: float | None = 0.5
    """Correlation of the brightness with the print; good poses have 0.8, other faces up to 0.6.
    None: not looked at."""
    min_colours: float | None = 0.05
    """Share of the print's red-against-blue; fresh prints have 0.36 or more, bleached ones 0.06, a
    grey picture 0 and one whose red and blue are swapped less than that. None: not looked at."""
    min_lead: float = 0.25
    """Where the corners leave the pose open: how much better the print must fit one of the poses
    than each of the others, as a correlation over all faces in sight."""
    workspace: Workspace | None = None
    """Where the cube can be; None: anywhere."""


def with_doubts(
    result: PoseResult,
    frame: Frame,
    view: View,
    detection: Detection,
    config: PlausibleConfig,
    *,
    box_padding: float,
    to_base: Array,
    marked: MarkedObject = CUBE,
) -> PoseResult:
    """The result, without its pose if that agrees with too little.

    Where the corners leave the pose open, it is the rival that the picture shows, if it shows one.

    Args:
        result: Of `solve_pose`.
        frame: The picture.
        view: The part of it that was looked at.
        detection: In the view.
        config: How much to ask for.
        box_padding: The detector's.
        to_base: (4, 4) camera to the frame of the workspace.
        marked: What is seen.
    """
    judge = _Judge(frame, view, detection, config, box_padding, to_base, marked)
    pose = result.T_camera_cube
    if pose is None:
        return _settled(result, judge) if result.rivals else result
    status = judge.doubt(pose)
    if status is None:
        return result
    return replace(result, status=status, T_camera_cube=None, covariance=None)


def _settled(result: PoseResult, judge: "_Judge") -> PoseResult:
    """The rival whose print is in the picture; the result as it is if none or several are."""
    fits = np.array([judge.everywhere(rival.T_camera_cube) for rival in result.rivals])
    fits = np.where(np.isfinite(fits), fits, -1.0)
    best = int(fits.argmax())
    least, lead = judge.config.min_glyphs, judge.config.min_lead
    if least is None or fits[best] < least or (np.delete(fits, best) > fits[best] - lead).any():
        return result
    rival = result.rivals[best]
    assert rival.T_camera_cube is not None, "rivals are poses"
    return rival if judge.doubt(rival.T_camera_cube) is None else result


@dataclass(frozen=True)
class _Judge:
    """What poses of one picture are held against; fields as the arguments of `with_doubts`."""

    frame: Frame
    view: View
    detection: Detection
    config: PlausibleConfig
    box_padding: float
    to_base: Array
    marked: MarkedObject

    def doubt(self, pose: Array) -> PoseStatus | None:
        """Why a pose is not believed; None if it is."""
        config = self.config
        if config.workspace is not None:
            position_m = self.to_base[:3, :3] @ pose[:3, 3] + self.to_base[:3, 3]
            if config.workspace.distance_m(position_m) > config.workspace.radius_m:
                return PoseStatus.OUTSIDE_WORKSPACE
            if config.workspace.belongs_turned(self.to_base, pose[:3, 3]):
                return PoseStatus.UPSIDE_DOWN
        keypoints = self.marked.keypoints() @ pose[:3, :3].T + pose[:3, 3]
        overlap = _overlap(keypoints, self.frame, self.view, self.detection, self.box_padding)
        if not overlap >= config.min_overlap:
            return PoseStatus.NOT_IN_BOX
        if config.min_glyphs is None and config.min_colours is None:
            return None
        shown = self._shown(pose)
        if config.min_glyphs is not None and shown.glyphs < config.min_glyphs:
            return PoseStatus.OTHER_PRINT
        if config.min_glyphs is not None and shown.mirrored > shown.glyphs + MIRRORED_LEAD:
            return PoseStatus.MIRRORED
        if config.min_colours is not None and shown.colours < config.min_colours:
            return PoseStatus.OTHER_COLOURS
        return None

    def everywhere(self, pose: Array | None) -> float:
        """How well the print of all faces in sight is seen where a pose puts it."""
        return float("nan") if pose is None else self._shown(pose).everywhere

    def _shown(self, pose: Array) -> Appearance:
        points, faces = points_in_sight(pose, self.marked)
        pixels = self.view.to_view(_pixels(points, self.frame))
        return appearance(self.view.image, pixels, faces, self.marked)


def _overlap(
    corners: Array, frame: Frame, view: View, detection: Detection, padding: float
) -> float:
    """Intersection over union of the boxes, as far as they are in the view; NaN if one is not."""
    uv = view.to_view(_pinhole(corners, frame.intrinsics))
    found = detection.box.reshape(2, 2).astype(float)
    if frame.distortion:
        found = view.to_view(undistort(view.to_frame(found), frame))
    size = np.array(view.image.shape[1::-1], dtype=float)
    low, high = (
        np.stack([padded_box(uv, padding).reshape(2, 2), found]).clip(0.0, size).swapaxes(0, 1)
    )
    common = np.maximum(high.min(axis=0) - low.max(axis=0), 0.0).prod()
    both = (high - low).prod(axis=1).sum() - common
    return float(common / both) if both > 0.0 else float("nan")


def _pixels(points_m: Array, frame: Frame) -> Array:
    """(n, 2) of the frame, where its lens puts points (n, 3) of the camera's frame."""
    if not frame.distortion:
        return _pinhole(points_m, frame.intrinsics)
    lens, still = np.array(frame.distortion, dtype=float), np.zeros(3)
    return cv2.projectPoints(points_m, still, still, frame.intrinsics, lens)[0][:, 0]


def _pinhole(points_m: Array, intrinsics: Array) -> Array:
    focal, centre = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    return points_m[:, :2] / points_m[:, 2:] * focal + centre
