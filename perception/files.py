"""Files that are there completely or not at all, and JSON whose errors say where they are."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

PARTIAL = ".*.partial"
"""Names of files that were being written when the machine stopped."""


def partial_of(path: Path) -> Path:
    """Where a file is written before it gets its name; a new place each time."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")


def remove_partials(path: Path) -> None:
    """Remove what was left of attempts to write a file; for who alone writes it."""
    for leftover in path.parent.glob(f".{path.name}.*.partial"):
        leftover.unlink(missing_ok=True)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a crash leaves the old one or the new one, also when power fails.

    Args:
        path: Its folder is made.
        write: Gets an open file and fills it.

    Raises:
        OSError: If the file cannot be written; names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    try:
        write_synced(partial, write)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_synced(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that it survives a power failure once this returns; it has no reader yet."""
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def check_writable(path: Path, kinds: tuple[str, ...] = ()) -> None:
    """Find out before the work is done whether its result can be written; makes the folder.

    Args:
        path: Of a file that will be written.
        kinds: Endings its name may have; any if there are none.

    Raises:
        OSError: If it cannot be written; names the file or folder.
        ValueError: If its name has another ending.
    """
    if kinds and path.suffix.lower() not in kinds:
        raise ValueError(f"{path}: the name must end in {' or '.join(kinds)}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = partial_of(path)
    probe.touch()
    probe.unlink()


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write plain values as JSON, whole; numbers that are not finite are a `ValueError`."""
    write_text(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole."""
    write_whole(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> dict:
    """The object that a JSON file holds.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no JSON object; names file, line and column.
    """
    try:
        content = json.loads(path.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path} is no JSON, {place}: {error.msg}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object {{...}}, but a {type(content).__name__}")
    return content


def required(content: dict, names: tuple[str, ...], where: str) -> list:
    """The values of keys that must be there.

    Raises:
        ValueError: Naming every key that is missing.
    """
    if missing := [name for name in names if name not in content]:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    return [content[name] for name in names]
