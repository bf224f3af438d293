"""Who may talk to the page: this machine, with the token, in few words."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sernf_isaac.data.store.labels import revisions

pytest.importorskip("fastapi", reason="the labelling page needs the extra 'label'")
from sernf_isaac.deploy.labelling.gate import LARGEST_BODY, Gate
from sernf_isaac.deploy.labelling.server import listen, serve

TOKEN = "open sesame"
"""Of the fixture `app`."""


def test_nothing_is_told_without_the_token(stranger, run, eid):
    for path in ("/", "/api/episodes", f"/api/episodes/{eid}", "/openapi.json", "/docs"):
        assert stranger.get(path).status_code in (401, 404)
        assert stranger.get(path, params={"token": TOKEN[:-1]}).status_code in (401, 404)
    answer = stranger.post(f"/api/episodes/{eid}/labels", json={"annotator": "eve"})
    assert answer.status_code == 401 and revisions(run, eid) == []
    assert stranger.get("/", params={"token": TOKEN}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8765", 200),
        ("127.0.0.1:9000", 200),
        ("[::1]:8765", 200),
        ("attacker.example", 400),
        ("attacker.example:8765", 400),
        ("127.0.0.1.attacker.example", 400),
        ("localhost@attacker.example", 400),
        ("192.168.1.7:8765", 400),
        ("", 400),
    ],
)
def test_only_names_of_this_machine_are_answered_to(client, host, status):
    """Else a page of somebody else's could point its own name here and read the answers."""
    assert client.get("/api/episodes", headers={"Host": host}).status_code == status


async def untouched(scope, receive, send):
    raise AssertionError("the application was reached")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": "800000000"}, 401),
        ({"x-token": TOKEN, "content-length": "800000000"}, 413),
        ({"x-token": TOKEN, "content-length": str(LARGEST_BODY + 1)}, 413),
        ({"x-token": TOKEN, "content-length": "9" * 30}, 400),
        ({"x-token": TOKEN, "content-length": "-1"}, 400),
        ({"x-token": TOKEN, "transfer-encoding": "chunked"}, 411),
    ],
)
def test_token_and_size_are_checked_before_the_body_is_read(headers, status):
    sent = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b""}
    scope["headers"] = [(b"host", b"localhost"), *pairs]
    asyncio.run(Gate(untouched, TOKEN)(scope, receive, send))
    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.fixture
def port(app):
    """Where the server answers, in this process."""
    bound = listen(0)
    threading.Thread(target=serve, args=(app, bound), daemon=True).start()
    return bound.getsockname()[1]


@pytest.mark.parametrize("token", ["wrong", TOKEN])
def test_a_long_body_is_refused_as_soon_as_it_is_announced(port, token):
    head = "POST /api/episodes/x/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: 800000000"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{head}\r\nX-Token: {token}\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(4096):  # the server hangs up: it does not wait for the body
            answer += part
    assert answer.startswith(b"HTTP/1.1 401" if token == "wrong" else b"HTTP/1.1 413")


def test_a_taken_port_is_said_and_a_listening_one_takes_connections_at_once():
    with listen(0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port {number} cannot be used"):
            listen(number)
        socket.create_connection(("127.0.0.1", number), timeout=5).close()
    with pytest.raises(ValueError, match="--port 99999 cannot be used"):
        listen(99999)


def test_the_token_is_not_printed_when_the_port_is_taken(run):
    script = Path(__file__).parents[4] / "scripts" / "label.py"
    with listen(0) as taken:
        number = str(taken.getsockname()[1])
        command = [sys.executable, str(script), "--run", str(run), "--port", number, "--no_frames"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode != 0 and "token" not in ended.stdout + ended.stderr
    assert f"--port {number} cannot be used" in ended.stderr and "Traceback" not in ended.stderr


def test_many_at_once_are_answered(client, eid):
    """Threads of the server share the reader of the run."""
    answers = []
    ask = lambda: answers.append(client.get("/api/episodes").status_code)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + 30
    for thread in threads:
        thread.join(until_s - time.monotonic())
    assert answers == [200] * 16
