"""The log of a control loop's ticks: every report, for as long as the disk has room."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.loop.messages import state_layout


def read_log(path: Path, num_joints: int, sensors: Mapping[str, int] | None = None) -> np.ndarray:
    """(T,) reports of a tick log, fields as in `state_layout`; a torn last one is left out."""
    layout = state_layout(num_joints, sensors)
    data = path.read_bytes()
    return np.frombuffer(data[: len(data) // layout.itemsize * layout.itemsize], layout)


class TickLog:
    """Every report in a file, for as long as there is room: the hand goes on without its log.

    Args:
        path: Appended to, after whole records only.
        record_size: Bytes of one.
    """

    def __init__(self, path: Path, record_size: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._record_size = record_size
        self._cut_torn()
        self.ended = ""
        """Why there are no more records; empty while there are."""

    def add(self, record: bytes) -> None:
        """Append one, unless the log has ended."""
        if self.ended:
            return
        try:
            if os.write(self._file, record) < len(record):
                raise OSError("no room for a whole record")
        except OSError as error:
            self.ended = f"the log of ticks ends here: {error}"
            with suppress(OSError):
                self._cut_torn()

    def _cut_torn(self) -> None:
        size = os.fstat(self._file).st_size
        if torn := size % self._record_size:
            os.ftruncate(self._file, size - torn)
