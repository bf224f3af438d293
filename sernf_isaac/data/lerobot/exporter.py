"""A run of the episode store as a LeRobot v3 data set; see `format.py` for the layout.

What their format has no place for stays behind: final observations, queued actions, and who chose
or replaced an action.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.group_names import only, without_logs
from sernf_isaac.data.images.fit import encode_png
from sernf_isaac.data.images.video import CODEC, PIXELS
from sernf_isaac.data.lerobot import format as layout
from sernf_isaac.data.lerobot.about_run import SUCCESS_OR_NOT, AboutRun, read_about
from sernf_isaac.data.lerobot.files import DataFiles, VideoFiles, write_table
from sernf_isaac.data.lerobot.statistics import Statistics, merge_statistics, statistics_of
from sernf_isaac.data.store.folders import new_folder
from sernf_isaac.data.store.labels import read_label
from sernf_isaac.data.store.reader import Commit, RunReader


@dataclass(frozen=True)
class Exported:
    """How much was written."""

    episodes: int
    frames: int
    folder: Path
    left_out: tuple[str, ...]
    """Groups that were logged for people, which nobody should learn from."""

    def __str__(self) -> str:
        logs = f" (left out, as logged for people: {', '.join(self.left_out)})"
        return (
            f"{self.episodes} episodes, {self.frames} frames -> {self.folder}"
            f"{logs if self.left_out else ''}"
        )


def export_lerobot(
    run: Path | str,
    target: Path | str,
    *,
    keys: Sequence[str] = (),
    task: str = "",
    rate_hz: float | None = None,
    as_video: bool = True,
    progress: Callable[[], object] = lambda: None,
) -> Exported:
    """Write all episodes of a run, as labelled; recovered ones only if somebody labelled them.

    Args:
        run: Folder of the run.
        target: Folder of the data set; must not exist.
        keys: Observation groups to write; none: all but what is logged for people.
        task: What the robot does, in words; empty: what each episode was imported with, or else
            what the run says.
        rate_hz: Steps per second, where the run does not say.
        as_video: Images become H.264, nearly without loss; else PNG files within the tables.
        progress: Called after each episode.

    Raises:
        ValueError: If there is no such run or nothing in it, the target exists, the rate is
            unknown, not whole or another than the run's, images are of odd size, or episodes
            differ. Also if the package pyarrow is missing.
    """
    layout.check_installed()
    reader = RunReader(run)
    about = read_about(Path(run), task, rate_hz)
    commits = [commit for commit in reader.commits() if reader.may_train(commit)]
    if not commits:
        raise ValueError(f"{run} holds no episodes to export")
    tells_success = all(_outcome(reader, commit) in SUCCESS_OR_NOT for commit in commits)
    left_out: dict[str, None] = {}
    with new_folder(Path(target)) as folder:
        writer = _Writer(folder, about, as_video=as_video, tells_success=tells_success)
        try:
            for commit in commits:
                episode = reader.load(commit)
                chosen = keys or without_logs(episode.observation)
                left_out |= dict.fromkeys(
                    set(episode.observation) - set(chosen) if not keys else ()
                )
                writer.add(only(episode, chosen), commit.id)
                progress()
            writer.finish()
        finally:
            writer.abandon()
    return Exported(len(commits), writer.frames, Path(target), tuple(sorted(left_out)))


def _outcome(reader: RunReader, commit: Commit) -> str:
    """As labelled, without reading the episode."""
    label = read_label(reader.run, commit.id)
    if label is None or label.success is None:
        return commit.outcome
    return "success" if label.success else "failure"


class _Writer:
    """Adds episodes to a data set that is being made."""

    def __init__(
        self, folder: Path, about: AboutRun, *, as_video: bool, tells_success: bool
    ) -> None:
        self.folder, self.fps, self.about, self.as_video = folder, about.fps, about, as_video
        self._tells_success = tells_success
        self.frames = 0
        self._tasks: dict[str, int] = {}
        self._rows: list[dict] = []
        self._statistics: list[dict[str, Statistics]] = []
        self._shapes: dict[str, tuple] = {}
        self._data = DataFiles(folder)
        self._videos = VideoFiles(folder, about.fps)

    def add(self, episode: Episode, name: str) -> None:
        features = _features(episode, tells_success=self._tells_success)
        shapes = {key: (*value.shape[1:], str(value.dtype)) for key, value in features.items()}
        self._shapes = self._shapes or shapes
        if shapes != self._shapes:
            raise ValueError(f"episode {name} has {shapes}, the first one {self._shapes}")
        number, steps = len(self._rows), len(episode)
        tasks = self.about.tasks_of(name)
        features |= _counters(number, steps, self.frames, self.fps)
        features[layout.TASK] = self._task_numbers(tasks, steps)
        images = {key: value for key, value in features.items() if value.ndim == 4}
        row = {
            "episode_index": number,
            "tasks": list(dict.fromkeys(task for _, task in tasks)),
            "length": steps,
            layout.OUTCOME: episode.outcome,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + steps,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        if self.as_video:
            for key, value in images.items():
                row |= self._videos.append(key, value)
                del features[key]
        row |= self._data.append({key: _column(value) for key, value in features.items()})
        self._rows.append(row)
        self._statistics.append({k: statistics_of(v) for k, v in (features | images).items()})
        self.frames += steps

    def finish(self) -> None:
        """Close all files and write what is known only at the end."""
        self._data.close()
        self._videos.close()
        rows = [
            row | {f"stats/{key}/{name}": value.tolist() for key, name, value in _flat(statistics)}
            for row, statistics in zip(self._rows, self._statistics, strict=True)
        ]
        episodes = layout.EPISODES.format(chunk_index=0, file_index=0)
        write_table(self.folder / episodes, rows)
        tasks = [{layout.TASK: number, "task": task} for task, number in self._tasks.items()]
        write_table(self.folder / layout.TASKS, tasks, index="task")
        merged = {
            key: merge_statistics([part[key] for part in self._statistics])
            for key in self._statistics[0]
        }
        stats: dict[str, dict] = {key: {} for key in merged}
        for key, name, value in _flat(merged):
            stats[key][name] = value.tolist()
        (self.folder / layout.STATS).write_text(json.dumps(stats, indent=1))
        (self.folder / layout.INFO).write_text(json.dumps(self._info(), indent=4))

    def abandon(self) -> None:
        """Let go of open files; harmless after `finish`."""
        self._videos.abandon()

    def _task_numbers(self, tasks: list[tuple[int, str]], steps: int) -> Array:
        """(T, 1) the number of each step's task; tasks are (first step, words)."""
        numbers = np.zeros((steps, 1), np.int64)
        for start, task in tasks:
            numbers[start:] = self._tasks.setdefault(task, len(self._tasks))
        return numbers

    def _info(self) -> dict:
        counters = _counters(0, 1, 0, self.fps)
        return {
            "codebase_version": layout.VERSION,
            "robot_type": self.about.robot,
            "fps": self.fps,
            "total_episodes": len(self._rows),
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": layout.DATA_FILE_MB,
            "video_files_size_in_mb": layout.VIDEO_FILE_MB,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self.as_video else None,
            "features": {key: self._feature(key, shape) for key, shape in self._shapes.items()}
            | {k: _plain_feature((1,), str(value.dtype)) for k, value in counters.items()},
        }

    def _feature(self, key: str, shape: tuple) -> dict:
        *sizes, dtype = shape
        if len(sizes) != 3:
            names = self.about.columns.get(layout.group_name(key) or key)
            is_right = names is not None and [len(names)] == sizes
            return _plain_feature(tuple(sizes), dtype, names if is_right else None)
        _, height, width = sizes
        feature = {
            "dtype": "video" if self.as_video else "image",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
        }
        if self.as_video:
            feature["info"] = {
                "video.height": height,
                "video.width": width,
                "video.codec": CODEC,
                "video.pix_fmt": PIXELS,
                "video.fps": self.fps,
                "video.channels": 3,
                "has_audio": False,
                "is_depth_map": False,
            }
        return feature


