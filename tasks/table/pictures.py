"""Pictures of a simulated table from its three cameras, for people and for policies that see.

A picture needs nothing but what the table observes, so stored episodes can be drawn afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image
from tqdm import tqdm

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.importers.into_store import RECORD, import_run
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.reader import Commit, RunReader
from tasks.rendering import choose_gl_backend
from tasks.table.flags import IMAGE_SIZE
from tasks.table.scene import VIEWS
from tasks.table.task import TableTask


class TableCameras:
    """Draws what a table observes, with the hand's full meshes.

    Args:
        task: Whose table.
        size: Edge of the images in pixels.
        views: Which of the cameras.

    Raises:
        RuntimeError: If nothing here can draw; names the package to install.
    """

    def __init__(
        self, task: TableTask, size: int = IMAGE_SIZE, views: Sequence[str] = VIEWS
    ) -> None:
        choose_gl_backend()
        self.size, self.views = size, tuple(views)
        self._place, self._model = task.place, task.scene()
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, size, size)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[1] = 0  # hide collision shapes

    def images(self, observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(3, size, size) uint8 by camera, for groups (F,)."""
        self._place(self._model, self._data, observation)
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


def draw_run(
    task: TableTask,
    source: Path,
    out: Path,
    *,
    size: int = IMAGE_SIZE,
    count: int | None = None,
) -> Path:
    """A new run with the episodes of `source` and their pictures.

    Args:
        task: Which one.
        source: Folder of a run.
        out: Folder of the new one; must not exist.
        size: Edge of the pictures in pixels.
        count: Only the first episodes; None: all.

    Raises:
        ValueError: If `out` exists, or an episode lacks what a picture needs.
    """
    reader, cameras = RunReader(source), TableCameras(task, size)
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


def save_picture(task: TableTask, path: Path, *, seed: int = 0, size: int = 384) -> Path:
    """The scene at an episode's start, from all cameras side by side."""
    observation = task.tables(1, seed=seed, threads=1).reset()
    cameras = TableCameras(task, size)
    views = cameras.images({name: value[0].numpy() for name, value in observation.items()})
    cameras.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [image.transpose(1, 2, 0) for image in views.values()]
    Image.fromarray(np.concatenate(rows, axis=1)).save(path)
    return path
