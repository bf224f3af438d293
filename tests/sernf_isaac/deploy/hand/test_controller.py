"""The states of a hand, on a clock that does not need waiting."""

from dataclasses import replace

import numpy as np
import pytest

from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.loop.states import TIMING_CEILINGS, Reason, Request, SafetyTiming, State
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


@pytest.mark.parametrize("broken", ["bus", "stale"])
def test_a_hand_that_cannot_be_read_still_opens_and_is_off_in_the_end(make_hand, broken):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.broken = broken
    reason = Reason.DRIVER if broken == "bus" else Reason.NO_READING
    for lasted_s, state, strength in ((0.2, State.HOLD, 1.0), (2.1, State.RELAX, 0.25)):
        wait(hand, clock, lasted_s)
        assert (hand.state().state, hand.state().reason) == (state, reason)
        assert driver.strength == strength
    wait(hand, clock, 4.1)
    assert hand.state().state is State.OFF and driver.strength == 0.0
    np.testing.assert_allclose(driver.joint_pos, MIDDLE, atol=1e-6)
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.2)
    assert hand.state().state is State.OFF and hand.state().reason is reason


def test_the_stop_key_takes_the_torque_of_a_hand_that_cannot_be_read(make_hand):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.broken = "bus"
    wait(hand, clock, 0.1)
    hand.stop()
    wait(hand, clock, 0.026)
    assert driver.strength == 0.0
    assert (hand.state().state, hand.state().reason) == (State.OFF, Reason.STOPPED)


def test_what_could_not_be_rearmed_is_not_cleared_and_costs_no_other_tick(make_hand, monkeypatch):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.broken = "bus"
    wait(hand, clock, 0.1)
    tries = []

    def rearm() -> None:
        tries.append(clock.now())
        raise OSError("the cable is off")

    monkeypatch.setattr(driver, "rearm", rearm)
    hand.clear()
    wait(hand, clock, 0.2)
    assert len(tries) == 1
    assert (hand.state().state, hand.state().reason) == (State.HOLD, Reason.DRIVER)
    wait(hand, clock, 6.2)
    assert hand.state().state is State.OFF and driver.strength == 0.0
    monkeypatch.undo()
    driver.broken = ""
    hand.clear()
    wait(hand, clock, 0.1)
    follow(hand, clock)


def test_a_reading_that_cannot_be_is_no_reading_and_moves_nothing(make_hand):
    driver = IdealHand(MIDDLE)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    held = driver.joint_pos
    driver.read = lambda: HandReading(MIDDLE + 2.0, np.zeros(3))  # type: ignore[method-assign]  # lies
    for _ in range(40):
        hand.send(Request.FOLLOW, held)
        clock.sleep_until(clock.now() + 0.05)
        np.testing.assert_allclose(driver.joint_pos, held, atol=1e-6)
    assert (hand.state().state, hand.state().reason) == (State.HOLD, Reason.NO_READING)


def test_a_hand_that_was_not_seen_for_a_while_is_not_moved(make_hand):
    driver = Breaking(MIDDLE)
    hand, clock, _ = make_hand(driver)
    wait(hand, clock, 0.2)
    driver.broken = "stale"
    driver.joint_pos = MIDDLE + 0.9  # somebody moved it
    wait(hand, clock, 0.2)
    hand.send(Request.RAMP, POSE)
    wait(hand, clock, 0.2)
    assert not driver.sent and driver.strength == 0.0
    assert (hand.state().state, hand.state().reason) == (State.OFF, Reason.NO_READING)


class Noisy(IdealHand):
    """Joints that can only go as far as they may, behind sensors with noise."""

    stands_at = np.inf
    """Joints stay this far behind their commands; within it nothing moves."""

    def __init__(self, start: np.ndarray, noise_rad: float) -> None:
        super().__init__(start)
        self._noise_rad, self._rng = noise_rad, np.random.default_rng(0)

    def read(self) -> HandReading:
        reading = super().read()
        noise = self._noise_rad * self._rng.standard_normal(3)
        return HandReading(reading.joint_pos + noise, reading.joint_vel)

    def command(self, joint_target: np.ndarray) -> None:
        super().command(joint_target)
        if np.isfinite(self.stands_at):
            self.joint_pos = np.array(MIDDLE)


@pytest.mark.parametrize("noise_rad", [0.0, 1e-4, 0.01])
def test_noise_of_the_sensors_does_not_hide_a_blocked_joint(make_hand, noise_rad):
    driver = Noisy(MIDDLE, noise_rad)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.stands_at, broke_s = 0.0, clock.now()
    while hand.state().state is State.FOLLOW and clock.now() < broke_s + 5.0:
        hand.send(Request.FOLLOW, MIDDLE + 0.95)
        clock.sleep_until(clock.now() + 0.05)
    assert hand.state().reason is Reason.BLOCKED
    assert 1.0 < hand.state().since_s - broke_s < 1.6


@pytest.mark.parametrize("noise_rad", [0.0, 0.01])
def test_a_soft_grasp_is_no_blocked_joint(make_hand, noise_rad):
    driver = Noisy(MIDDLE, noise_rad)
    hand, clock, _ = make_hand(driver)
    follow(hand, clock)
    driver.stands_at = 0.0
    for _ in range(200):
        hand.send(Request.FOLLOW, MIDDLE + 0.77)  # of 0.8, for 10 s
        clock.sleep_until(clock.now() + 0.05)
    assert hand.state().state is State.FOLLOW
    assert hand.state().sent[0] - MIDDLE[0] == pytest.approx(0.77, abs=0.03)


