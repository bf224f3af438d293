"""One image with everything needed to measure in it, and what every camera offers."""

from dataclasses import dataclass
from typing import Protocol, Self

import cv2
import numpy as np

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
