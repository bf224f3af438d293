"""The states of a hand, on a clock that does not need waiting."""

import numpy as np
import pytest

from sernf_isaac.deploy.controller import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.hands.ideal import IdealHand
from sernf_isaac.deploy.protocols import HandReading

MIDDLE = np.array([0.0, 0.5, -0.5])
POSE = MIDDLE + 0.2


def wait(hand, clock, seconds, *, alive=True):
    until = clock.now() + seconds
    while clock.now() < until - 1e-9:
        if alive:
            hand.alive()
        clock.sleep_until(min(clock.now() + 0.02, until))


def follow(hand, clock, steps=4):
    """Bring a fresh hand to FOLLOW."""
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 1.0)
    assert hand.state().state is State.READY
    for _ in range(steps):
        hand.send(Request.FOLLOW, POSE)
        clock.sleep_until(clock.now() + 0.05)
    assert hand.state().state is State.FOLLOW


def test_a_hand_starts_without_torque_and_ramps_from_where_it_is(make_hand):
    hand, clock, driver = make_hand()
    wait(hand, clock, 0.2)
    assert hand.state().state is State.OFF and driver.strength == 0.0 and not driver.sent
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 1.0)
    path = np.array([MIDDLE, *driver.sent])
    assert np.abs(np.diff(path, axis=0)).max() <= 0.52 / 40 + 1e-9
    np.testing.assert_allclose(path[-1], POSE, atol=1e-6)
    assert driver.strength == 1.0 and hand.state().state is State.READY


def test_actions_are_followed_once_the_hand_is_ready_and_not_before(make_hand):
    hand, clock, driver = make_hand()
    hand.send(Request.FOLLOW, POSE)
    wait(hand, clock, 0.2)
    assert hand.state().state is State.OFF and not driver.sent
    follow(hand, clock)
    for _ in range(20):
        hand.send(Request.FOLLOW, MIDDLE - 0.3)
        clock.sleep_until(clock.now() + 0.05)
    np.testing.assert_allclose(driver.joint_pos, MIDDLE - 0.3, atol=1e-4)


@pytest.mark.parametrize("timeout_s", [0.1, 0.2])
def test_silence_becomes_hold_within_a_tick_of_the_timeout(make_hand, timeout_s):
    hand, clock, driver = make_hand(timing=SafetyTiming(command_timeout_s=timeout_s))
    follow(hand, clock)
    hand.send(Request.FOLLOW, POSE)
    silent_s = clock.now()
    while hand.state().state is State.FOLLOW:
        clock.sleep_until(clock.now() + 0.001)
    assert timeout_s < hand.state().since_s - silent_s <= timeout_s + 1 / 40 + 1e-9
    assert hand.state().reason is Reason.SILENT
    held = driver.joint_pos
    wait(hand, clock, 1.0, alive=False)
    np.testing.assert_array_equal(driver.joint_pos, held)


def test_hold_becomes_relax_with_little_current_and_then_off(make_hand):
    hand, clock, driver = make_hand()
    follow(hand, clock)
    wait(hand, clock, 2.5, alive=False)
    assert hand.state().state is State.RELAX and driver.strength == 0.25
    wait(hand, clock, 4.1, alive=False)
    assert hand.state().state is State.OFF and driver.strength == 0.0
    np.testing.assert_allclose(driver.joint_pos, MIDDLE, atol=1e-6)  # it had opened by then


def test_an_actor_that_was_only_late_may_go_on_but_not_after_relaxing(make_hand):
    hand, clock, _ = make_hand()
    follow(hand, clock)
    wait(hand, clock, 0.5, alive=False)
    assert hand.state().state is State.HOLD
    follow(hand, clock)
    wait(hand, clock, 3.0, alive=False)
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.5)
    assert hand.state().state is State.RELAX and hand.state().reason is Reason.SILENT
    hand.clear()
    wait(hand, clock, 0.1)
    follow(hand, clock)


def test_the_stop_key_takes_the_torque_at_the_next_tick_until_a_person_clears_it(make_hand):
    hand, clock, driver = make_hand()
    follow(hand, clock)
    hand.stop()
    wait(hand, clock, 0.026)
    assert hand.state().state is State.OFF and driver.strength == 0.0
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.5)
    assert hand.state().state is State.OFF and hand.state().reason is Reason.STOPPED
    hand.clear()
    wait(hand, clock, 0.1)
    follow(hand, clock)


