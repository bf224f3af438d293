"""A process of another environment that answers requests, and all the ways in which it may not."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tasks.robomimic.server.wire import PROTOCOL, Arrays, receive, send

_LOG_LINES, _LOG_BYTES = 8, 20_000


class RobosuiteError(RuntimeError):
    """The process of robosuite is gone, late, refuses, or speaks another version."""


class ServerProcess:
    """Starts `python -E -s SERVER FILE_DESCRIPTOR` and speaks with it over a socket.

    What the process prints is kept, and its end is part of the error when it fails. Whatever goes
    wrong but a refusal ends it, since nobody knows what it would answer next.

    Args:
        python: Interpreter.
        server: What it runs.
        environment: Its environment variables; those named PYTHON... are ignored (`-E`), since
            they are about this side's packages.
        start_timeout_s: Until it says hello.

    Raises:
        RobosuiteError: If it does not start, or speaks another version.
    """

    def __init__(
        self,
        python: Path,
        server: Path,
        *,
        environment: dict[str, str],
        start_timeout_s: float,
    ) -> None:
        self._awaited, self._closed = "start", False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = _start(
                [str(python), "-E", "-s", str(server), str(theirs.fileno())],
                descriptor=theirs.fileno(),
                environment=environment,
                log=self._log.fileno(),
            )
        self.hello = self.answer("hello", start_timeout_s)
        """What it said of itself."""
        if (version := int(self.hello["protocol"])) != PROTOCOL:
            self.close()
            raise RobosuiteError(
                f"{server} speaks version {version} of the protocol, this side {PROTOCOL}; "
                "take both from the same checkout"
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def request(self, kind: str, arrays: Arrays, timeout_s: float) -> None:
        """Ask for something; `answer` must follow before the next request.

        Raises:
            RobosuiteError: If the process is closed, dead or does not read.
            RuntimeError: If an answer is still to come.
        """
        if self._closed:
            raise RobosuiteError(f"'{kind}' after the process was closed; start another one")
        if self._awaited:
            raise RuntimeError(f"'{kind}' before the answer to '{self._awaited}' was taken")
        self._awaited = kind
        try:
            send(self._connection, kind, arrays, timeout_s)
        except TimeoutError:
            self._fail(f"did not take '{kind}' within {timeout_s:g} s and was ended", 0.0)
        except OSError:
            self._fail(f"died before '{kind}'")

    def answer(self, expected: str, timeout_s: float) -> Arrays:
        """What was answered.

        Raises:
            RobosuiteError: If the request was refused, or no answer of this kind came in time.
        """
        awaited, self._awaited = self._awaited, ""
        try:
            kind, content = receive(self._connection, timeout_s)
        except TimeoutError:
            self._fail(f"did not answer '{awaited}' within {timeout_s:g} s and was ended", 0.0)
        except EOFError:
            self._fail(f"died at '{awaited}'")
        except ValueError as error:
            self._fail(f"answered '{awaited}' with something else: {error}")
        if kind == "error":
            raise RobosuiteError(f"robosuite refused '{awaited}': {content['text']}")
        if kind != expected:
            self._fail(f"answered '{awaited}' with '{kind}' instead of '{expected}'")
        return content

    def close(self, timeout_s: float = 1.0) -> None:
        """End the process; harmless when it is gone."""
        self._connection.close()  # it ends when it reads that
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._closed = True
        self._log.close()

    def _fail(self, what: str, wait_s: float = 1.0) -> NoReturn:
        try:
            status = self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            status = None
        said = _tail(self._log.fileno())
        self.close(timeout_s=0.0)
        ended = "" if status is None else f" ({_ending(status)})"
        raise RobosuiteError(f"robosuite's process {what}{ended}{said}")


def _start(
    command: Sequence[str], *, descriptor: int, environment: dict[str, str], log: int
) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # Ctrl-C is for this side, which then ends the other
    )


def _ending(status: int) -> str:
    """An exit status in words."""
    return f"exit status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


def _tail(log: int) -> str:
    """The last lines of what a process printed."""
    end = os.lseek(log, 0, os.SEEK_END)
    text = os.pread(log, _LOG_BYTES, max(0, end - _LOG_BYTES)).decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()][-_LOG_LINES:]
    return "\n".join(["; it printed last:", *lines]) if lines else "; it printed nothing"
