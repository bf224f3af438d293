"""LeRobot v3 data sets as episodes; see `format.py` for what is on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernf_isaac.data.checks import blamed_on, check_file, checked, flags, require
from sernf_isaac.data.episode import OUTCOMES, Array, Episode
from sernf_isaac.data.images.fit import Fit, decode, fit
from sernf_isaac.data.images.video import read_frames
from sernf_isaac.data.lerobot import format as layout
from sernf_isaac.data.lerobot.episode_rows import EpisodeRow, read_rows, readable
from sernf_isaac.data.lerobot.features import Features
from sernf_isaac.data.lerobot.times import check_apart, check_timestamps, choose_frames
from sernf_isaac.data.store.files import read_json

ROW_NUMBERS = ("episode_index", "frame_index")
TIMESTAMP = "timestamp"
OPTIONAL = (layout.REWARD, layout.TERMINATED, layout.SUCCESS, layout.TASK, TIMESTAMP)
NEARLY = 0.05
"""Steps by which timestamps may be off before it is worth a remark."""
if TYPE_CHECKING:
    from pyarrow import ChunkedArray


@dataclass(frozen=True)
class LoadedEpisode:
    """An episode, and what a data set says about it besides."""

    episode: Episode
    tasks: list[str]
    """What the robot was asked to do, in words."""
    task_steps: list[tuple[int, str]]
    """The step from which on each task was asked for; empty where it is one for all."""
    remarks: list[str]


class LeRobotReader:
    """Loads the episodes of a data set one at a time.

    Their format knows no final observation. Their `next.done` says that an episode is over, not
    that its future is worth nothing, so an episode counts as cut off unless the file has our
    `next.terminated`. The outcome is our `outcome`, or what `next.success` says. Frames of a video
    are chosen by their times.

    Args:
        folder: That holds `meta/`.
        keys: Observation groups to read, by our names or theirs; none: all.
        image_size: Crop and resize images; None leaves them as they are.

    Raises:
        FileNotFoundError: If there is no such data set.
        ValueError: If it is of another version, damaged, lacks something or contradicts itself;
            names file and key. Also if the package pyarrow is missing.
    """

    def __init__(
        self, folder: Path | str, keys: Sequence[str] = (), image_size: Fit | None = None
    ) -> None:
        layout.check_installed()
        self.folder, self._size = Path(folder), image_size
        self._info_path = self.folder / layout.INFO
        if not self._info_path.is_file():
            raise FileNotFoundError(f"no LeRobot data set at {folder}: it has no {layout.INFO}")
        check_file(self._info_path, "LeRobot data set")
        self._info = read_json(self._info_path)
        require(self._info_path, self._info, "codebase_version", "fps", "features", "data_path")
        if not str(version := self._info["codebase_version"]).startswith("v3."):
            raise ValueError(
                f"{self._info_path}: version {version!r} cannot be read, only {layout.VERSION}; "
                "lerobot can convert older ones"
            )
        self.rate_hz = self._rate()
        self.robot = self._info.get("robot_type")
        self.features = Features(self._info_path, self._info["features"], keys)
        self._rows = self._checked_rows()
        self._task_names = self._read_task_names()

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    def load(self, index: int, *, is_offline: bool = True) -> LoadedEpisode:
        """Read an episode.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If it is damaged, holds something that is not a number in its place, or
                times that contradict each other.
        """
        row, remarks = self._rows[index], []
        path, table = self._table(row)
        steps = len(table[layout.ACTION])
        times_s = self._times(path, row, table, steps, remarks)
        observation = {}
        for name, group in self.features.groups.items():
            kind = self.features.kind(name)
            if kind == "video":
                observation[group] = self._video(row, name, times_s, remarks)
            elif kind == "image":
                observation[group] = self._embedded(path, table[name], name)
            else:
                values = _numbers(path, name, table[name])
                observation[group] = checked(path, name, values, (steps, None))
        action = _numbers(path, layout.ACTION, table[layout.ACTION])
        over = _column(path, table, layout.TERMINATED, steps)
        outcome = _outcome(path, row, table, steps)
        with blamed_on(path, f"episode {index}"):
            episode = Episode(
                observation=observation,
                action=checked(path, layout.ACTION, action, (steps, None)),
                reward=_column(path, table, layout.REWARD, steps),
                terminated=flags(path, layout.TERMINATED, over, steps),
                policy="demonstration",
                outcome=outcome,
                is_offline=is_offline,
            )
        tasks, task_steps = self._tasks(path, row, table, steps)
        return LoadedEpisode(episode, tasks, task_steps, remarks)

    def _rate(self) -> float:
        fps = self._info["fps"]
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 1e6:
            raise ValueError(f"{self._info_path}: fps is {fps!r}, expected a number above 0")
        return float(fps)

    def _checked_rows(self) -> list[EpisodeRow]:
        rows = read_rows(self.folder)
        expected = self._info.get("total_episodes", len(rows))
        if len(rows) != expected or not rows:
            raise ValueError(
                f"{self.folder}: meta/episodes lists {len(rows)} episodes, {layout.INFO} says "
                f"{expected}"
            )
        steps = sum(row.whole("length") for row in rows)
        if (claimed := self._info.get("total_frames", steps)) != steps:
            raise ValueError(
                f"{self.folder}: the episodes in meta/episodes have {steps} steps in all, "
                f"{layout.INFO} says {claimed}"
            )
        videos = self.features.of_kind("video")
        if videos and not isinstance(self._info.get("video_path"), str):
            raise ValueError(f"{self._info_path}: no video_path, but {', '.join(videos)} is video")
        check_apart(rows, videos, self.rate_hz)
        return rows

    def _read_task_names(self) -> dict[int, str]:
        """What each `task_index` means; nothing where there is no such table."""
        import pyarrow.parquet as parquet

        path = self.folder / layout.TASKS
        if not path.exists():
            return {}
        check_file(path, "tasks")
        with readable(path):
            rows = parquet.read_table(path).to_pylist()
            return {int(row[layout.TASK]): _words(row) for row in rows}

    def _table(self, row: EpisodeRow) -> tuple[Path, dict]:
        """The columns that are needed, of an episode's rows only."""
        import pyarrow.parquet as parquet

        number = row.whole("episode_index")
        where = {f"{part}_index": row.whole(f"data/{part}_index") for part in ("chunk", "file")}
        path = self.folder / self._info["data_path"].format(**where)
        if not path.is_file():
            raise FileNotFoundError(f"no data at {path}, where episode {number} should be")
        check_file(path, "data")
        with readable(path):
            known = parquet.read_schema(path).names
        wanted = [*ROW_NUMBERS, layout.ACTION, *self.features.in_tables()]
        require(path, dict.fromkeys(known), *wanted)
        wanted += [name for name in OPTIONAL if name in known]
        with readable(path):
            mine = ("episode_index", "=", number)
            table = parquet.read_table(path, columns=wanted, filters=[mine])
        columns = {name: table.column(name) for name in table.column_names}
        frames, steps = np.asarray(columns["frame_index"]), row.whole("length")
        if len(frames) != steps or not np.array_equal(frames, np.arange(len(frames))):
            raise ValueError(
                f"{path}: episode {number} has {len(frames)} rows, expected {steps} with "
                "frame_index 0, 1, ..."
            )
        return path, columns

    def _times(
        self, path: Path, row: EpisodeRow, table: dict, steps: int, remarks: list[str]
    ) -> Array:
        """(T,) seconds since the episode's start."""
        if TIMESTAMP not in table:
            return np.arange(steps) / self.rate_hz
        values = _numbers(path, TIMESTAMP, table[TIMESTAMP])
        times_s = checked(path, TIMESTAMP, values, (steps, 1))[:, 0].astype(np.float64)
        off = check_timestamps(path, row.whole("episode_index"), times_s, self.rate_hz)
        if off > NEARLY:
            remarks.append(f"timestamps are up to {off:.2f} steps from what fps makes of them")
        return times_s

    def _video(self, row: EpisodeRow, name: str, times_s: Array, remarks: list[str]) -> Array:
        at = f"videos/{name}"
        where = {f"{part}_index": row.whole(f"{at}/{part}_index") for part in ("chunk", "file")}
        path = self.folder / self._info["video_path"].format(video_key=name, **where)
        number = row.whole("episode_index")
        chosen, remark = choose_frames(path, number, row, name, times_s, self.rate_hz)
        remarks.append(remark)
        return np.stack([self._prepared(frame) for frame in read_frames(path, chosen)])

    def _embedded(self, path: Path, column: "ChunkedArray", name: str) -> Array:
        images = []
        for i, item in enumerate(column.to_pylist()):
            with blamed_on(path, f"{name} at index {i}"):
                data = item["bytes"] if item else None
                if data is None and item and item["path"]:
                    check_file(self.folder / item["path"], "image")
                    data = (self.folder / item["path"]).read_bytes()
                if not data:
                    raise ValueError("no image")
                images.append(decode(data, self._size))
        return np.stack(images)

    def _prepared(self, frame: Array) -> Array:
        if self._size is None:
            return frame.transpose(2, 0, 1)
        return fit(frame, self._size)

    def _tasks(
        self, path: Path, row: EpisodeRow, table: dict, steps: int
    ) -> tuple[list[str], list[tuple[int, str]]]:
        """What was asked for, and from which step on where that changes."""
        noted = row.values.get("tasks") or []
        listed = [noted] if isinstance(noted, str) else [str(task) for task in noted]  # type: ignore[union-attr]  # a list
        if layout.TASK not in table or not self._task_names:
            return listed, []
        numbers = _column(path, table, layout.TASK, steps)
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        if missing := sorted({int(n) for n in numbers[starts]} - self._task_names.keys()):
            raise ValueError(f"{path}: task_index is {missing[0]}, which {layout.TASKS} lacks")
        spoken = [(int(step), self._task_names[int(numbers[step])]) for step in starts]
        tasks = listed or list(dict.fromkeys(task for _, task in spoken))
        return tasks, spoken if len(spoken) > 1 else []


