"""The write-ahead log: an open episode, on disk record by record.

A record is on its way to the disk when `append` returns: killing the process loses nothing, a power
failure what came after the last `sync`. Reading stops at the first record that is not whole.

Layout: `MAGIC`, then records of sequence number, kind, payload bytes (uint32 each), time in seconds
(float64), payload, and the CRC-32 of all of that (uint32); little endian.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"SERNFWAL1\n"
HEADER, STEP, END = 0, 1, 2
"""Kinds of records: the first one, one per step, and the last of a finished episode."""
_HEAD = struct.Struct("<IIId")
_CRC = struct.Struct("<I")


class LogWriter:
    """Appends records to a new file.

    Args:
        path: Must not exist.
        header: Plain values that describe the payloads; the first record.

    Raises:
        FileExistsError: If the file exists.
    """

    def __init__(self, path: Path, header: dict) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file: int | None = os.open(path, flags, 0o644)
        self._sequence = 0
        self._size = 0
        self._write(MAGIC)
        self.append(HEADER, json.dumps(header).encode(), 0.0)

    def append(self, kind: int, payload: bytes, time_s: float) -> None:
        """Write one record; when this returns, killing the process does not lose it.

        Raises:
            OSError: If the disk is full; the log then ends with the record before.
            ValueError: If the log is closed.
        """
        record = _HEAD.pack(self._sequence, kind, len(payload), time_s) + payload
        self._write(record + _CRC.pack(zlib.crc32(record)))
        self._sequence += 1

    def sync(self) -> None:
        """Also survive a power failure; takes milliseconds, so never in the control thread."""
        os.fdatasync(self._descriptor())

    def close(self) -> None:
        """Sync and close; harmless when closed."""
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError(f"{self.path} is closed")
        return self._file

    def _write(self, data: bytes) -> None:
        file = self._descriptor()
        try:
            written = os.write(file, data)
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError:
            os.ftruncate(file, self._size)  # half a record would hide the ones after it
            raise
        self._size += len(data)


@dataclass(frozen=True)
class Log:
    """What can be trusted of a log."""

    header: dict
    steps: list[bytes]
    times_s: list[float]
    end: bytes | None
    """Payload of the last record, if the episode was finished."""


def read_log(path: Path) -> Log | None:
    """The whole records from the start on; None if not even the header is whole."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        return None
    header: dict | None = None
    end: bytes | None = None
    steps, times = [], []
    for kind, time_s, payload in _records(data):
        if kind == HEADER:
            header = json.loads(payload)
        elif kind == STEP:
            steps.append(payload)
            times.append(time_s)
        else:
            end = payload
    return None if header is None else Log(header, steps, times, end)


def _records(data: bytes) -> list[tuple[int, float, bytes]]:
    found: list[tuple[int, float, bytes]] = []
    start = len(MAGIC)
    while start + _HEAD.size + _CRC.size <= len(data):
        sequence, kind, length, time_s = _HEAD.unpack_from(data, start)
        body = start + _HEAD.size
        after = body + length + _CRC.size
        if sequence != len(found) or after > len(data):
            break
        (crc,) = _CRC.unpack_from(data, body + length)
        if crc != zlib.crc32(data[start : body + length]):
            break
        found.append((kind, time_s, data[body : body + length]))
        start = after
    return found
