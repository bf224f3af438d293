"""Files that survive a crash: written beside their place, synced, then renamed into it."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileRecord:
    """What a commit promises about a file."""

    path: str
    """Relative to the run's folder."""
    size: int
    """In bytes."""
    sha256: str

    @classmethod
    def from_dict(cls, values: object) -> "FileRecord":
        """A record as it was read.

        Raises:
            ValueError: If an entry is missing, unknown or of another type.
        """
        if not isinstance(values, dict) or set(values) != {"path", "size", "sha256"}:
            raise ValueError(
                f"a file must be described by path, size and sha256, not by {values!r}"
            )
        record = cls(**values)
        texts = isinstance(record.path, str) and isinstance(record.sha256, str)
        if not texts or type(record.size) is not int:
            raise ValueError(f"a file is described by values of the wrong type: {values!r}")
        return record

    def check(self, root: Path) -> Path:
        """The file, unless it is not the promised one.

        Raises:
            ValueError: If it lies outside the run, is missing, or differs in size or checksum;
                names the file.
        """
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError(f"a record of {root} names {self.path}, which lies outside the run")
        path = root / self.path
        if not path.is_file():
            raise ValueError(f"{path} is committed but missing")
        if (size := path.stat().st_size) != self.size:
            raise ValueError(f"{path} has {size} bytes, its commit says {self.size}")
        if sha256_of(path) != self.sha256:
            raise ValueError(f"{path} is damaged: its checksum is not the committed one")
        return path


def describe(staged: Path, path: str) -> FileRecord:
    """The record of a complete file that is going to be published as `path`."""
    return FileRecord(path, staged.stat().st_size, sha256_of(staged))


def sha256_of(path: Path) -> str:
    """Checksum of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(staged: Path, target: Path) -> None:
    """Move a complete file to where others look for it: they see all of it or nothing."""
    sync(staged)
    os.replace(staged, target)
    sync(target.parent)


def publish_new(staged: Path, target: Path) -> bool:
    """Like `publish`, but never over an existing file; whether the place was free."""
    sync(staged)
    try:
        os.link(staged, target)
    except FileExistsError:
        return False
    finally:
        staged.unlink()
    sync(target.parent)
    return True


def write_json(path: Path, content: dict) -> Path:
    """Write a small file that is not yet published; returns its path."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))
    return path


def read_json(path: Path) -> dict:
    """Read an object from a JSON file.

    Raises:
        ValueError: If it holds anything else; names the file.
    """
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content
