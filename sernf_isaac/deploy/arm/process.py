"""The arm's loop as a process of its own, beside the hand's: neither waits for the other.

A driver's 1 kHz thread lives in it. When the actor is killed the arm holds; when this process is,
the arm's control box brakes by itself, as libfranka does when nobody speaks to it.

Started by `ArmProcess` as `python -m sernf_isaac.deploy.arm.process`, settings on standard input.
"""

import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sernf_isaac.deploy.arm.driver import POSE_SIZE, ArmDriver
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.arm.server import POSE_RATE_HZ, ArmServer
from sernf_isaac.deploy.loop.messages import SharedMessages
from sernf_isaac.deploy.loop.process import CLOSE_MARGIN_S, LoopProcess
from sernf_isaac.deploy.loop.serve import serve
from sernf_isaac.deploy.loop.states import ERRORS, SafetyTiming


@dataclass(frozen=True)
class ArmSetup:
    """All that the process needs; must be picklable."""

    make_driver: Callable[[], ArmDriver]
    """Called in the process; a `functools.partial` of something importable without torch."""
    limits: ArmLimits
    timing: SafetyTiming = field(default_factory=SafetyTiming)
    rate_hz: float = POSE_RATE_HZ
    log: Path | None = None
    """Every tick's report goes here: `read_log(path, 7)`."""


class ArmProcess(LoopProcess):
    """The actor's end of the arm's process; targets are poses (7,).

    Args:
        setup: What to run.
        clock: Must be the system's monotonic clock; the process compares times with its own.

    Raises:
        RuntimeError: If the arm cannot be reached; says what the process said.
    """

    def __init__(self, setup: ArmSetup, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(
            "arm",
            "sernf_isaac.deploy.arm.process",
            setup,
            size=POSE_SIZE,
            close_s=CLOSE_MARGIN_S,
            clock=clock,
        )


def main() -> None:
    """Serve until terminated, or until the actor is gone and nobody leads the arm."""
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    setup: ArmSetup = pickle.load(sys.stdin.buffer)
    messages = SharedMessages(path, POSE_SIZE)
    driver = setup.make_driver()
    server = ArmServer(driver, limits=setup.limits, timing=setup.timing, rate_hz=setup.rate_hz)
    try:
        driver.connect()
        serve(server, messages, parent, setup.log)
    except ERRORS as error:
        sys.exit(f"arm: {error}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