def test_a_hand_that_does_not_move_never_gets_ready(make_hand):
    driver = Noisy(MIDDLE, 1e-3)
    hand, clock, _ = make_hand(driver)
    driver.stands_at = 0.0
    hand.send(Request.RAMP, POSE)
    for _ in range(100):
        wait(hand, clock, 0.02)
        assert hand.state().state in (State.OFF, State.RAMP, State.HOLD)
    assert hand.state().reason is Reason.BLOCKED
    hand.clear()
    wait(hand, clock, 0.1)
    driver.stands_at = np.inf
    follow(hand, clock)


def test_a_ramp_that_an_object_stops_half_way_gets_ready(make_hand):
    driver = Noisy(MIDDLE - 0.2, 1e-3)
    hand, clock, _ = make_hand(driver)

    def command(joint_target: np.ndarray) -> None:
        driver.joint_pos = np.minimum(joint_target, MIDDLE)

    driver.command = command  # type: ignore[method-assign]  # there is something in the hand
    for pose in (POSE, POSE, MIDDLE - 0.2, POSE):
        hand.send(Request.RAMP, pose)
        wait(hand, clock, 2.0)
        assert hand.state().state is State.READY


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
    for setting in ({"command_timeout_s": np.inf}, {"hold_s": 0.0}, {"max_bad_actions": np.nan}):
        with pytest.raises(ValueError, match="must be positive and finite"):
            SafetyTiming(**setting)


@pytest.mark.parametrize("name", sorted(vars(SafetyTiming())))
def test_every_kind_of_patience_has_an_end(name):
    most = TIMING_CEILINGS[name]
    assert getattr(SafetyTiming(**{name: most}), name) == most
    with pytest.raises(ValueError, match=rf"safety\.{name} \(.*\) must be at most {most:g}"):
        SafetyTiming(**{name: 1.01 * most})


NOT_NOW = {
    "the future": lambda now: now + 0.06,
    "wall clock": lambda _: 1.7e9,
    "nan": lambda _: np.nan,
    "inf": lambda _: np.inf,
    "-inf": lambda _: -np.inf,
}


@pytest.mark.parametrize("stamp", NOT_NOW.values(), ids=NOT_NOW)
@pytest.mark.parametrize("request_", [Request.FOLLOW, Request.NOTHING])
def test_a_command_that_is_not_of_now_is_silence(make_hand, stamp, request_):
    hand, clock, driver = make_hand()
    follow(hand, clock)
    sent = driver.joint_pos.copy()
    for _ in range(4):
        hand.send(request_, MIDDLE - 0.5)
        hand._command = replace(hand._command, time_s=stamp(clock.now()))
        clock.sleep_until(clock.now() + 0.05)
    assert (hand.state().state, hand.state().reason) == (State.HOLD, Reason.SILENT)
    np.testing.assert_allclose(driver.joint_pos, sent, atol=1e-6)


class Placeable(IdealHand):
    """A hand that a machine fills; says where it is afterwards."""

    where = MIDDLE
    calls = 0

    def place(self):
        self.calls += 1
        self.joint_pos = np.array(self.where)
        return True


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (np.full(3, np.nan), Reason.NO_READING),
        (np.array([0.0, 0.5, 5.0]), Reason.NO_READING),
        (np.zeros(2), Reason.DRIVER),
    ],
    ids=["nan", "far", "short"],
)
def test_a_hand_is_not_ready_where_it_cannot_be(make_hand, where, reason):
    driver = Placeable(MIDDLE)
    driver.where = where
    hand, clock, _ = make_hand(driver)
    hand.send(Request.PLACE)
    clock.sleep_until(clock.now() + 0.05)
    assert driver.calls == 1
    state = hand.state()
    assert (state.state, state.reason, state.placed) == (State.OFF, reason, 0)
    assert np.isfinite(state.sent).all() and driver.strength == 0.0


def test_a_hand_that_was_placed_is_ready_there(make_hand):
    hand, clock, driver = make_hand(Placeable(MIDDLE))
    driver.where = MIDDLE + 0.3
    hand.send(Request.PLACE)
    clock.sleep_until(clock.now() + 0.05)
    assert hand.state().state is State.READY and hand.state().placed == 1
    np.testing.assert_allclose(driver.joint_pos, MIDDLE + 0.3)


def test_an_object_is_not_placed_for_an_actor_that_is_gone(make_hand):
    driver = Placeable(MIDDLE)
    hand, clock, _ = make_hand(driver)
    hand.send(Request.PLACE)
    hand._command = replace(hand._command, time_s=clock.now() - 1.0)
    clock.sleep_until(clock.now() + 0.1)
    assert driver.calls == 0 and hand.state().state is State.OFF


def test_a_request_that_nobody_knows_is_not_led_on(make_hand):
    hand, clock, _ = make_hand()
    follow(hand, clock)
    hand.send(Request(99))
    wait(hand, clock, 0.05)
    assert (hand.state().state, hand.state().reason) == (State.HOLD, Reason.BAD_ACTIONS)
