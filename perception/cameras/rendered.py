"""A simulated rig: one camera, one lighting, one background, states over time."""

import time
from collections.abc import Callable, Iterable

import numpy as np

from perception.cameras.frames import Frame
from perception.cameras.recording import FrameRecorder
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.looks import LookConfig, draw_look
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.synthetic.pictures import compose
from perception.synthetic.views import View, ViewConfig, draw_view


def record_states(
    renderer: MujocoRenderer,
    states: Iterable[tuple[float, SceneState]],
    recorder: FrameRecorder,
    *,
    seed: int,
    split: str = "heldout",
    noise: float = 3.0,
) -> int:
    """Film states with a randomly placed camera that then stands still; returns the frames.

    Args:
        renderer: Draws; its size is that of the frames.
        states: Times [s] and states.
        recorder: Gets frames and true poses; is closed here.
        seed: Of camera, look and background.
        split: Which cameras and backgrounds to draw from.
        noise: Standard deviation of the sensor's noise, of 255.
    """
    rig = Rig(renderer, seed=seed, split=split, noise=noise)
    frames = 0
    for time_s, state in states:
        frame, pose = rig.shoot(time_s, state)
        recorder.write(frame, pose)
        frames += 1
    recorder.close()
    return frames


class Rig:
    """A camera that was placed at random and stands still, its light and what is behind the hand.

    Args:
        renderer: Draws; its size is that of the frames.
        seed: Of camera, look, background and noise.
        split: Which cameras and backgrounds to draw from.
        noise: Standard deviation of the sensor's noise, of 255.
    """

    def __init__(
        self, renderer: MujocoRenderer, *, seed: int, split: str = "heldout", noise: float = 3.0
    ) -> None:
        self._renderer, self._noise = renderer, noise
        self._rng = np.random.default_rng(seed)
        width, height = renderer.size
        self.view = draw_view(ViewConfig(width=width, height=height), split, self._rng)
        self._look = draw_look(LookConfig(), renderer.materials, renderer.textures_px, self._rng)
        self._background = Backgrounds(split).draw(renderer.size, self._rng)

    def shoot(self, time_s: float, state: SceneState) -> tuple[Frame, np.ndarray]:
        """A frame of a state, and `T_camera_cube` (4, 4)."""
        rendering = self._renderer.render_one(state, self.view, self._look)
        image = compose(rendering, self._background)
        image = image + self._rng.normal(0.0, self._noise, image.shape)
        frame = Frame(np.clip(image, 0, 255).astype(np.uint8), self.view.camera, time_s)
        return frame, rendering.T_camera_cube


def camera_of_rig(size: tuple[int, int], seed: int, split: str = "heldout") -> View:
    """The camera a rig with this size (width, height) and seed will have."""
    width, height = size
    return draw_view(ViewConfig(width=width, height=height), split, np.random.default_rng(seed))


class LiveRig:
    """A rig that films what is going on; a `FrameSource` that never ends.

    The graphics context belongs to the thread that draws, so the rig is made by the first `read`.

    Args:
        make: Makes the rig.
        now: The time, and what there is to be seen.
        rate_hz: Pictures per second; `read` waits for the next one. None: it never waits.

    Raises:
        ValueError: If the rate is not above 0.
    """

    def __init__(
        self,
        make: Callable[[], Rig],
        now: Callable[[], tuple[float, SceneState]],
        *,
        rate_hz: float | None = None,
    ) -> None:
        if rate_hz is not None and not rate_hz > 0.0:
            raise ValueError(f"a camera's rate_hz ({rate_hz}) must be above 0")
        self._make, self._now, self._rate_hz = make, now, rate_hz
        self._rig: Rig | None = None
        self._next_s = -np.inf

    def read(self) -> Frame:
        """As in `FrameSource`."""
        if self._rig is None:
            self._rig = self._make()
        time_s, state = self._now()
        if self._rate_hz is not None:
            while time_s < self._next_s:
                time.sleep(min(0.005, self._next_s - time_s))
                time_s, state = self._now()
            self._next_s = max(self._next_s + 1.0 / self._rate_hz, time_s)
        return self._rig.shoot(time_s, state)[0]

    def close(self) -> None:
        """As in `FrameSource`; the context goes with its thread."""
