"""Several cameras that look at one cube."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol, Self

from perception.tracking.tracker import PoseEstimate


class OneCamera(Protocol):
    """A pose source of one camera; a context manager if it has a thread."""

    def latest(self) -> PoseEstimate | None: ...
    def reset(self) -> None: ...


class SeveralCameras:
    """Poses of one cube from several cameras; use it as a context manager.

    Args:
        sources: One per camera. Their trackers share a `SharedFilter`, and know their cameras'
            places in one frame.

    Raises:
        ValueError: If there is no camera.
    """

    def __init__(self, sources: Sequence[OneCamera]) -> None:
        if not sources:
            raise ValueError("several cameras are at least one")
        self._sources, self._open = sources, ExitStack()

    def __enter__(self) -> Self:
        for source in self._sources:
            if hasattr(source, "__enter__"):
                self._open.enter_context(source)  # type: ignore[arg-type]  # it is one
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def latest(self) -> PoseEstimate | None:
        """The cube now, by all cameras; None while it is lost.

        Raises:
            RuntimeError: If a camera's thread has failed; says which.
            ConnectionError: If a camera is gone; says which.
        """
        newest = None
        for number, source in enumerate(self._sources, 1):  # each takes in what it has seen
            try:
                newest = source.latest()
            except (ConnectionError, RuntimeError) as error:
                raise type(error)(f"camera {number}: {error}") from error
        return newest

    def reset(self) -> None:
        """Forget what was seen: a new episode begins."""
        for source in self._sources:
            source.reset()
