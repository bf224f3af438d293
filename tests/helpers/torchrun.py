"""Several processes on one CPU that find each other, as torchrun starts them."""

import socket

from forked import Program


def run_together(code: str, *arguments: object, count: int = 2) -> None:
    """Have processes run `code` with these arguments, and wait until all have ended well.

    Raises:
        AssertionError: If one fails; says how.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": f"{count}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}"}
    programs = [
        Program.start(code, *arguments, variables=shared | {"RANK": f"{rank}"})
        for rank in range(count)
    ]
    for program in programs:
        status, error = program.ended()
        assert status == 0, f"exit status {status}: {error[-3000:]}"
