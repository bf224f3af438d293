"""What a driver measures beside the joints, from the driver to whoever asks for the state."""

from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.loop.messages import SharedMessages, state_layout, to_state
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import HandDescription, HandReading

MIDDLE = np.array([0.0, 0.5, -0.5])
SIZES = {"motor_pos": 3, "touch": 2}


class Feeling(IdealHand):
    """Has sensors, and may be unwell."""

    def __init__(self) -> None:
        super().__init__(MIDDLE)
        self.sensors = {"motor_pos": MIDDLE + 0.1, "touch": np.array([1.0, 2.0])}
        self.warning = self.fault = ""

    def read(self) -> HandReading:
        rest = np.zeros(3)
        return HandReading(
            self.joint_pos.copy(),
            rest,
            sensors=self.sensors,
            warning=self.warning,
            fault=self.fault,
        )


@pytest.fixture
def driver() -> Feeling:
    return Feeling()


@pytest.fixture
def link(hand: HandDescription, driver: Feeling) -> InProcessHand:
    timing = SafetyTiming(hold_s=0.2, relax_s=0.2)
    server = HandServer(
        driver, hand, limits=GuardLimits(), timing=timing, open_pose=MIDDLE, sensors=SIZES
    )
    return InProcessHand(server, VirtualClock())


def goes_on(link: InProcessHand, seconds: float) -> State:
    clock = link._clock
    until_s = clock.now() + seconds
    while clock.now() < until_s:
        link.alive()
        clock.sleep_until(clock.now() + 0.025)
    return link.state().state


def engaged(link: InProcessHand) -> None:
    link.send(Request.RAMP, MIDDLE)
    assert goes_on(link, 0.5) is State.READY
    link.send(Request.FOLLOW, MIDDLE)
    assert goes_on(link, 0.1) is State.FOLLOW


def test_what_is_measured_reaches_the_state(link: InProcessHand, driver: Feeling) -> None:
    goes_on(link, 0.1)
    seen = link.state().sensors
    assert set(seen) == set(SIZES)
    for name, values in driver.sensors.items():
        np.testing.assert_array_equal(seen[name], values)


def test_it_passes_through_shared_memory(tmp_path: Path) -> None:
    mine, theirs = (SharedMessages(tmp_path / "shared", 3, SIZES) for _ in range(2))
    report = np.zeros(1, state_layout(3, SIZES))
    report["sensors"]["touch"] = [1.0, 2.0]
    mine.state.write(report)
    message = theirs.state.read()
    assert message is not None
    np.testing.assert_array_equal(to_state(message).sensors["touch"], [1.0, 2.0])


def test_a_hand_without_sensors_reports_as_before() -> None:
    assert state_layout(3) == state_layout(3, {}) and "sensors" not in (state_layout(3).names or ())
    assert to_state(np.zeros(1, state_layout(3))[0]).sensors == {}


def test_a_driver_with_other_sensors_than_expected_is_a_fault(
    link: InProcessHand, driver: Feeling
) -> None:
    engaged(link)
    driver.sensors = {"motor_pos": MIDDLE}
    goes_on(link, 0.1)
    state = link.state()
    assert (state.state, state.reason) == (State.HOLD, Reason.DRIVER)
    assert "the driver measures {'motor_pos': 3} beside the joints" in state.error


def test_a_warning_is_told_while_it_lasts(link: InProcessHand, driver: Feeling) -> None:
    engaged(link)
    for warning in ("hot", "hotter", ""):
        driver.warning = warning
        assert goes_on(link, 0.1) is State.FOLLOW
        assert link.state().error == warning


def test_a_fault_holds_then_opens_then_is_off(link: InProcessHand, driver: Feeling) -> None:
    engaged(link)
    driver.warning, driver.fault = "hot", "too hot"
    assert goes_on(link, 0.1) is State.HOLD
    assert goes_on(link, 0.25) is State.RELAX
    assert goes_on(link, 0.25) is State.OFF and driver.strength == 0.0
    assert (link.state().reason, link.state().error) == (Reason.HEALTH, "too hot")
    link.send(Request.RAMP, MIDDLE)
    assert goes_on(link, 0.2) is State.OFF, "only a person clears a fault"
    link.clear()
    goes_on(link, 0.1)
    assert link.state().reason is Reason.HEALTH, "and not while it lasts"
    driver.fault = ""
    link.clear()
    goes_on(link, 0.1)
    assert link.state().error == "hot"
    link.send(Request.RAMP, MIDDLE)
    assert goes_on(link, 0.5) is State.READY


def test_a_hand_that_is_unwell_from_the_start_does_not_move(
    link: InProcessHand, driver: Feeling
) -> None:
    driver.fault = "no encoder"
    goes_on(link, 0.1)
    link.send(Request.RAMP, MIDDLE)
    assert goes_on(link, 0.2) is State.OFF and link.state().reason is Reason.HEALTH
