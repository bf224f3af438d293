"""The arm's loop as a process of its own, beside the hand's: neither waits for the other.

A driver's 1 kHz thread lives in it. When the actor is killed the arm holds; when this process is,
the arm's control box brakes by itself, as libfranka does when nobody speaks to it.

Started by `ArmProcess` as `python -m sernf_isaac.deploy.arms.process`, settings on standard input.
"""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.arms.driver import POSE_SIZE, ArmDriver
from sernf_isaac.deploy.arms.guard import ArmLimits
from sernf_isaac.deploy.arms.server import POSE_RATE_HZ, ArmServer
from sernf_isaac.deploy.controller import SafetyTiming
from sernf_isaac.deploy.hand_process import CLOSE_MARGIN_S, HandProcess, _serve
from sernf_isaac.deploy.hand_server import ERRORS
from sernf_isaac.deploy.messages import SharedMessages, command_layout, operator_layout


@dataclass(frozen=True)
class ArmSetup:
    """All that the process needs; must be picklable."""

    make_driver: Callable[[], ArmDriver]
    """Called in the process; a `functools.partial` of something importable without torch."""
    limits: ArmLimits
    timing: SafetyTiming = field(default_factory=SafetyTiming)
    rate_hz: float = POSE_RATE_HZ
    log: Path | None = None
    """Every tick's report goes here: `hand_process.read_log(path, 7)`."""


class ArmProcess(HandProcess):
    """The actor's end: like a `HandProcess`, with a pose (7,) in the place of joints.

    Args:
        setup: What to run.
        clock: Must be the system's monotonic clock; the process compares times with its own.

    Raises:
        RuntimeError: If the arm cannot be reached; says what the process said.
    """

    def __init__(self, setup: ArmSetup, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._close_s = clock, CLOSE_MARGIN_S
        self._messages, path = SharedMessages.create(POSE_SIZE)
        self._command = np.zeros(1, command_layout(POSE_SIZE))
        self._keys = np.zeros(1, operator_layout())
        places = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sernf_isaac.deploy.arms.process", str(path), str(os.getpid())],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the actor; the arm must go on
        )
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(pickle.dumps(setup))
            self._process.stdin.close()
            self._wait_until_ready()
        finally:
            path.unlink(missing_ok=True)


def main() -> None:
    """Serve until terminated, or until the actor is gone and nobody leads the arm."""
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    setup: ArmSetup = pickle.load(sys.stdin.buffer)
    messages = SharedMessages(path, POSE_SIZE)
    driver = setup.make_driver()
    server = ArmServer(driver, limits=setup.limits, timing=setup.timing, rate_hz=setup.rate_hz)
    try:
        driver.connect()
        _serve(server, messages, parent, setup.log)  # type: ignore[arg-type]  # ticks like a hand
    except ERRORS as error:
        sys.exit(f"arm: {error}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