def _plain_feature(shape: tuple[int, ...], dtype: str, names: list[str] | None = None) -> dict:
    return {"dtype": dtype, "shape": list(shape), "names": names}


def _features(episode: Episode, *, tells_success: bool) -> dict[str, Array]:
    """By LeRobot's names: (T, D) numbers and flags, (T, 3, h, w) uint8 images."""
    features = {}
    for group, value in episode.observation.items():
        is_image = value.dtype == np.uint8 and value.ndim == 4 and value.shape[1] == 3
        if not is_image and value.ndim != 2:
            raise ValueError(f"group {group!r} has shape {value.shape}: no numbers and no images")
        name = layout.feature_name(group, is_image=is_image)
        features[name] = value if is_image else value.astype(np.float32)
    over = episode.terminated | episode.truncated
    if tells_success:
        done = np.arange(len(episode)) == len(episode) - 1
        features[layout.SUCCESS] = (done & (episode.outcome == "success"))[:, None]
    return features | {
        layout.ACTION: episode.action,
        layout.REWARD: episode.reward[:, None],
        layout.DONE: over[:, None],
        layout.TERMINATED: episode.terminated[:, None],
    }


def _counters(number: int, steps: int, first: int, fps: int) -> dict[str, Array]:
    """The numbers LeRobot gives every step, (T, 1)."""
    frame = np.arange(steps)[:, None]
    return {
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full_like(frame, number),
        "index": frame + first,
        layout.TASK: np.zeros_like(frame),
    }


def _column(value: Array) -> list:
    """What stands in a table: images as PNG files, single numbers without brackets."""
    if value.ndim == 4:
        return [{"bytes": encode_png(image), "path": None} for image in value]
    return list(value) if value.shape[1] > 1 else value[:, 0].tolist()


def _flat(statistics: dict[str, Statistics]) -> Iterator[tuple[str, str, Array]]:
    for key, found in statistics.items():
        for name, value in found.items():
            yield key, name, value
