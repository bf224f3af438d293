"""What the actor and the hand's process tell each other: fixed records in shared memory.

One writer per mailbox, no locks: a reader gets the newest whole message, never half of one, and
whoever dies while writing leaves the last whole message behind.
"""

import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from sernf_isaac.deploy.loop.states import Command, Reason, Request, State
from sernf_isaac.deploy.protocols import Array

_HEAD = struct.Struct("<QI")  # message number, odd while it is being written; CRC-32
_HEAD_ROOM = 16
_TRIES = 100
SENSORS = "sensors"
"""The field of a report with what is measured beside the joints; only where there is anything."""


class Mailbox:
    """The newest message of one writer.

    Args:
        memory: Shared bytes, zero at first.
        start: Where in them this mailbox begins.
        layout: Type of a message.
    """

    def __init__(self, memory: mmap.mmap, start: int, layout: np.dtype) -> None:
        self._memory, self._start, self._layout = memory, start, layout
        self._number = 0
        self._last: np.void | None = None

    @staticmethod
    def room(layout: np.dtype) -> int:
        """Bytes one mailbox takes."""
        return -(-(_HEAD_ROOM + layout.itemsize) // 64) * 64

    @property
    def record_size(self) -> int:
        """Bytes of one message."""
        return self._layout.itemsize

    def write(self, message: np.ndarray) -> None:
        """Replace the message by a (1,) array of the layout."""
        content, body = message.tobytes(), self._start + _HEAD_ROOM
        self._number += 1
        _HEAD.pack_into(self._memory, self._start, self._number, 0)
        self._memory[body : body + len(content)] = content
        self._number += 1
        _HEAD.pack_into(self._memory, self._start, self._number, zlib.crc32(content))

    def read(self) -> np.void | None:
        """The newest whole message; None before the first."""
        body = self._start + _HEAD_ROOM
        for _ in range(_TRIES):
            number, crc = _HEAD.unpack_from(self._memory, self._start)
            if number == 0:
                return None
            content = self._memory[body : body + self._layout.itemsize]
            if number % 2 == 0 and zlib.crc32(content) == crc:
                self._last = np.frombuffer(content, self._layout)[0]
                break
        return self._last


def command_layout(num_joints: int) -> np.dtype:
    """Actor to hand."""
    return np.dtype(
        [("sequence", "i8"), ("time_s", "f8"), ("request", "i8"), ("target", "f8", (num_joints,))]
    )


def operator_layout() -> np.dtype:
    """Person to hand: how often each key was pressed."""
    return np.dtype([("stops", "i8"), ("clears", "i8")])


def state_layout(num_joints: int, sensors: Mapping[str, int] | None = None) -> np.dtype:
    """Hand to everybody, once per tick; also the format of the tick log.

    Args:
        num_joints: A.
        sensors: Sizes of the vectors that are measured beside the joints, by name.
    """
    joints = (num_joints,)
    numbers = ("sequence", "command_sequence", "rejected", "limited", "missed", "placed")
    times = ("time_s", "lateness_s", "since_s", "command_age_s")
    vectors = ("joint_pos", "joint_vel", "sent", "goal")
    measured = [(name, "f8", (size,)) for name, size in (sensors or {}).items()]
    return np.dtype(
        [(name, "i8") for name in ("state", "reason", *numbers)]
        + [(name, "f8") for name in times]
        + [(name, "f8", joints) for name in vectors]
        + [("has_cube", "i8"), ("cube", "f8", (7,)), ("error", "S200")]
        + ([(SENSORS, measured)] if measured else [])
    )


@dataclass(frozen=True)
class HandState:
    """The hand's newest report; joint vectors are (A,)."""

    sequence: int
    """Ticks done."""
    time_s: float
    state: State
    reason: Reason
    since_s: float
    """When the state began."""
    command_sequence: int
    """Newest command that was looked at."""
    command_age_s: float
    """Age of the newest command at this tick."""
    joint_pos: Array
    joint_vel: Array
    sent: Array
    """Servo targets sent with this tick [rad]."""
    goal: Array
    """Moving average of the actions [rad]."""
    rejected: int
    limited: int
    missed: int
    """Ticks that were left out because an earlier one took too long."""
    placed: int
    """How often the object was placed by the machine."""
    cube: Array | None
    """(7,) the object's true pose, if the hand is simulated."""
    lateness_s: float
    error: str
    sensors: Mapping[str, Array] = field(default_factory=dict)
    """What is measured beside the joints, by name."""


def to_state(message: np.void) -> HandState:
    """A message as a `HandState`."""
    plain = {
        name: message[name].item() if message[name].ndim == 0 else np.array(message[name])
        for name in message.dtype.names or ()
        if name not in ("state", "reason", "has_cube", "cube", "error", SENSORS)
    }
    measured = message[SENSORS] if SENSORS in (message.dtype.names or ()) else None
    return HandState(
        **plain,  # type: ignore[arg-type]  # every field has its layout's type
        state=State(int(message["state"])),
        reason=Reason(int(message["reason"])),
        cube=np.array(message["cube"]) if message["has_cube"] else None,
        error=bytes(message["error"]).decode(errors="replace"),
        sensors={}
        if measured is None
        else {name: np.array(measured[name]) for name in measured.dtype.names},
    )


def to_command(message: np.void | None) -> Command | None:
    """A message as a `Command`."""
    if message is None:
        return None
    return Command(
        int(message["sequence"]),
        float(message["time_s"]),
        Request(int(message["request"])),
        np.array(message["target"]),
    )


class SharedMessages:
    """The three mailboxes of one hand, in a file that both processes map.

    Args:
        path: The file; made if it does not exist.
        num_joints: A.
        sensors: As in `state_layout`.
    """

    def __init__(
        self, path: Path, num_joints: int, sensors: Mapping[str, int] | None = None
    ) -> None:
        states = state_layout(num_joints, sensors)
        layouts = (command_layout(num_joints), operator_layout(), states)
        starts = np.cumsum([0] + [Mailbox.room(layout) for layout in layouts]).tolist()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < starts[-1]:
                os.ftruncate(descriptor, starts[-1])
            self._memory = mmap.mmap(descriptor, starts[-1])
        finally:
            os.close(descriptor)
        self.command, self.operator, self.state = (
            Mailbox(self._memory, start, layout)
            for start, layout in zip(starts[:-1], layouts, strict=True)
        )

    @classmethod
    def create(cls, num_joints: int, sensors: Mapping[str, int] | None = None) -> tuple[Self, int]:
        """New ones in memory without a name, and the descriptor to hand to the other process.

        Nothing is left behind, whoever is killed and when.
        """
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("sernf-hand")
        else:
            descriptor, name = tempfile.mkstemp(prefix="sernf-hand-")
            os.unlink(name)
        return cls(Path(f"/dev/fd/{descriptor}"), num_joints, sensors), descriptor


class HandLink(Protocol):
    """The actor's end of a hand: `HandProcess` or `InProcessHand`."""

    def state(self) -> HandState: ...
    def send(self, request: Request, target: Array | None = None) -> int: ...
    def alive(self) -> None: ...
    def stop(self) -> None: ...
    def clear(self) -> None: ...
    def check(self) -> None: ...
