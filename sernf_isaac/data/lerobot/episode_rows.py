"""The table of a LeRobot data set's episodes: where each one is, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sernf_isaac.data.checks import check_file

EPISODE_FILES = "meta/episodes/*/*.parquet"


@dataclass(frozen=True)
class EpisodeRow:
    """One row of the table, whose numbers are checked when they are asked for."""

    path: Path
    """File it stands in."""
    row: int
    """Number of the row in that file."""
    values: dict[str, object]

    def whole(self, column: str) -> int:
        """A whole number; one that is written with a point counts, such as pandas' 0.0.

        Raises:
            ValueError: If it is missing, null or no whole number; names file, column and row.
        """
        value = self.number(column)
        if value != int(value):
            raise self._wrong(column, value, "a whole number")
        return int(value)

    def number(self, column: str) -> float:
        """A finite number.

        Raises:
            ValueError: As for `whole`.
        """
        if column not in self.values:
            raise ValueError(f"{self.path}: no {column}; it has {', '.join(sorted(self.values))}")
        value = self.values[column]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(column, value, "a number")
        if not abs(value) < float("inf"):
            raise self._wrong(column, value, "a number")
        return value

    def _wrong(self, column: str, value: object, expected: str) -> ValueError:
        shown = "null" if value is None else repr(value)
        return ValueError(
            f"{self.path}: {column} is {shown} in row {self.row}, expected {expected}"
        )


def read_rows(folder: Path) -> list[EpisodeRow]:
    """All episodes, by number, without their statistics.

    Raises:
        ValueError: If a file is damaged or an episode is listed twice; names the files.
    """
    from pyarrow import parquet

    rows: list[EpisodeRow] = []
    for path in sorted(folder.glob(EPISODE_FILES)):
        check_file(path, "episodes")
        with readable(path):
            file = parquet.ParquetFile(path)
            names = [n for n in file.schema_arrow.names if not n.startswith("stats/")]
            found = file.read(columns=names).to_pylist()
        rows += [EpisodeRow(path, number, values) for number, values in enumerate(found)]
    rows.sort(key=lambda row: row.whole("episode_index"))
    for one, other in pairwise(rows):
        if (index := one.whole("episode_index")) == other.whole("episode_index"):
            raise ValueError(
                f"episode {index} is in {one.path} (row {one.row}) and again in {other.path} (row "
                f"{other.row}); if one file is a copy, move it out of the data set"
            )
    return rows


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Blame errors of the parquet reader on the file."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # pyarrow's are among them
        raise ValueError(f"{path} is damaged or no parquet file: {error}") from error
