"""A ROS 2 bag as a stream of undecoded messages, without ROS; whatever is wrong with it is named.

sqlite3 and mcap, as the folder a recorder leaves behind or as a single file.
"""

import importlib.util
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_isaac.data.checks import check_file
from sernf_isaac.install import install_command

if TYPE_CHECKING:
    from rosbags.rosbag2 import Reader

CDR = "cdr"
"""How ROS 2 serialises messages."""
REPAIR = "if the recorder was killed, `ros2 bag reindex` or `mcap recover` may save it"


def check_installed() -> None:
    """An error if the package that reads bags is missing; it is an optional one.

    Raises:
        ValueError: Says how to install it.
    """
    if importlib.util.find_spec("rosbags") is None:
        raise ValueError(f"ROS 2 bags need the package rosbags: {install_command('bags')}")


def list_topics(path: Path | str) -> dict[str, tuple[str, int]]:
    """Type and number of messages of each topic.

    Raises:
        FileNotFoundError: If there is no such bag.
        ValueError: If it is damaged or of another kind, or the package rosbags is missing.
    """
    with _opened(Path(path)) as reader:
        return {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}


def read_messages(path: Path | str, topics: Iterable[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, time of receipt in nanoseconds and undecoded content, in order of receipt.

    Raises:
        FileNotFoundError: If there is no such bag.
        ValueError: As for `list_topics`, or if a topic is missing, empty, has two types, or fewer
            messages than the bag claims.
    """
    path = Path(path)
    with _opened(path) as reader:
        wanted = _connections(path, reader, set(topics))
        found = Counter()
        for connection, receive_ns, data in _guarded(path, reader.messages(wanted)):
            found[connection.topic] += 1
            yield connection.topic, connection.msgtype, receive_ns, data
        claimed = Counter()
        for connection in wanted:
            claimed[connection.topic] += connection.msgcount
    for topic, count in claimed.items():
        if found[topic] != count:
            raise ValueError(
                f"{path}: {topic} has {found[topic]} messages, the bag claims {count}; {REPAIR}"
            )


def _connections(path: Path, reader: "Reader", topics: set[str]) -> list:
    connections = [c for c in reader.connections if c.topic in topics]
    known = sorted({c.topic for c in reader.connections})
    for topic in sorted(topics):
        mine = [c for c in connections if c.topic == topic]
        if not mine:
            close = get_close_matches(topic, known, n=1)
            there = f"it has {', '.join(known)}" if known else "the bag has no topics"
            hint = f"did you mean {close[0]}?" if close else there
            raise ValueError(f"{path}: no topic {topic}; {hint}")
        formats = {getattr(c.ext, "serialization_format", CDR) for c in mine}  # ROS 1 has none
        if odd := formats - {CDR}:
            raise ValueError(
                f"{path}: {topic} is serialised as {', '.join(sorted(odd))}; only {CDR} can be read"
            )
        if len(types := sorted({c.msgtype for c in mine})) > 1:
            raise ValueError(f"{path}: {topic} has messages of several types: {', '.join(types)}")
        if not sum(c.msgcount for c in mine):
            raise ValueError(f"{path}: {topic} has no messages")
    return connections


@contextmanager
def _opened(path: Path) -> Iterator["Reader"]:
    check_installed()
    from rosbags.rosbag2 import Reader

    if not path.exists():
        raise FileNotFoundError(f"no bag at {path}")
    _check_finished(path)
    try:
        reader = Reader(path)
        reader.open()
    except Exception as error:  # the parser raises whatever it trips over
        raise _damaged(path, error) from error
    try:
        yield reader
    finally:
        reader.close()


def _check_finished(path: Path) -> None:
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise ValueError(f"{path} is no finished bag: it has no metadata.yaml; {REPAIR}")
    for file in path.iterdir() if path.is_dir() else [path]:
        if file.is_file() or file.is_symlink():
            check_file(file, "file of the bag")
    for file in path.glob("*.db3") if path.is_dir() else [path]:
        log = file.with_name(f"{file.name}-wal")
        if log.is_file() and log.stat().st_size:
            raise ValueError(
                f"{path} is no finished bag: {log.name} holds messages that {file.name} lacks; "
                f"open it once for writing, as with: sqlite3 {file.name} 'PRAGMA wal_checkpoint'"
            )
        if file.suffix == ".db3":
            _check_whole(path, file)


def _check_whole(path: Path, file: Path) -> None:
    """SQLite reads what is there of a database that was cut off; its header says how much it is."""
    with file.open("rb") as opened:
        header = opened.read(32)
    if len(header) < 32:
        raise _damaged(path, EOFError(f"{file.name} is cut off"))
    page_bytes, pages = struct.unpack(">16xH10xI", header)
    whole = (65536 if page_bytes == 1 else page_bytes) * pages
    if (size := file.stat().st_size) < whole:
        raise _damaged(path, EOFError(f"{file.name} is cut off at {size} of {whole} bytes"))


def _guarded(path: Path, messages: Iterator) -> Iterator:
    """What `messages` gives, with errors in reading it, and only those, blamed on the file."""
    while True:
        try:
            message = next(messages)
        except StopIteration:
            return
        except Exception as error:  # the parser raises whatever it trips over
            raise _damaged(path, error) from error
        yield message


def _damaged(path: Path, error: Exception) -> ValueError:
    what = str(error) or type(error).__name__
    if "erialization format" in what:
        return ValueError(f"{path}: {what.rstrip('.')}; only {CDR} can be read")
    return ValueError(f"{path} is damaged or no ROS 2 bag: {what.rstrip('.')}; {REPAIR}")
