"""A video of a recording with the pose drawn on it."""

from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np

from perception.cameras.frames import Frame
from perception.cameras.recording import Recording
from perception.files import check_writable
from perception.report.overlay import FOUND, TRUTH, draw_cube
from perception.tracking.tracker import CubeTracker, Mode, Sighting

Array = np.ndarray
WHITE = (255, 255, 255)
VIDEOS = (".mp4", ".mkv", ".mov")


def film(
    recording: Recording, tracker: CubeTracker, path: Path, rate_hz: float | None = None
) -> float:
    """Play a recording to the tracker and film what it makes of it.

    The filtered pose and the true one, where it is known, are drawn in the colours that the film
    itself names.

    Args:
        recording: Its images.
        tracker: What follows the cube.
        path: Video to write (.mp4).
        rate_hz: Images per second; None: as they were recorded.

    Returns:
        The part of the images with a pose.

    Raises:
        OSError: If the video cannot be written.
        ValueError: If its name is no video's.
    """
    check_writable(path, VIDEOS)
    rate_hz = rate_hz or _rate_hz(recording.times_s)
    truths, posed, marked = recording.poses, [], tracker.config.marked
    with imageio.get_writer(str(path), fps=rate_hz, macro_block_size=1) as video:
        while (frame := recording.read()) is not None:
            sighting = tracker.see(frame)
            estimate = tracker.pose_at(frame.time_s)
            drawn = frame.image
            if truths is not None:
                drawn = draw_cube(drawn, truths[len(posed)], frame.intrinsics, TRUTH, marked)
            if estimate is not None:
                drawn = draw_cube(drawn, estimate.pose, frame.intrinsics, FOUND, marked)
            posed.append(estimate is not None)
            texts = [("measured", FOUND if estimate is not None else WHITE)]
            texts += [("truth", TRUTH)] if truths is not None else []
            captioned = _captioned(drawn, _caption(frame, sighting), texts)
            video.append_data(_even(captioned))  # type: ignore[attr-defined]  # untyped
    return sum(posed) / len(posed)


def _rate_hz(times_s: list[float]) -> float:
    """Images per second of a recording, to a thousandth."""
    steps = np.diff(times_s)
    return round(1.0 / float(np.median(steps)), 3) if len(steps) else 30.0


def _caption(frame: Frame, sighting: Sighting) -> str:
    mode = "detect" if sighting.mode is Mode.DETECT else "track"
    return f"{frame.time_s:.2f} s  {mode}  {sighting.result.status.name.lower()}"


def _captioned(image: Array, caption: str, legend: list[tuple[str, tuple]]) -> Array:
    """A copy with a line below, and the names of what is drawn in their colours above it."""
    captioned = image.copy()
    size = max(0.4, 0.6 * image.shape[0] / 480)
    font, place = cv2.FONT_HERSHEY_SIMPLEX, (8, image.shape[0] - 8)
    cv2.putText(captioned, caption, place, font, size, WHITE, 1, cv2.LINE_AA)
    left = 8
    for name, colour in legend:
        (width, height), _ = cv2.getTextSize(name, font, size, 1)
        cv2.putText(captioned, name, (left, 8 + height), font, size, colour, 1, cv2.LINE_AA)
        left += width + height
    return captioned


def _even(image: Array) -> Array:
    """Without the last row or column of an odd number of them, which video formats do not take."""
    height, width = image.shape[:2]
    return image[: height // 2 * 2, : width // 2 * 2]
