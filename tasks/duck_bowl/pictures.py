"""Pictures of the simulated table from its three cameras, for people and for policies that see.

A picture needs nothing but what `DuckBowl` observes, so stored episodes can be drawn afterwards.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.importers.into_store import RECORD, import_run
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.reader import Commit, RunReader
from tasks.duck_bowl.environment import DuckBowl
from tasks.duck_bowl.scene import VIEWS, scene_model
from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP
from tasks.rendering import choose_gl_backend

IMAGE_SIZE = 84
"""Edge of a policy's pictures in pixels, as in RoboMimic."""
_WXYZ = [3, 0, 1, 2]


@functools.cache
def _scene() -> mujoco.MjModel:
    """Compiled once per process; cameras only read it."""
    return scene_model(visual=True)


class TableCameras:
    """Draws what `DuckBowl` observes, with the hand's full meshes.

    Args:
        size: Edge of the images in pixels.
        views: Which of the cameras.

    Raises:
        RuntimeError: If nothing here can draw; names the package to install.
    """

    def __init__(self, size: int = IMAGE_SIZE, views: Sequence[str] = VIEWS) -> None:
        choose_gl_backend()
        self.size, self.views = size, tuple(views)
        self._model = _scene()
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, size, size)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[1] = 0  # hide collision shapes

    def images(self, observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(3, size, size) uint8 by camera, for groups (F,)."""
        place(self._model, self._data, observation)
        found = {}
        for view in self.views:
            self._renderer.update_scene(self._data, camera=view, scene_option=self._option)
            found[view] = self._renderer.render().transpose(2, 0, 1).copy()
        return found

    def with_images(self, episode: Episode) -> Episode:
        """The episode with its pictures as further observation groups (T, 3, size, size)."""
        steps = [
            self.images({name: rows[step] for name, rows in episode.observation.items()})
            for step in range(len(episode))
        ]
        final = self.images(episode.final_observation)
        return replace(
            episode,
            observation=episode.observation
            | {view: np.stack([step[view] for step in steps]) for view in self.views},
            final_observation=episode.final_observation | final,
        )

    def close(self) -> None:
        """Free the graphics context."""
        self._renderer.close()


def place(
    model: mujoco.MjModel, data: mujoco.MjData, observation: Mapping[str, np.ndarray]
) -> None:
    """Put a model of the scene into the observed state."""
    pose = np.asarray(observation[POSE_GROUP], np.float64)
    frame, duck = Rotation.from_quat(pose[3:]), np.asarray(observation["duck"], np.float64)
    duck_turn = (frame * Rotation.from_quat(duck[3:])).as_quat()
    data.qpos[:] = np.concatenate(
        [
            *(pose[:3], pose[3:][_WXYZ], observation[HAND_GROUP]),
            *(pose[:3] + frame.apply(duck[:3]), duck_turn[_WXYZ]),
        ]
    )
    data.mocap_pos[1] = pose[:3] + frame.apply(observation["bowl"])
    mujoco.mj_forward(model, data)


def draw_run(source: Path, out: Path, *, size: int = IMAGE_SIZE, count: int | None = None) -> Path:
    """A new run with the episodes of `source` and their pictures.

    Args:
        source: Folder of a run.
        out: Folder of the new one; must not exist.
        size: Edge of the pictures in pixels.
        count: Only the first episodes; None: all.

    Raises:
        ValueError: If `out` exists, or an episode lacks what a picture needs.
    """
    reader, cameras = RunReader(source), TableCameras(size)
    info = {k: v for k, v in read_json(source / "run.json").items() if k != "schema"}

    notes = read_json(source / RECORD)["episodes"] if (source / RECORD).is_file() else {}

    def read(commit: Commit) -> tuple[Episode, dict]:
        return cameras.with_images(reader.load(commit)), notes.get(commit.id, {})

    commits = [commit for commit in reader.commits() if reader.may_train(commit)][:count]
    with tqdm(total=len(commits), desc="drawing", unit="episode") as bar:
        readings = {commit.id: partial(read, commit) for commit in commits}
        import_run(out, info, readings, progress=bar.update)
    cameras.close()
    return out


def save_picture(path: Path, *, seed: int = 0, size: int = 384) -> Path:
    """The scene at an episode's start, from all cameras side by side."""
    observation = DuckBowl(1, seed=seed, threads=1).reset()
    cameras = TableCameras(size)
    views = cameras.images({name: value[0].numpy() for name, value in observation.items()})
    cameras.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [image.transpose(1, 2, 0) for image in views.values()]
    Image.fromarray(np.concatenate(rows, axis=1)).save(path)
    return path
