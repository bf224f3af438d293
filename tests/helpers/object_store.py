"""An S3 server of a package, in a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

BUCKET = "lab"


@contextlib.contextmanager
def s3_server(patience_s: float = 300.0) -> Iterator[subprocess.Popen]:
    """A server with one bucket, which the environment's AWS variables name meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "moto.server", "-p", url.rpartition(":")[2]]
    known = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    known |= {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in known}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            _make_bucket(f"{url}/{BUCKET}", server, time.monotonic() + patience_s)
            os.environ.update(known)
            yield server
        finally:
            server.kill()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _make_bucket(url: str, server: subprocess.Popen, until_s: float) -> None:
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10)
            return
        except OSError:
            assert server.poll() is None and time.monotonic() < until_s, "the server did not start"
            time.sleep(0.1)