def _words(row: dict) -> str:
    """A task's words, which stand in a column of their own or as the index of a data frame."""
    return next(str(row[key]) for key in ("task", "__index_level_0__") if key in row)


def _outcome(path: Path, row: EpisodeRow, table: dict, steps: int) -> str:
    if (ours := row.values.get(layout.OUTCOME)) is not None:
        if ours not in OUTCOMES:
            raise ValueError(
                f"{row.path}: outcome is {ours!r} in row {row.row}, none of {', '.join(OUTCOMES)}"
            )
        return str(ours)
    if layout.SUCCESS not in table:
        return "unknown"
    values = _column(path, table, layout.SUCCESS, steps)
    return "success" if flags(path, layout.SUCCESS, values, steps).any() else "failure"


def _numbers(path: Path, name: str, column: "ChunkedArray") -> Array:
    """(T, D) from a column of lists, or of single numbers."""
    listed = column.to_pylist()
    if None in listed:
        raise ValueError(f"{path}: {name} is null at index {listed.index(None)}")
    with blamed_on(path, name):
        values = np.asarray(listed)
    return values[:, None] if values.ndim == 1 else values


def _column(path: Path, table: dict, name: str, steps: int) -> Array:
    """(T,) numbers, zeros where the file has none."""
    if name not in table:
        return np.zeros(steps, np.float32)
    return checked(path, name, _numbers(path, name, table[name]), (steps, 1))[:, 0]
