"""Pictures of a stored episode: the twin's hand and cube put where sensors and camera saw them."""

import io
from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.deploy.actor.recorder import POSE
from tasks.cube_spin.config import PLATFORM_GONE_M
from tasks.cube_spin.hand.which_hand import object_of_run
from tasks.cube_spin.twin.scene import PALM_CAMERA, SIDE_CAMERA, twin_model
from tasks.orca.hands import hand_of_run
from tasks.rendering import choose_gl_backend

_WXYZ = [3, 0, 1, 2]


class EpisodeView:
    """Draws single steps; made at the first use, and to be used by one thread only.

    Args:
        run: Where the episodes are from; tells the hand and the object.
        size: Edge of each of the two square views in pixels.
    """

    def __init__(self, run: Path, size: int = 240) -> None:
        self._run, self._size = run, size
        self._renderer: mujoco.Renderer | None = None

    def jpeg(self, episode: Episode, step: int) -> bytes:
        """One step from below and from the side.

        Raises:
            ValueError: If the episode was not recorded by a hand.
        """
        if missing := [name for name in (POSE, "history") if name not in episode.observation]:
            raise ValueError(f"nothing to draw: the episode lacks {missing}")
        if self._renderer is None:
            self._open()
        assert self._renderer is not None
        joints = episode.observation["history"][step, : episode.action_dim]
        pose = episode.observation[POSE][step]
        self._data.qpos[:] = np.concatenate([joints, pose[:3], pose[3:][_WXYZ]])
        mujoco.mj_forward(self._model, self._data)
        pictures = []
        for view in (PALM_CAMERA, SIDE_CAMERA):
            self._renderer.update_scene(self._data, camera=view, scene_option=self._option)
            pictures.append(self._renderer.render())
        buffer = io.BytesIO()
        iio.imwrite(buffer, np.concatenate(pictures, axis=1), extension=".jpeg", quality=85)
        return buffer.getvalue()

    def _open(self) -> None:
        choose_gl_backend()
        hand = hand_of_run(self._run)
        self._model = twin_model(hand, object_of_run(self._run), visual=True)
        self._data = mujoco.MjData(self._model)
        self._data.mocap_pos[0] = (*hand.grasp_point_m[:2], PLATFORM_GONE_M)
        self._renderer = mujoco.Renderer(self._model, self._size, self._size)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[1] = 0  # hide collision shapes