def test_a_stop_counts_also_when_a_clear_follows_before_the_tick(make_hand):
    hand, clock, driver = make_hand()
    follow(hand, clock)
    hand.stop()
    hand.clear()
    wait(hand, clock, 0.05)
    assert hand.state().state is State.OFF and driver.strength == 0.0


def test_several_bad_actions_in_a_row_are_a_fault_one_is_not(make_hand):
    hand, clock, driver = make_hand()
    follow(hand, clock)
    for action in (np.full(3, np.nan), POSE, np.full(3, np.inf), np.full(3, np.nan)):
        hand.send(Request.FOLLOW, action)
        clock.sleep_until(clock.now() + 0.05)
    assert hand.state().state is State.FOLLOW and hand.state().rejected == 3
    hand.send(Request.FOLLOW, np.full(3, np.nan))
    wait(hand, clock, 0.05)
    assert hand.state().state is State.HOLD and hand.state().reason is Reason.BAD_ACTIONS
    assert np.isfinite(driver.sent).all()
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.5)
    assert hand.state().state is State.HOLD  # a fault is cleared by a person only


class Breaking(IdealHand):
    """An ideal hand until it is told to break."""

    broken: str = ""

    def read(self) -> HandReading:
        reading = super().read()
        if self.broken == "bus":
            raise OSError("the cable is off")
        if self.broken == "stale":
            return HandReading(reading.joint_pos, reading.joint_vel, fresh=False)
        if self.broken == "nan":
            return HandReading(reading.joint_pos * np.nan, reading.joint_vel)
        return reading

    def command(self, joint_target: np.ndarray) -> None:
        super().command(joint_target)
        if self.broken == "blocked":
            self.joint_pos = np.array(MIDDLE)

    def check(self) -> None:
        if self.broken == "motor":
            raise RuntimeError("motor 15 (index_mcp): error bits 0x20")


@pytest.mark.parametrize(
    ("broken", "reason", "within_s"),
    [
        ("bus", Reason.DRIVER, 0.05),
        ("stale", Reason.NO_READING, 0.15),
        ("nan", Reason.NO_READING, 0.15),
    ],
)
def test_a_hand_that_cannot_be_read_holds(make_hand, broken, reason, within_s):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.broken, broke_s = broken, clock.now()
    while hand.state().state is State.FOLLOW and clock.now() < broke_s + 1.0:
        hand.send(Request.FOLLOW, POSE)
        clock.sleep_until(clock.now() + 0.01)
    state = hand.state()
    assert state.state is State.HOLD and state.reason is reason
    assert state.since_s - broke_s <= within_s
    assert ("the cable is off" in state.error) == (broken == "bus")


def test_a_blocked_joint_is_a_fault_after_a_while(make_hand):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.broken, broke_s = "blocked", clock.now()
    while hand.state().state is State.FOLLOW and clock.now() < broke_s + 5.0:
        hand.send(Request.FOLLOW, MIDDLE + 0.95)
        clock.sleep_until(clock.now() + 0.05)
    assert hand.state().reason is Reason.BLOCKED
    assert 1.0 < hand.state().since_s - broke_s < 1.5


def test_motors_are_looked_at_when_a_move_begins(make_hand):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    driver.broken = "motor"
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.1)
    assert hand.state().reason is Reason.DRIVER and "index_mcp" in hand.state().error
    driver.broken = ""
    hand.clear()
    wait(hand, clock, 0.1)
    assert hand.state().error == ""
    follow(hand, clock)


def test_a_hand_far_outside_its_range_is_not_moved(make_hand):
    hand, clock, driver = make_hand(IdealHand(MIDDLE + 1.5))
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.2)
    assert hand.state().state is State.OFF and hand.state().reason is Reason.OUT_OF_RANGE
    assert not driver.sent


def test_a_request_is_not_lost_when_signs_of_life_follow_at_once(make_hand):
    hand, clock, _ = make_hand()
    hand.send(Request.RAMP, POSE)
    hand.alive()
    wait(hand, clock, 1.0)
    assert hand.state().state is State.READY


def test_silence_cannot_be_tolerated_for_long():
    for setting in ({"command_timeout_s": np.inf}, {"hold_s": 0.0}, {"command_timeout_s": 2.0}):
        with pytest.raises(ValueError, match=r"must be positive|over a second"):
            SafetyTiming(**setting)
