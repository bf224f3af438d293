"""Tables and videos of a LeRobot data set, begun anew when a file has grown large."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.data.episode import Array
from sernf_isaac.data.images.video import VideoWriter
from sernf_isaac.data.lerobot import format as layout

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

MEGABYTE = 2**20


def _place(number: int) -> dict[str, int]:
    return {
        "chunk_index": number // layout.FILES_PER_CHUNK,
        "file_index": number % layout.FILES_PER_CHUNK,
    }


class DataFiles:
    """The steps of all episodes, an episode per row group."""

    def __init__(self, folder: Path, limit_bytes: int = layout.DATA_FILE_MB * MEGABYTE) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._number, self._written = 0, 0
        self._writer: ParquetWriter | None = None

    def append(self, columns: dict[str, list]) -> dict[str, int]:
        """Write an episode; returns where it is, for its row."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        table = pyarrow.table(columns)
        if self._writer is not None and self._written + table.nbytes > self._limit_bytes:
            self.close()
            self._number += 1
        place = _place(self._number)
        if self._writer is None:
            path = self._folder / layout.DATA.format(**place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer, self._written = ParquetWriter(path, table.schema), 0
        self._writer.write_table(table)
        self._written += table.nbytes
        return {f"data/{name}": value for name, value in place.items()}

    def close(self) -> None:
        """Finish the file; harmless if none is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class VideoFiles:
    """The images of all episodes, a video per camera."""

    def __init__(
        self, folder: Path, rate_hz: int, limit_bytes: int = layout.VIDEO_FILE_MB * MEGABYTE
    ) -> None:
        self._folder, self._rate_hz, self._limit_bytes = folder, rate_hz, limit_bytes
        self._numbers: dict[str, int] = {}
        self._writers: dict[str, VideoWriter] = {}

    def append(self, camera: str, images: Array) -> dict[str, float]:
        """Write an episode's (T, 3, h, w) images; returns where they are, for its row."""
        writer = self._writers.get(camera)
        if writer is not None and writer.bytes_written > self._limit_bytes:
            writer.close()
            self._numbers[camera] += 1
            writer = None
        place = _place(self._numbers.setdefault(camera, 0))
        if writer is None:
            path = self._folder / layout.VIDEO.format(video_key=camera, **place)
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = images.shape[2:]
            writer = VideoWriter(path, (height, width), self._rate_hz)
            self._writers[camera] = writer
        first = writer.frames
        writer.append(images)
        times_s = {
            "from_timestamp": first / self._rate_hz,
            "to_timestamp": writer.frames / self._rate_hz,
        }
        return {f"videos/{camera}/{name}": value for name, value in (place | times_s).items()}

    def close(self) -> None:
        """Finish all videos."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def abandon(self) -> None:
        """Stop without finishing; harmless after `close`."""
        for writer in self._writers.values():
            writer.abandon()


def write_table(path: Path, rows: list[dict], *, index: str | None = None) -> None:
    """Write rows as parquet; pandas, which LeRobot reads it with, takes one column as index."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(rows)
    if index is not None:
        columns = [
            {
                "name": name,
                "field_name": name,
                "pandas_type": "unicode" if name == index else "int64",
                "numpy_type": "object" if name == index else "int64",
                "metadata": None,
            }
            for name in table.column_names
        ]
        hints = {"index_columns": [index], "column_indexes": [], "columns": columns}
        table = table.replace_schema_metadata({b"pandas": json.dumps(hints).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
