"""Messages between the two environments: what goes in comes out, and nothing else gets in."""

import io
import pickle
import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tasks.robomimic.server.wire import MAX_BYTES, receive, send

HEAD = struct.Struct("<8sQ")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def test_arrays_and_text_arrive_as_they_were_sent(ends):
    arrays = {
        "observation/numbers": np.linspace(0, 1, 7),
        "small": np.arange(3, dtype=np.float32),
        "image": np.arange(84 * 84 * 3, dtype=np.uint8).reshape(84, 84, 3)[::-1],
        "none": np.zeros((0, 3)),
        "flag": np.bool_(True),
        "text": np.array("größer als 1\n"),
    }
    reader = threading.Thread(target=lambda: got.append(receive(ends[1], 10)))
    got: list = []
    reader.start()
    send(ends[0], "seen", arrays, 10)
    reader.join()
    kind, found = got[0]
    assert kind == "seen" and list(found) == list(arrays)
    for name, value in arrays.items():
        assert found[name].dtype == value.dtype and np.array_equal(found[name], value)


def test_messages_keep_their_borders(ends):
    for index in range(3):
        send(ends[0], f"kind {index}", {"number": np.array(index)}, 5)
    kinds = [receive(ends[1], 5) for _ in range(3)]
    assert [(kind, int(content["number"])) for kind, content in kinds] == [
        ("kind 0", 0),
        ("kind 1", 1),
        ("kind 2", 2),
    ]


class Alarm:
    """Goes off when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a message was unpickled",))


def test_objects_neither_leave_nor_enter(ends):
    with pytest.raises(ValueError, match=r"\['odd'\] hold objects"):
        send(ends[0], "seen", {"odd": np.array([{}], object)}, 5)
    body = io.BytesIO()
    np.savez(body, kind=np.array("seen"), odd=np.array([Alarm()], object))
    assert b"a message was unpickled" in body.getvalue()
    ends[0].sendall(HEAD.pack(b"sernf-rs", body.tell()) + body.getvalue())
    with pytest.raises(ValueError, match="cannot be read"):
        receive(ends[1], 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no message"),
        (HEAD.pack(b"sernf-rs", MAX_BYTES + 1), "no message"),
        (HEAD.pack(b"sernf-rs", 4) + b"abcd", "cannot be read"),
        (HEAD.pack(b"sernf-rs", 9) + pickle.dumps("x" * 9)[:9], "cannot be read"),
    ],
)
def test_what_is_no_message_is_refused(ends, content, message):
    ends[0].sendall(content)
    with pytest.raises(ValueError, match=message):
        receive(ends[1], 5)


@pytest.mark.parametrize("sent", [0, 5, 20])
def test_a_message_that_breaks_off_is_the_end(ends, sent):
    ends[0].sendall((HEAD.pack(b"sernf-rs", 100) + bytes(100))[:sent])
    ends[0].close()
    with pytest.raises(EOFError):
        receive(ends[1], 5)


def test_a_trickle_does_not_stretch_the_time(ends):
    """The limit is for the whole message, not for each of its bytes."""
    stop = threading.Event()

    def trickle():
        ends[0].sendall(HEAD.pack(b"sernf-rs", 1000))
        while not stop.wait(0.05):
            ends[0].sendall(b"x")

    writer = threading.Thread(target=trickle)
    writer.start()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(ends[1], 0.4)
    assert 0.3 < time.monotonic() - started < 3
    stop.set()
    writer.join()
