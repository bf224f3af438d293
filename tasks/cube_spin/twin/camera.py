"""Pictures of one environment of the twin: hand and cube from below and from the side."""

import mujoco.viewer
import numpy as np

from tasks.cube_spin.config import PLATFORM_GONE_M, platform_height_m
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.scene import PALM_CAMERA, SIDE_CAMERA, twin_model
from tasks.orca.description import Hand
from tasks.rendering import choose_gl_backend


class Camera:
    """Renders one environment of a twin with the hand's full meshes.

    Args:
        hand: Whose twin.
        size: Edge of each square view in pixels.
        views: Camera names, shown side by side.
        held: The object; the paper's cube by default.
    """

    def __init__(
        self,
        hand: Hand,
        size: int = 384,
        views: tuple[str, ...] = (PALM_CAMERA, SIDE_CAMERA),
        held: HeldObject | None = None,
    ) -> None:
        choose_gl_backend()
        self._model = twin_model(hand, held, visual=True)
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, size, size)
        self.views = views
        self._option = mujoco.MjvOption()
        self._option.geomgroup[1] = 0  # hide collision shapes

    def picture(self, twin: CubeSpinTwin, env: int = 0) -> np.ndarray:
        """(H, W * views, 3) uint8 of environment `env` now."""
        show(twin, env, self._model, self._data)
        pictures = []
        for view in self.views:
            self._renderer.update_scene(self._data, camera=view, scene_option=self._option)
            pictures.append(self._renderer.render())
        return np.concatenate(pictures, axis=1)

    def close(self) -> None:
        """Free the graphics context."""
        self._renderer.close()


def show(twin: CubeSpinTwin, env: int, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Put a model with pictures into the state of environment `env`."""
    world = twin.world
    cube = world.nominal.geom("cube").id
    model.geom_size[model.geom("cube").id] = world.models[env].geom_size[cube]
    data.qpos[:] = world.state[env, 1 : 1 + model.nq]
    supported = bool(twin.support_left_s[env] > 0.0)
    height = platform_height_m(twin.hand, twin.held) if supported else PLATFORM_GONE_M
    data.mocap_pos[0] = (*twin.hand.grasp_point_m[:2], height)
    mujoco.mj_forward(model, data)
