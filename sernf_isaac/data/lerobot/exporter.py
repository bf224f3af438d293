"""A run of the episode store as a LeRobot v3 data set; see `lerobot_format.py` for the layout.

What their format has no place for stays behind: final observations, queued actions, and who chose
or replaced an action.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.images.fit import encode_png
from sernf_isaac.data.images.video import CODEC, PIXELS
from sernf_isaac.data.lerobot import format as layout
from sernf_isaac.data.lerobot.files import DataFiles, VideoFiles, write_table
from sernf_isaac.data.lerobot.statistics import Statistics, merge_statistics, statistics_of
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.folders import new_folder
from sernf_isaac.data.store.reader import RunReader


@dataclass(frozen=True)
class Exported:
    """How much was written."""

    episodes: int
    frames: int


def export_lerobot(
    run: Path | str,
    target: Path | str,
    *,
    task: str = "",
    rate_hz: float | None = None,
    as_video: bool = True,
    progress: Callable[[], object] = lambda: None,
) -> Exported:
    """Write all episodes of a run, as labelled; recovered ones only if somebody labelled them.

    Args:
        run: Folder of the run.
        target: Folder of the data set; must not exist.
        task: What the robot does, in words.
        rate_hz: Steps per second; None: what the run says.
        as_video: Images become H.264, nearly without loss; else PNG files within the tables.
        progress: Called after each episode.

    Raises:
        ValueError: If there is no such run or nothing in it, the target exists, the rate is unknown
            or not whole, images are of odd size, or episodes differ. Also if the package pyarrow
            is missing.
    """
    layout.check_installed()
    reader = RunReader(run)
    fps = _whole_rate(Path(run), rate_hz)
    commits = [commit for commit in reader.commits() if reader.may_train(commit)]
    if not commits:
        raise ValueError(f"{run} holds no episodes to export")
    with new_folder(Path(target)) as folder:
        writer = _Writer(folder, fps, task or "unnamed task", as_video)
        try:
            for commit in commits:
                writer.add(reader.load(commit), commit.id)
                progress()
            writer.finish()
        finally:
            writer.abandon()
    return Exported(len(commits), writer.frames)


def _whole_rate(run: Path, rate_hz: float | None) -> int:
    if rate_hz is None:
        rate_hz = read_json(run / "run.json").get("control_rate_hz")
    if rate_hz is None:
        raise ValueError(f"{run / 'run.json'} does not say how fast its steps are; give --rate_hz")
    if rate_hz < 1 or rate_hz != round(rate_hz):
        raise ValueError(f"rate {rate_hz:g} Hz: LeRobot knows only whole steps per second")
    return round(rate_hz)


class _Writer:
    """Adds episodes to a data set that is being made."""

    def __init__(self, folder: Path, fps: int, task: str, as_video: bool) -> None:
        self.folder, self.fps, self.task, self.as_video = folder, fps, task, as_video
        self.frames = 0
        self._rows: list[dict] = []
        self._statistics: list[dict[str, Statistics]] = []
        self._shapes: dict[str, tuple] = {}
        self._data = DataFiles(folder)
        self._videos = VideoFiles(folder, fps)

    def add(self, episode: Episode, name: str) -> None:
        features = _features(episode)
        shapes = {key: (*value.shape[1:], str(value.dtype)) for key, value in features.items()}
        self._shapes = self._shapes or shapes
        if shapes != self._shapes:
            raise ValueError(f"episode {name} has {shapes}, the first one {self._shapes}")
        number, steps = len(self._rows), len(episode)
        features |= _counters(number, steps, self.frames, self.fps)
        images = {key: value for key, value in features.items() if value.ndim == 4}
        row = {
            "episode_index": number,
            "tasks": [self.task],
            "length": steps,
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
        write_table(
            self.folder / layout.TASKS, [{"task_index": 0, "task": self.task}], index="task"
        )
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

    def _info(self) -> dict:
        counters = _counters(0, 1, 0, self.fps)
        return {
            "codebase_version": layout.VERSION,
            "robot_type": None,
            "fps": self.fps,
            "total_episodes": len(self._rows),
            "total_frames": self.frames,
            "total_tasks": 1,
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": layout.DATA_FILE_MB,
            "video_files_size_in_mb": layout.VIDEO_FILE_MB,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self.as_video else None,
            "features": {key: self._feature(shape) for key, shape in self._shapes.items()}
            | {k: _plain_feature((1,), str(value.dtype)) for k, value in counters.items()},
        }

    def _feature(self, shape: tuple) -> dict:
        *sizes, dtype = shape
        if len(sizes) != 3:
            return _plain_feature(tuple(sizes), dtype)
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


def _plain_feature(shape: tuple[int, ...], dtype: str) -> dict:
    return {"dtype": dtype, "shape": list(shape), "names": None}


def _features(episode: Episode) -> dict[str, Array]:
    """By LeRobot's names: (T, D) numbers and flags, (T, 3, h, w) uint8 images."""
    features = {}
    for group, value in episode.observation.items():
        is_image = value.dtype == np.uint8 and value.ndim == 4 and value.shape[1] == 3
        if not is_image and value.ndim != 2:
            raise ValueError(f"group {group!r} has shape {value.shape}: no numbers and no images")
        name = layout.feature_name(group, is_image=is_image)
        features[name] = value if is_image else value.astype(np.float32)
    over = episode.terminated | episode.truncated
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
        "task_index": np.zeros_like(frame),
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
