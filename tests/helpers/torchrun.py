"""Several processes on one CPU, started as torchrun starts them."""

import os
import socket
import subprocess
import sys


def start_together(code: str, *arguments: object, count: int = 2) -> list[subprocess.Popen[str]]:
    """Processes that run `code` with these arguments and find each other, not waited for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=os.environ | shared | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def run_together(code: str, *arguments: object, count: int = 2) -> list[str]:
    """What each printed, when all have ended well."""
    printed = []
    for process in start_together(code, *arguments, count=count):
        out, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors[-3000:]
        printed.append(out)
    return printed
