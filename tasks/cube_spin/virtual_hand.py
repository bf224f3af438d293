"""Sessions on the twin that do not wait: the same loop, guard and store, as fast as it computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sernf_isaac.data.store import RunWriter
from sernf_isaac.deploy.hand_server import HandServer
from sernf_isaac.deploy.inference import LocalPolicy
from sernf_isaac.deploy.operators import Unattended
from sernf_isaac.deploy.session import Session
from sernf_isaac.deploy.virtual import InProcessHand, InstantPolicy, VirtualClock
from tasks.cube_spin import real_hand
from tasks.cube_spin.hand_runs import (
    HandRun,
    MakePoseSource,
    hand_driver,
    pose_source,
    session_at,
    student_check,
)

DECISION_LATENCY_S = 0.06
"""How long a decision is made to take: what the shipped student needs on a laptop, and a margin."""


@contextmanager
def open_virtual_session(
    run: HandRun,
    folder: Path,
    tell: Callable[[str], None],
    *,
    latency_s: float = DECISION_LATENCY_S,
    camera: MakePoseSource | None = None,
) -> Iterator[Session]:
    """A session of `open_session` in this process, on a clock of its own.

    Args:
        run: Settings; the hand must be the twin.
        folder: Of the run; prepared.
        tell: Where messages go.
        latency_s: From an observation to its chunk.
        camera: Makes poses from pictures, for `pose="camera"`; must not wait.

    Raises:
        ValueError: If the hand is real, or no policy passes its tests.
    """
    if run.hand != "twin":
        raise ValueError(f"time cannot be skipped for a '{run.hand}' hand; only the twin's can")
    clock = VirtualClock()
    driver = hand_driver(run)()
    driver.connect()
    server = HandServer(
        driver,
        real_hand.HAND,
        limits=run.guard,
        timing=run.safety,
        open_pose=np.asarray(real_hand.OPEN_POSE),
    )
    with RunWriter(folder, run.actor) as writer:
        hand = InProcessHand(server, clock)
        local = LocalPolicy(run.decisions, student_check(run, folder))
        policy = InstantPolicy(local, clock.now, latency_s)
        operator = Unattended(hand.clear, tell)
        try:
            with pose_source(run, hand, clock, camera) as source:
                yield session_at(run, folder, writer, hand, policy, source, operator, clock)
        finally:
            hand.close()
