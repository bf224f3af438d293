"""How the learner's side and robosuite's process talk: arrays by name as npz, after their length.

Runs in both environments, so it needs nothing but NumPy, 1.26 or 2. Nothing is pickled.
"""

import io
import socket
import struct
import time
import zipfile

import numpy as np

PROTOCOL = 1
"""Raised with every change that an older side would misunderstand."""
MAX_BYTES = 1 << 28
_MAGIC = b"sernf-rs"
_HEAD = struct.Struct("<8sQ")  # magic, bytes that follow
_KIND = "kind"

Arrays = dict[str, np.ndarray]


def send(connection: socket.socket, kind: str, arrays: Arrays, timeout_s: float | None) -> None:
    """Send one message.

    Raises:
        ValueError: If an array holds objects, which only pickle could carry.
        TimeoutError, OSError: If the other side does not read, or is gone.
    """
    content = {_KIND: np.array(kind), **arrays}
    if odd := [name for name, value in content.items() if np.asarray(value).dtype.hasobject]:
        raise ValueError(f"{odd} hold objects; messages are numbers and text")
    body = io.BytesIO()
    np.savez(body, **content)  # type: ignore[arg-type]  # its own options are no names of ours
    connection.settimeout(timeout_s)
    connection.sendall(_HEAD.pack(_MAGIC, body.tell()) + body.getvalue())


def receive(connection: socket.socket, timeout_s: float | None) -> tuple[str, Arrays]:
    """The next message's kind and arrays.

    Args:
        connection: To the other side.
        timeout_s: For the whole message; None waits for ever.

    Raises:
        EOFError: If the other side is gone.
        TimeoutError: If the message is not there in time.
        ValueError: If what comes is no message.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    magic, size = _HEAD.unpack(_read(connection, _HEAD.size, until))
    if magic != _MAGIC or size > MAX_BYTES:
        raise ValueError(f"the other side sent {magic!r} and a length of {size}, no message")
    body = _read(connection, size, until)
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        return str(arrays.pop(_KIND)), arrays
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"the other side sent a message that cannot be read: {error}") from error


def _read(connection: socket.socket, size: int, until: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        left_s = None if until is None else until - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError("no message in time")
        connection.settimeout(left_s)
        try:
            part = connection.recv(min(size, 1 << 20))
        except ConnectionError as error:
            raise EOFError("the other side is gone") from error
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
