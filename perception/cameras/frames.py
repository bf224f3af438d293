"""One image with everything needed to measure in it, and what every camera offers."""

from dataclasses import dataclass
from typing import Protocol, Self

import cv2
import numpy as np

from perception import camera_checks as checks

Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """An image, its camera and its moment."""

    image: Array
    """(h, w, 3) uint8 RGB."""
    intrinsics: Array
    """K (3, 3) of this image, continuous pixels: the first pixel spans 0 to 1."""
    time_s: float
    """Middle of the exposure, on the clock of whoever asks for poses."""
    distortion: tuple[float, ...] = ()
    """OpenCV's coefficients; empty where the camera has removed the distortion already."""


MOST_OFF_CENTRE = 0.2
"""The principal point is at most this part of the picture away from its middle, per axis."""


def check_camera(frame: Frame) -> None:
    """Find out whether the picture can have been taken by the camera that comes with it.

    Raises:
        ValueError: If the intrinsics are no camera's, or those of pictures of another size.
    """
    height, width = frame.image.shape[:2]
    matrix = checks.intrinsics(frame.intrinsics, (height, width), "a frame")
    off = np.abs(matrix[:2, 2] / (width, height) - 0.5)
    if (off > MOST_OFF_CENTRE).any():
        raise ValueError(
            f"a frame of {width} x {height} px has its principal point at ({matrix[0, 2]:g}, "
            f"{matrix[1, 2]:g}); are its intrinsics those of another resolution?"
        )


def check_picture(frame: Frame) -> None:
    """Find out whether there is a picture, and a moment at which it was taken.

    Raises:
        ValueError: Saying what is missing.
    """
    image = frame.image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a frame must be (h, w, 3) uint8 RGB, got {image.shape} {image.dtype}")
    if not 0.0 <= frame.time_s < np.inf:
        raise ValueError(f"a frame was taken at {frame.time_s} s; times are at least 0 and finite")


class FrameSource(Protocol):
    """A camera or a recording of one."""

    def read(self) -> Frame | None:
        """The next image, waiting for it if need be; None when there will be no more."""
        ...

    def close(self) -> None:
        """Let go of the camera; reading is over."""
        ...


@dataclass(frozen=True)
class View:
    """A rectangle of a frame at another resolution: what a network looks at."""

    image: Array
    """(h, w, 3) uint8 RGB."""
    scale: Array
    """(2,) view pixels per frame pixel."""
    start: Array
    """(2,) the view's corner in the frame, x and y."""

    @classmethod
    def of(cls, frame: Frame, box: tuple[int, int, int, int], size: tuple[int, int]) -> Self:
        """Cut out x0, y0, x1, y1 (whole pixels inside the frame) as `size` (height, width)."""
        x0, y0, x1, y1 = box
        height, width = size
        part = frame.image[y0:y1, x0:x1]
        if part.shape[:2] != size:
            shrinks = part.shape[0] > height
            kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            part = cv2.resize(part, (width, height), interpolation=kind)
        scale = np.array([width / (x1 - x0), height / (y1 - y0)])
        return cls(part, scale, np.array([x0, y0], dtype=float))

    def to_view(self, uv: Array) -> Array:
        """Frame pixels (..., 2) to view pixels."""
        return (uv - self.start) * self.scale

    def to_frame(self, uv: Array) -> Array:
        """View pixels (..., 2) to frame pixels."""
        return uv / self.scale + self.start

    def intrinsics(self, of_frame: Array) -> Array:
        """K (3, 3) of the view."""
        moved = of_frame.copy()
        moved[:2, 2] -= self.start
        return np.diag([*self.scale, 1.0]) @ moved


def undistort(uv: Array, frame: Frame) -> Array:
    """Where the pixels (n, 2) of a frame would be without its lens' distortion; NaN stays NaN."""
    if not frame.distortion:
        return uv
    good = np.isfinite(uv).all(axis=1)
    straight = uv.copy()
    if good.any():
        coefficients = np.array(frame.distortion, dtype=float)
        # K and pixels are shifted alike, so OpenCV's other pixel convention makes no difference.
        points = np.ascontiguousarray(uv[good], dtype=float)[:, None]
        found = cv2.undistortPoints(points, frame.intrinsics, coefficients, P=frame.intrinsics)
        straight[good] = found[:, 0]
    return straight


def to_continuous(intrinsics: Array) -> Array:
    """OpenCV's K (3, 3), where the first pixel's centre is 0, in our pixels, where it is 0.5."""
    shifted = np.array(intrinsics, dtype=float)
    shifted[:2, 2] += 0.5
    return shifted
