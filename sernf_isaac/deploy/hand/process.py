"""The hand's process: the only owner of its bus, at 40 Hz.

`HandProcess` starts it as `python -m sernf_isaac.deploy.hand.process`, settings on standard input.
It outlives the actor long enough to open the hand and switch it off.
"""

import pickle
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.server import COMMAND_RATE_HZ, HandServer
from sernf_isaac.deploy.loop.messages import SharedMessages
from sernf_isaac.deploy.loop.process import CLOSE_MARGIN_S, LoopProcess
from sernf_isaac.deploy.loop.serve import serve
from sernf_isaac.deploy.loop.states import ERRORS, SafetyTiming
from sernf_isaac.deploy.protocols import HandDescription, HandDriver


@dataclass(frozen=True)
class HandSetup:
    """All that the process needs; must be picklable."""

    make_driver: Callable[[], HandDriver]
    """Called in the process; a `functools.partial` of something importable without torch."""
    hand: HandDescription
    open_pose: tuple[float, ...]
    """Where the hand goes to let go [rad]."""
    limits: GuardLimits = field(default_factory=GuardLimits)
    timing: SafetyTiming = field(default_factory=SafetyTiming)
    rate_hz: float = COMMAND_RATE_HZ
    log: Path | None = None
    """Every tick's report goes here (see `read_log`)."""
    sensors: Mapping[str, int] = field(default_factory=dict)
    """Sizes of what the driver measures beside the joints, by name (`hand/sensors.py`)."""


class HandProcess(LoopProcess):
    """The actor's end of the hand's process.

    Args:
        setup: What to run.
        clock: Must be the system's monotonic clock; the process compares times with its own.

    Raises:
        RuntimeError: If the hand cannot be reached; says what the process said.
    """

    def __init__(self, setup: HandSetup, clock: Callable[[], float] = time.monotonic) -> None:
        self.hand = setup.hand
        super().__init__(
            "hand",
            "sernf_isaac.deploy.hand.process",
            setup,
            size=setup.hand.num_joints,
            close_s=setup.timing.hold_s + setup.timing.relax_s + CLOSE_MARGIN_S,
            clock=clock,
            sensors=setup.sensors,
        )


def main() -> None:
    """Serve until terminated, or until the actor is gone; the hand is off then."""
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    setup: HandSetup = pickle.load(sys.stdin.buffer)
    messages = SharedMessages(path, setup.hand.num_joints, setup.sensors)
    driver = setup.make_driver()
    server = HandServer(
        driver,
        setup.hand,
        limits=setup.limits,
        timing=setup.timing,
        open_pose=np.array(setup.open_pose),
        rate_hz=setup.rate_hz,
        sensors=setup.sensors,
    )
    try:
        driver.connect()
        serve(server, messages, parent, setup.log)
    except ERRORS as error:
        sys.exit(f"hand: {error}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
