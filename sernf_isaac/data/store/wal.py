"""The write-ahead log: an open episode, on disk record by record.

A record is on its way to the disk when `append` returns: killing the process loses nothing, a power
failure what came after the last `sync`. Reading finds every whole record, also behind damage.

Layout: `MAGIC`, then records of sequence number, kind, payload bytes (uint32 each), time in seconds
(float64), payload, and the CRC-32 of all of that (uint32); little endian. The header is repeated
now and then, because without one no step can be read. Whoever writes a log holds a lock on it.
"""

import fcntl
import json
import os
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MAGIC = b"SERNFWAL1\n"
HEADER, STEP, END = 0, 1, 2
"""Kinds of records: the first one and its copies, one per step, the last of a finished episode."""
STEPS_PER_HEADER = 100
"""A copy of the header stands before the second step, and then before every so many."""
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
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else has it yet
        self._sequence = self._steps = 0
        self._size = 0
        self._header = json.dumps(header).encode()
        self._write(MAGIC)
        self._record(HEADER, self._header, 0.0)

    def append(self, kind: int, payload: bytes, time_s: float) -> None:
        """Write one record; when this returns, killing the process does not lose it.

        Raises:
            OSError: If the disk is full; the log then ends with the record before.
            ValueError: If the log is closed.
        """
        if kind == STEP:
            if self._steps == 1 or (self._steps and self._steps % STEPS_PER_HEADER == 0):
                self._record(HEADER, self._header, time_s)
            self._steps += 1
        self._record(kind, payload, time_s)

    def sync(self) -> None:
        """Also survive a power failure; takes milliseconds, so never in the control thread."""
        os.fdatasync(self._descriptor())

    def close(self) -> None:
        """Sync and close; harmless when closed."""
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None

    def _record(self, kind: int, payload: bytes, time_s: float) -> None:
        record = _HEAD.pack(self._sequence, kind, len(payload), time_s) + payload
        self._write(record + _CRC.pack(zlib.crc32(record)))
        self._sequence += 1

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
class Part:
    """Steps without a gap between them."""

    steps: list[bytes]
    times_s: list[float]


@dataclass(frozen=True)
class Log:
    """What can be trusted of a log."""

    header: dict
    parts: list[Part]
    """One if nothing is missing; none without steps."""
    end: bytes | None
    """Payload of the last record, if the episode was finished."""
    missing: list[tuple[int, int]]
    """Numbers of the records that are lost and may have been steps: first and last of each gap. The
    last one ends with -1 if nobody knows how many are missing at the end."""
    is_damaged: bool
    """Whether there is more than a record that was cut off while it was written."""

    @property
    def steps(self) -> list[bytes]:
        """All of them."""
        return [step for part in self.parts for step in part.steps]

    @property
    def losses(self) -> str:
        """What is missing, in words."""
        gaps = [f"{a} to {b}" if b >= 0 else f"from {a} on" for a, b in self.missing]
        lost = f"records {', '.join(gaps)} are lost" if gaps else "no step is lost"
        return f"{lost}, {len(self.steps)} steps were recovered"


@dataclass(frozen=True)
class _Record:
    sequence: int
    kind: int
    time_s: float
    payload: bytes


def is_being_written(path: Path) -> bool:
    """Whether a living process has this log open for writing."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # it was finished meanwhile
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def read_log(path: Path) -> Log | None:
    """The whole records, before and after any damage; None if no header is whole."""
    data = path.read_bytes()
    records, rest = _records(data)
    headers = [record for record in records if record.kind == HEADER]
    if not headers:
        return None
    gaps = _gaps(records)
    missing = [gap for gap in gaps if not _is_copy(gap, headers)]
    parts, end = _parts(records, {last + 1 for _, last in missing})
    is_cut = end is None and rest >= _shortest_whole(records)  # more than was being written
    if is_cut:
        missing.append((records[-1].sequence + 1, -1))
    is_damaged = bool(gaps) or is_cut or not data.startswith(MAGIC)
    return Log(json.loads(headers[0].payload), parts, end, missing, is_damaged)


def _gaps(records: list[_Record]) -> list[tuple[int, int]]:
    numbers = [-1, *(record.sequence for record in records)]
    return [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]


def _is_copy(gap: tuple[int, int], headers: list[_Record]) -> bool:
    """Whether nothing but a header is lost there. Older logs had no copies of it."""
    first, last = gap
    has_copies = any(header.sequence > 0 for header in headers)
    later = first >= STEPS_PER_HEADER and (first - 1) % (STEPS_PER_HEADER + 1) == 0
    return has_copies and first == last and (first in (0, 2) or later)


def _parts(records: list[_Record], begins: set[int]) -> tuple[list[Part], bytes | None]:
    """Steps without gaps, beginning anew at some numbers; the ending, if it follows a step."""
    parts, end = [Part([], [])], None
    for record in records:
        if record.sequence in begins:
            parts.append(Part([], []))
        if record.kind == STEP:
            parts[-1].steps.append(record.payload)
            parts[-1].times_s.append(record.time_s)
        elif record.kind == END and parts[-1].steps:
            end = record.payload
    return [part for part in parts if part.steps], end


def _records(data: bytes) -> tuple[list[_Record], int]:
    """All whole records in order, and how many bytes come after the last of them."""
    found: list[_Record] = []
    start = len(MAGIC) if data.startswith(MAGIC) else 0
    known = start
    while start + _HEAD.size + _CRC.size <= len(data):
        record = _record_at(data, start, found[-1].sequence + 1 if found else 0)
        if record is None:
            start += 1  # damage: the next whole record may begin anywhere
            continue
        found.append(record)
        start = known = start + _HEAD.size + len(record.payload) + _CRC.size
    return found, len(data) - known


def _record_at(data: bytes, start: int, least: int) -> _Record | None:
    """The record that begins there, with at least this number; None if none does."""
    sequence, kind, length, time_s = _HEAD.unpack_from(data, start)
    body = start + _HEAD.size
    if kind > END or sequence < least or body + length + _CRC.size > len(data):
        return None
    if sequence - least > len(data) // (_HEAD.size + _CRC.size):  # there is no room for so many
        return None
    (crc,) = _CRC.unpack_from(data, body + length)
    if crc != zlib.crc32(data[start : body + length]):
        return None
    return _Record(sequence, kind, time_s, data[body : body + length])


def _shortest_whole(records: list[_Record]) -> int:
    steps = [len(record.payload) for record in records if record.kind == STEP]
    return _HEAD.size + _CRC.size + (min(steps) if steps else 0)
