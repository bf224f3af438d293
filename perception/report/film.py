"""A video of a recording with the pose drawn on it."""

from pathlib import Path

import cv2
import imageio.v2 as imageio
import numpy as np

from perception.cameras.frames import Frame
from perception.cameras.recording import Recording
from perception.report.overlay import TRUTH, draw_cube
from perception.tracking.tracker import CubeTracker, Mode, Sighting

Array = np.ndarray


def film(recording: Recording, tracker: CubeTracker, path: Path, rate_hz: float = 30.0) -> float:
    """Play a recording to the tracker and film what it makes of it.

    The filtered pose is yellow, the true one, where it is known, green.

    Returns:
        The part of the images with a pose.

    Raises:
        ValueError: If the recording has no images.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    posed = []
    with imageio.get_writer(str(path), fps=rate_hz, macro_block_size=1) as video:
        while (frame := recording.read()) is not None:
            sighting = tracker.see(frame)
            drawn = frame.image
            if recording.poses is not None:
                drawn = draw_cube(drawn, recording.poses[len(posed)], frame.intrinsics, TRUTH)
            estimate = tracker.pose_at(frame.time_s)
            if estimate is not None:
                drawn = draw_cube(drawn, estimate.pose, frame.intrinsics)
            posed.append(estimate is not None)
            video.append_data(_captioned(drawn, frame, sighting))  # type: ignore[attr-defined]  # untyped
    if not posed:
        raise ValueError("the recording has no images")
    return sum(posed) / len(posed)


def _captioned(image: Array, frame: Frame, sighting: Sighting) -> Array:
    mode = "detect" if sighting.mode is Mode.DETECT else "track"
    text = f"{frame.time_s:.2f} s  {mode}  {sighting.result.status.name.lower()}"
    captioned = image.copy()
    size = image.shape[0] / 480
    cv2.putText(
        captioned,
        text,
        (8, image.shape[0] - 8),
        cv2.FONT_HERSHEY_SIMPLEX,
        max(0.4, 0.6 * size),
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
    return captioned
