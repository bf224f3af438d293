"""Poses at the control tick: a thread follows the camera, the controller only asks.

Where time is not real, `SteppedPoseSource` looks when it is asked.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from perception.cameras.frames import Frame, FrameSource
from perception.tracking.tracker import CubeTracker, PoseEstimate, Sighting

ROUNDING_S = 1e-9
SILENCE_S = 2.0


class CameraPoseSource:
    """Follows the cube in a camera's images and answers at any moment without waiting for one.

    Use it as a context manager; leaving it stops the thread and closes the camera.

    Args:
        camera: Where frames come from.
        tracker: What follows the cube.
        clock: The clock of the frames' times.
        on_frame: Called in the camera's thread after every frame, to log or draw.
        silence_s: A camera that has begun and then lets this process wait so long for a frame, or
            ends, is gone. None: a recording, which may end.
    """

    def __init__(
        self,
        camera: FrameSource,
        tracker: CubeTracker,
        clock: Callable[[], float] = time.monotonic,
        on_frame: Callable[[Frame, Sighting], None] | None = None,
        silence_s: float | None = SILENCE_S,
    ) -> None:
        self._camera, self._tracker, self._clock = camera, tracker, clock
        self._on_frame, self._silence_s = on_frame, silence_s
        self._waits_since_s = math.inf  # for a frame, on the clock; not while one is looked at
        self._ended = False
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._frames = 0
        self._thread = threading.Thread(target=self._follow, name="camera", daemon=True)

    def __enter__(self) -> "CameraPoseSource":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)
        self._camera.close()

    def latest(self) -> PoseEstimate | None:
        """The cube now, predicted from what was seen; None while it is lost.

        Raises:
            RuntimeError: If the camera's thread has failed; the cause is attached.
            ConnectionError: If the camera is gone: what nobody films is not a cube that was lost.
        """
        if self._failure is not None:
            why = str(self._failure) or type(self._failure).__name__
            raise RuntimeError(f"the camera's thread has failed: {why}") from self._failure
        now_s = self._clock()
        if self._silence_s is not None:
            self._check_frames_come(now_s, self._silence_s)
        return self._tracker.pose_at(now_s)

    def reset(self) -> None:
        """Forget what was seen: a new episode begins."""
        self._tracker.reset()

    @property
    def frames(self) -> int:
        """Frames looked at so far."""
        return self._frames

    @property
    def running(self) -> bool:
        """Whether frames are still coming."""
        return self._thread.is_alive()

    def _check_frames_come(self, now_s: float, silence_s: float) -> None:
        if self._ended:
            raise ConnectionError("the camera gives no more frames; look at its cable")
        if (waited_s := now_s - self._waits_since_s) > silence_s:
            raise ConnectionError(
                f"the camera has given no frame for {waited_s:.1f} s; look at its cable"
            )

    def _next(self) -> Frame | None:
        """Wait for a frame; the first may take its time, for then the camera begins."""
        if self._frames:
            self._waits_since_s = self._clock()
        frame = self._camera.read()
        self._waits_since_s = math.inf
        return frame

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                if (frame := self._next()) is None:
                    self._ended = not self._stop.is_set()
                    return
                sighting = self._tracker.see(frame)
                self._frames += 1
                if self._on_frame is not None:
                    self._on_frame(frame, sighting)
        except Exception as error:  # told to whoever asks for the next pose
            self._failure = error


class SteppedPoseSource:
    """Looks at the next frame when it is time to, whenever it is asked: for simulated clocks.

    Args:
        camera: Where frames come from; must not wait.
        tracker: What follows the cube.
        clock: The clock of the frames' times.
        rate_hz: Frames per second.
        latency_s: A frame counts this long after it was taken.

    Raises:
        ValueError: If the rate is not above 0 or the latency below.
    """

    def __init__(
        self,
        camera: FrameSource,
        tracker: CubeTracker,
        clock: Callable[[], float],
        *,
        rate_hz: float = 16.0,
        latency_s: float = 0.06,
    ) -> None:
        if not rate_hz > 0.0 or not latency_s >= 0.0:
            raise ValueError(
                f"a camera's rate_hz ({rate_hz}) must be above 0, its latency_s ({latency_s}) at "
                "least 0"
            )
        self._camera, self._tracker, self._clock = camera, tracker, clock
        self._period_s, self._latency_s = 1.0 / rate_hz, latency_s
        self._coming: deque[Frame] = deque()
        self._next_s = -math.inf

    def latest(self) -> PoseEstimate | None:
        """As `CameraPoseSource.latest`."""
        now_s = self._clock()
        behind_s = now_s - self._next_s
        if behind_s >= -ROUNDING_S and (frame := self._camera.read()) is not None:
            self._coming.append(frame)
            self._next_s = now_s + self._period_s - (behind_s if behind_s < self._period_s else 0.0)
        while self._coming and self._coming[0].time_s <= now_s - self._latency_s + ROUNDING_S:
            self._tracker.see(self._coming.popleft())
        return self._tracker.pose_at(now_s)

    def reset(self) -> None:
        """Forget what was seen: a new episode begins."""
        self._coming.clear()
        self._tracker.reset()
