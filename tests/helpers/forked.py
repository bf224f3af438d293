"""Processes forked off one that has imported what they need: importing takes longer than tests do.

One such server serves all tests of a process, so what it imports is named here.
"""

import multiprocessing
import os
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "torch.distributed",
        "torch._dynamo",  # the first step of an optimiser imports it
        "sernf_isaac.data.store.reader",
        "sernf_isaac.data.store.writer",
        "sernf_isaac.learning.distill.distiller",
        "sernf_isaac.learning.online.polishing",
    ]
)


@dataclass
class Program:
    """A process that runs a piece of code as its main module."""

    process: BaseProcess
    errors: Connection

    @classmethod
    def start(cls, code: str, *arguments: object, variables: dict[str, str] | None = None) -> Self:
        """Begin.

        Args:
            code: Python.
            arguments: `sys.argv` after the program's name, as text.
            variables: Of the environment, besides this process's own.
        """
        ours, theirs = FORKED.Pipe(duplex=False)
        given = (code, [str(a) for a in arguments], dict(os.environ) | (variables or {}), theirs)
        process = FORKED.Process(target=_run, args=given, daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def ended(self, patience_s: float = 280.0) -> tuple[int | None, str]:
        """Wait: the exit status, negative for a signal and None if too late, and the error."""
        self.process.join(patience_s)
        status = self.process.exitcode
        self.process.kill()
        try:
            return status, self.errors.recv() if status and self.errors.poll() else ""
        except EOFError:  # it was killed
            return status, ""


def _run(code: str, arguments: list[str], variables: dict[str, str], errors: Connection) -> None:
    os.environ.update(variables)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<code of a test>", "exec"), {"__name__": "__main__"})
    except BaseException:
        errors.send(traceback.format_exc())
        raise
