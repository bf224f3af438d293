"""A lock that counts only while its file is the one that everybody finds."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InodeLock:
    """Held by one process, until it closes or dies.

    Args:
        path: Made if it does not exist.

    Raises:
        RuntimeError: If another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._file)
                raise RuntimeError(f"another process writes here: it holds {path}") from error
            if self._is_found():
                return
            os.close(self._file)  # replaced between opening and locking

    def check(self) -> None:
        """Nothing while the lock holds.

        Raises:
            RuntimeError: If its file was removed or replaced: another process may hold the new one.
        """
        if not self._is_found():
            raise RuntimeError(
                f"{self._path} was removed or replaced, and another process may write here; end "
                "all of them and start one again"
            )

    def fileno(self) -> int:
        """Its descriptor: a process that inherits it holds the lock, too."""
        return self._file

    def close(self) -> None:
        """Let others have it; harmless when closed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_found(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process has the lock of a piece of work; its file is removed at the end.

    Args:
        path: Of the lock; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = InodeLock(path)
    except RuntimeError:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it makes a new one
        lock.close()
