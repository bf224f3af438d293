"""LeRobot v3 data sets as episodes; see `lerobot_format.py` for what is on disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sernf_isaac.data.checks import blamed_on, checked, flags, require
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.images.fit import Fit, decode, fit
from sernf_isaac.data.images.video import read_frames
from sernf_isaac.data.lerobot import format as layout
from sernf_isaac.data.store.files import read_json

if TYPE_CHECKING:
    from pyarrow import ChunkedArray

CAMERAS = ("image", "video")
ROW_NUMBERS = ("episode_index", "frame_index")


class LeRobotReader:
    """Loads the episodes of a data set one at a time.

    Their format knows no final observation. Their `next.done` says that an episode is over, not
    that its future is worth nothing, so an episode counts as cut off unless the file has our
    `next.terminated`.

    Args:
        folder: That holds `meta/`.
        keys: Observation groups to read, by our names; none: all.
        image_size: Crop and resize images; None leaves them as they are.

    Raises:
        FileNotFoundError: If there is no such data set.
        ValueError: If it is of another version, damaged or lacks something; names file and key.
            Also if the package pyarrow is missing.
    """

    def __init__(
        self, folder: Path | str, keys: Sequence[str] = (), image_size: Fit | None = None
    ) -> None:
        layout.check_installed()
        self.folder, self._size = Path(folder), image_size
        self._info_path = self.folder / layout.INFO
        if not self._info_path.is_file():
            raise FileNotFoundError(f"no LeRobot data set at {folder}: it has no {layout.INFO}")
        self._info = read_json(self._info_path)
        require(self._info_path, self._info, "codebase_version", "fps", "features", "data_path")
        if not str(version := self._info["codebase_version"]).startswith("v3."):
            raise ValueError(
                f"{self._info_path}: version {version!r} cannot be read, only {layout.VERSION}; "
                "lerobot can convert older ones"
            )
        self.rate_hz = float(self._info["fps"])
        self.robot = self._info.get("robot_type")
        self._features = self._chosen(keys)
        self._rows = self._episode_rows()

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    def tasks_of(self, index: int) -> list[str]:
        """What the robot was asked to do in an episode, in words."""
        return list(self._rows[index].get("tasks") or [])

    def load(self, index: int, *, outcome: str = "unknown", is_offline: bool = True) -> Episode:
        """Read an episode.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If it is damaged, or holds something that is not a number in its place.
        """
        row = self._rows[index]
        path, table = self._table(index, row)
        steps = len(table[layout.ACTION])
        observation = {}
        for name, group in self._features.items():
            feature = self._info["features"][name]
            if feature["dtype"] == "video":
                observation[group] = self._video(row, name, steps)
            elif feature["dtype"] == "image":
                observation[group] = self._embedded(path, table[name], name)
            else:
                observation[group] = checked(
                    path, name, _numbers(path, name, table[name]), (steps, None)
                )
        with blamed_on(path, f"episode {index}"):
            return Episode(
                observation=observation,
                action=checked(
                    path,
                    layout.ACTION,
                    _numbers(path, layout.ACTION, table[layout.ACTION]),
                    (steps, None),
                ),
                reward=_column(path, table, layout.REWARD, steps),
                terminated=flags(
                    path,
                    layout.TERMINATED,
                    _column(path, table, layout.TERMINATED, steps),
                    steps,
                ),
                policy="demonstration",
                outcome=outcome,
                is_offline=is_offline,
            )

    def _chosen(self, keys: Sequence[str]) -> dict[str, str]:
        """Our names of the features to read, by theirs."""
        features = self._info["features"]
        require(self._info_path, features, layout.ACTION)
        named = {name: group for name in features if (group := layout.group_name(name))}
        if missing := [key for key in keys if key not in named.values()]:
            known = ", ".join(sorted(named.values()))
            raise ValueError(f"{self._info_path}: no {', '.join(missing)}; there are {known}")
        chosen = {n: group for n, group in named.items() if not keys or group in keys}
        if len(set(chosen.values())) < len(chosen):
            raise ValueError(
                f"{self._info_path}: two of {sorted(chosen)} share a name; choose keys"
            )
        for name in chosen:
            feature = features[name]
            is_depth = feature["dtype"] in CAMERAS and 3 not in feature["shape"]
            if feature["dtype"] == "string" or is_depth:
                raise ValueError(
                    f"{self._info_path}: {name} is neither numbers nor a colour image; choose keys"
                )
        return chosen

    def _episode_rows(self) -> list[dict]:
        import pyarrow.parquet as parquet

        rows = []
        for path in sorted(self.folder.glob("meta/episodes/*/*.parquet")):
            with _readable(path):
                file = parquet.ParquetFile(path)
                names = [n for n in file.schema_arrow.names if not n.startswith("stats/")]
                rows += file.read(columns=names).to_pylist()
        rows.sort(key=lambda row: row["episode_index"])
        expected = self._info.get("total_episodes", len(rows))
        if len(rows) != expected or not rows:
            raise ValueError(
                f"{self.folder}: meta/episodes lists {len(rows)} episodes, {layout.INFO} says "
                f"{expected}"
            )
        return rows

    def _table(self, index: int, row: dict) -> tuple[Path, dict]:
        """The columns that are needed, of an episode's rows only."""
        import pyarrow.parquet as parquet

        where = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        path = self.folder / self._info["data_path"].format(**where)
        if not path.is_file():
            raise FileNotFoundError(f"no data at {path}, where episode {index} should be")
        with _readable(path):
            known = parquet.read_schema(path).names
        videos = [n for n in self._features if self._info["features"][n]["dtype"] == "video"]
        wanted = [*ROW_NUMBERS, layout.ACTION, *(n for n in self._features if n not in videos)]
        require(path, dict.fromkeys(known), *wanted)
        wanted += [name for name in (layout.REWARD, layout.TERMINATED) if name in known]
        with _readable(path):
            mine = ("episode_index", "=", row["episode_index"])
            table = parquet.read_table(path, columns=wanted, filters=[mine])
        columns = {name: table.column(name) for name in table.column_names}
        frames = np.asarray(columns["frame_index"])
        if len(frames) != row["length"] or not np.array_equal(frames, np.arange(len(frames))):
            raise ValueError(
                f"{path}: episode {index} has {len(frames)} rows, expected {row['length']} with "
                "frame_index 0, 1, ..."
            )
        return path, columns

    def _video(self, row: dict, name: str, steps: int) -> Array:
        where = {f"{part}_index": row[f"videos/{name}/{part}_index"] for part in ("chunk", "file")}
        path = self.folder / self._info["video_path"].format(video_key=name, **where)
        start = round(row[f"videos/{name}/from_timestamp"] * self.rate_hz)
        frames = read_frames(path, start, steps, self.rate_hz)
        return np.stack([self._prepared(frame) for frame in frames])

    def _embedded(self, path: Path, column: "ChunkedArray", name: str) -> Array:
        images = []
        for i, item in enumerate(column.to_pylist()):
            data = item["bytes"]
            if data is None and item["path"]:
                data = (self.folder / item["path"]).read_bytes()
            with blamed_on(path, f"{name} at index {i}"):
                images.append(decode(data or b"", self._size))
        return np.stack(images)

    def _prepared(self, frame: Array) -> Array:
        if self._size is None:
            return frame.transpose(2, 0, 1)
        return fit(frame, self._size)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # pyarrow's are among them
        raise ValueError(f"{path} is damaged or no parquet file: {error}") from error


def _numbers(path: Path, name: str, column: "ChunkedArray") -> Array:
    """(T, D) from a column of lists, or of single numbers."""
    with blamed_on(path, name):
        values = np.asarray(column.to_pylist())
    return values[:, None] if values.ndim == 1 else values


def _column(path: Path, table: dict, name: str, steps: int) -> Array:
    """(T,) numbers, zeros where the file has none."""
    if name not in table:
        return np.zeros(steps, np.float32)
    return checked(path, name, _numbers(path, name, table[name]), (steps, 1))[:, 0]
