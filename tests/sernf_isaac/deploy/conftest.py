"""A small hand for tests, and everything around it without waiting."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.loop.states import SafetyTiming
from sernf_isaac.deploy.protocols import HandDescription

MIDDLE = np.array([0.0, 0.5, -0.5])

MakeHand = Callable[..., tuple[InProcessHand, VirtualClock, IdealHand]]


@pytest.fixture
def hand() -> HandDescription:
    """Three joints, one of them counted backwards by its driver."""
    names = ("wrist", "thumb", "index")
    return HandDescription(
        tuple(f"right_{name}" for name in names),
        tuple((MIDDLE - 1.0).tolist()),
        tuple((MIDDLE + 1.0).tolist()),
        names,
        (-1, 1, 1),
    )


@pytest.fixture
def make_hand(hand: HandDescription) -> MakeHand:
    """An ideal hand on a virtual clock; keywords are limits and timing."""

    def make(
        driver: IdealHand | None = None,
        limits: GuardLimits | None = None,
        timing: SafetyTiming | None = None,
    ) -> tuple[InProcessHand, VirtualClock, IdealHand]:
        clock, driver = VirtualClock(), driver or IdealHand(MIDDLE)
        server = HandServer(
            driver,
            hand,
            limits=limits or GuardLimits(),
            timing=timing or SafetyTiming(),
            open_pose=MIDDLE,
        )
        return InProcessHand(server, clock), clock, driver

    return make


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a hand's process writes its ticks."""
    return tmp_path / "ticks.log"
