"""Runs one command of a sweep and writes down how it ended, also when the sweep is gone by then."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(exit_file: Path, command: list[str]) -> None:
    """Run a command; its exit code and duration go to a file, which appears as a whole."""
    # An interrupt is for the command, which may save something; we stay to note its end. It is not
    # ignored, because the command would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    started = time.monotonic()
    code = subprocess.call(command, close_fds=False)
    partial = exit_file.with_name(f".{exit_file.name}.partial")
    seconds = round(time.monotonic() - started, 3)
    partial.write_text(json.dumps({"code": code, "seconds": seconds}) + "\n")
    os.replace(partial, exit_file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
