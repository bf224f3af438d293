"""Recordings of a simulated rig: one camera, one lighting, one background, states over time."""

from collections.abc import Iterable

import numpy as np

from perception.cameras.frames import Frame
from perception.cameras.recording import FrameRecorder
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.looks import LookConfig, draw_look
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.synthetic.pictures import compose
from perception.synthetic.views import ViewConfig, draw_view


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
    rng = np.random.default_rng(seed)
    width, height = renderer.size
    view = draw_view(ViewConfig(width=width, height=height), split, rng)
    look = draw_look(LookConfig(), renderer.materials, renderer.textures_px, rng)
    background = Backgrounds(split).draw(renderer.size, rng)
    frames = 0
    for time_s, state in states:
        rendering = renderer.render_one(state, view, look)
        image = compose(rendering, background) + rng.normal(0.0, noise, background.shape)
        frame = Frame(np.clip(image, 0, 255).astype(np.uint8), view.camera, time_s)
        recorder.write(frame, rendering.T_camera_cube)
        frames += 1
    recorder.close()
    return frames
