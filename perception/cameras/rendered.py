"""A simulated rig: one camera, one lighting, one background, states over time."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from perception.cameras.frames import Frame
from perception.cameras.recording import FrameRecorder
from perception.geometry import transform
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.fingers import Finger, cover, draw_fingers
from perception.synthetic.looks import Look, draw_look
from perception.synthetic.mujoco_renderer import Rendering, SceneState
from perception.synthetic.pictures import SURROUNDINGS_PX, PictureConfig, compose, plain_camera
from perception.synthetic.room import Room, draw_room
from perception.synthetic.views import View, ViewConfig, draw_view

FINGERS_S = 1.0
"""Strange fingers before the camera stay so long; then there are others, or none."""
NOT_FILMED = ("moving", "distorted")
"""Conditions of single pictures: a film has a motion of its own, and its camera is calibrated."""


class RigRenderer(Protocol):
    """What a rig draws with: the fast renderer or the path tracer."""

    size: tuple[int, int]
    materials: int
    textures_px: tuple[int, int]
    any_intrinsics: bool
    draws_rooms: bool

    def render_one(self, state: SceneState, view: View, look: Look) -> Rendering:
        """One picture."""
        ...


def record_states(
    renderer: RigRenderer,
    states: Iterable[tuple[float, SceneState]],
    recorder: FrameRecorder,
    *,
    seed: int,
    split: str = "heldout",
    noise: float = 3.0,
    config: PictureConfig | None = None,
) -> int:
    """Film states with a randomly placed camera that then stands still; returns the frames.

    Args:
        renderer: Draws; its size is that of the frames.
        states: Times [s] and states.
        recorder: Gets frames and true poses; is closed here.
        seed: Of camera, look and background.
        split: Which cameras and backgrounds to draw from.
        noise: Standard deviation of the sensor's noise, of 255; a path tracer has its own.
        config: Ranges of camera, look, room and fingers.
    """
    rig = Rig(renderer, seed=seed, split=split, noise=noise, config=config)
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
        noise: Standard deviation of the sensor's noise, of 255; a path tracer has its own.
        config: Ranges of camera, look, room and fingers; its size is the renderer's.

    Raises:
        ValueError: If a condition is none of a film, or fingers shall cover a path-traced cube.
    """

    def __init__(
        self,
        renderer: RigRenderer,
        *,
        seed: int,
        split: str = "heldout",
        noise: float = 3.0,
        config: PictureConfig | None = None,
    ) -> None:
        self._renderer, self._noise = renderer, noise
        self._config = config or PictureConfig()
        _check_filmed(self._config, rooms=renderer.draws_rooms)
        self._rng, self._later = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        width, height = renderer.size
        view = draw_view(replace(self._config.view, width=width, height=height), split, self._rng)
        camera = view.camera if renderer.any_intrinsics else plain_camera(view)
        self.view = View(camera, view.T_world_camera, view.size)
        self._look = draw_look(
            self._config.look, renderer.materials, renderer.textures_px, self._rng
        )
        behind_px = SURROUNDINGS_PX if renderer.draws_rooms else renderer.size
        self._background = Backgrounds(split).draw(behind_px, self._rng)
        self._room: Room | None = None
        self._fingers: list[Finger] = []
        self._fingers_until_s = -np.inf

    def shoot(self, time_s: float, state: SceneState) -> tuple[Frame, np.ndarray]:
        """A frame of a state, and `T_camera_cube` (4, 4)."""
        if self._renderer.draws_rooms:
            look = replace(self._look, room=self._room_of(state))
            rendering = self._renderer.render_one(state, self.view, look)
            return Frame(rendering.image, self.view.camera, time_s), rendering.T_camera_cube
        rendering = self._renderer.render_one(state, self.view, self._look)
        rendering = self._covered(rendering, time_s)
        image = compose(rendering, self._background)
        image = image + self._rng.normal(0.0, self._noise, image.shape)
        frame = Frame(np.clip(image, 0, 255).astype(np.uint8), self.view.camera, time_s)
        return frame, rendering.T_camera_cube

    def _room_of(self, state: SceneState) -> Room:
        """The film's room, with noise of its own in every picture."""
        if self._room is None:
            cube = transform(np.asarray(state.cube_pos), np.asarray(state.cube_quat))
            self._room = draw_room(
                *(self._config.room, len(self._look.hand), self._background),
                *(self.view.T_world_camera, cube, self._later),
            )
        return replace(self._room, noise_seed=int(self._later.integers(1 << 31)))

    def _covered(self, rendering: Rendering, time_s: float) -> Rendering:
        if time_s >= self._fingers_until_s:
            self._fingers_until_s = time_s + FINGERS_S
            where = rendering.T_camera_cube
            self._fingers = draw_fingers(self._config.fingers, where, self._look, self._later)
        for finger in self._fingers:
            rendering = cover(
                rendering, finger, self.view.camera, self._look, self.view.T_world_camera
            )
        return rendering


def _check_filmed(config: PictureConfig, *, rooms: bool) -> None:
    if not rooms:
        return
    if unfit := sorted(set(config.room.conditions) & set(NOT_FILMED)):
        raise ValueError(
            f"room.conditions {unfit} are of single pictures; name others, such as "
            "room.conditions=[plain]"
        )
    if config.fingers.probability > 0.0:
        raise ValueError("fingers.probability: the path tracer cannot draw strange fingers")


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
