"""The ORCA driver against orca_core's own mock."""

import numpy as np
import pytest
from first_hand import HAND, JOINTS, V1

from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.orca import BUS_WATCHDOG_REGISTER, OrcaDriver
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import HandDescription

pytest.importorskip("orca_core", reason="needs the extra 'hand'")

MIDDLE = (np.array(HAND.lower_rad) + np.array(HAND.upper_rad)) / 2


@pytest.fixture
def driver():
    driver = OrcaDriver(HAND, mock=True, clock=lambda: 0.0)  # tests may be slow
    driver.connect()
    yield driver
    driver.close()


def serve(
    driver: OrcaDriver, clock: VirtualClock | None = None
) -> tuple[InProcessHand, VirtualClock]:
    clock = clock or VirtualClock()
    limits, timing = GuardLimits(), SafetyTiming()
    server = HandServer(driver, HAND, limits=limits, timing=timing, open_pose=np.array(V1.rest_rad))
    return InProcessHand(server, clock), clock


def run(hand: InProcessHand, clock: VirtualClock, seconds: float) -> None:
    until = clock.now() + seconds
    while clock.now() < until:
        hand.alive()
        clock.sleep_until(clock.now() + 0.02)


def test_the_hand_is_where_it_was_sent(driver):
    rng = np.random.default_rng(0)
    for _ in range(20):
        pose = rng.uniform(HAND.lower_rad, HAND.upper_rad)
        driver.command(pose)
        np.testing.assert_allclose(driver.read().joint_pos, pose, atol=1e-9)


def test_the_driver_and_the_joint_table_agree_on_every_angle(driver):
    pose = np.random.default_rng(1).uniform(HAND.lower_rad, HAND.upper_rad)
    driver.command(pose)
    told = driver._orca.get_joint_position().as_dict()
    for joint, angle in zip(JOINTS, pose, strict=True):
        degrees = joint.sign * np.degrees(angle)
        assert told[joint.driver_name] == pytest.approx(degrees, abs=1e-9), joint.name


def test_a_target_that_is_not_finite_is_refused(driver):
    driver.command(MIDDLE)
    with pytest.raises(ValueError, match="not finite"):
        driver.command(np.where(np.arange(17) == 5, np.nan, MIDDLE))
    np.testing.assert_allclose(driver.read().joint_pos, MIDDLE, atol=1e-9)


def test_an_old_reading_is_marked(driver):
    assert driver.read().fresh
    driver._orca.motor_client.last_read_ok = False
    assert not driver.read().fresh


def test_strength_sets_torque_current_and_bus_watchdog(driver):
    writes = []
    client = driver._orca.motor_client
    client.motor_type = "dynamixel"
    client.sync_write = lambda ids, values, address, size: writes.append((values[0], address))
    driver.set_strength(0.25)
    assert set(client._torque_enabled.values()) == {True}
    assert set(client._cur.values()) == {100.0}  # a quarter of 400 mA
    assert writes[-1] == (5, BUS_WATCHDOG_REGISTER) and driver.has_bus_watchdog  # 100 ms
    driver.set_strength(0.0)
    assert set(client._torque_enabled.values()) == {False}
    assert writes[-1] == (0, BUS_WATCHDOG_REGISTER) and not driver.has_bus_watchdog


def test_an_episode_of_states_runs_on_the_mock(driver):
    hand, clock = serve(driver)
    run(hand, clock, 0.1)
    assert hand.state().state is State.OFF
    hand.send(Request.RAMP, MIDDLE)
    run(hand, clock, 5.0)
    assert hand.state().state is State.READY
    hand.send(Request.FOLLOW, MIDDLE + 0.1)
    run(hand, clock, 0.1)
    driver._orca.motor_client.last_read_ok = False
    run(hand, clock, 0.2)
    assert hand.state().state is State.HOLD and hand.state().reason is Reason.NO_READING


def test_a_motor_at_fault_is_named_when_the_next_move_begins(driver):
    hand, clock = serve(driver)
    driver._orca.motor_client.latched_errors[15] = 0x20
    hand.send(Request.RAMP, MIDDLE)
    run(hand, clock, 0.2)
    state = hand.state()
    assert state.reason is Reason.DRIVER and "motor 15 (index_mcp): error bits 0x20" in state.error
    assert driver._orca.motor_client.reboot_count == {}  # nothing resets it but a person


def test_a_motor_that_is_missing_at_connect_is_no_healthy_hand(monkeypatch):
    from orca_core.hardware.mock_dynamixel_client import MockDynamixelClient

    def all_but_15(client) -> list[int]:
        return [motor for motor in client.motor_ids if motor != 15]

    monkeypatch.setattr(MockDynamixelClient, "responding_motor_ids", all_but_15)
    driver = OrcaDriver(HAND, mock=True)
    with pytest.raises(RuntimeError, match="no motor answers for index_mcp"):
        driver.connect()
    driver.close()


def test_a_motor_that_falls_silent_is_named_when_the_next_move_begins(driver):
    hand, clock = serve(driver)
    driver._orca.motor_client.silent_motor_ids = {15}
    hand.send(Request.RAMP, MIDDLE)
    run(hand, clock, 0.2)
    state = hand.state()
    assert state.reason is Reason.DRIVER
    assert "motor 15 (index_mcp): does not answer" in state.error


class Watched:
    """What Dynamixel motors make of a silent bus: goals are ignored until 0 is written."""

    def __init__(self, driver: OrcaDriver) -> None:
        self.tripped = False
        self._client = driver._orca.motor_client
        self._client.motor_type = "dynamixel"
        self._write_goals = self._client.write_desired_pos
        self._client.sync_write = self.write
        self._client.write_desired_pos = self.write_goals

    def write(self, ids, values, address, size) -> None:
        assert address == BUS_WATCHDOG_REGISTER
        self.tripped = self.tripped and values[0] != 0

    def write_goals(self, ids, positions) -> None:
        if not self.tripped:
            self._write_goals(ids, positions)


def test_motors_that_stopped_after_a_silence_are_a_fault_until_a_person_rearms_them():
    clock = VirtualClock()
    driver = OrcaDriver(HAND, mock=True, clock=clock.now)
    driver.connect()
    motors = Watched(driver)
    hand, _ = serve(driver, clock)
    hand.send(Request.RAMP, MIDDLE)
    run(hand, clock, 5.0)
    assert hand.state().state is State.READY
    clock._now_s += 0.15  # the process was suspended
    motors.tripped = True
    run(hand, clock, 0.05)
    state = hand.state()
    assert (state.state, state.reason) == (State.HOLD, Reason.DRIVER)
    assert "the bus was silent for over 0.10 s" in state.error and "clear to rearm" in state.error
    run(hand, clock, 3.0)  # into RELAX
    hand.send(Request.RAMP, MIDDLE)
    run(hand, clock, 4.0)
    assert hand.state().state is State.OFF and hand.state().reason is Reason.DRIVER
    assert not any(driver._orca.motor_client._torque_enabled.values())
    hand.clear()
    run(hand, clock, 0.1)
    assert not motors.tripped and hand.state().reason is Reason.NONE
    hand.send(Request.RAMP, MIDDLE + 0.1)
    run(hand, clock, 5.0)
    assert hand.state().state is State.READY
    np.testing.assert_allclose(driver.read().joint_pos, MIDDLE + 0.1, atol=1e-6)
    driver.close()


def test_a_hand_whose_motors_do_not_obey_never_gets_ready(driver):
    motors = Watched(driver)
    hand, clock = serve(driver)
    run(hand, clock, 0.1)
    driver.rearm = lambda: None
    motors.write = lambda *_: None  # type: ignore[method-assign]  # they stay tripped
    driver._orca.motor_client.sync_write = motors.write
    motors.tripped = True
    hand.send(Request.RAMP, driver.read().joint_pos + 0.3)
    run(hand, clock, 3.0)
    assert hand.state().reason is Reason.BLOCKED


def test_the_torque_goes_also_when_nothing_else_can_be_written(driver):
    client = driver._orca.motor_client
    driver.set_strength(1.0)
    client.motor_type = "dynamixel"

    def broken(*_: object) -> None:
        raise OSError("no answer")

    client.sync_write = broken
    with pytest.raises(OSError, match="no answer"):
        driver.set_strength(0.0)
    assert not any(client._torque_enabled.values())


def test_a_hand_with_other_ranges_is_refused():
    wide = dict(vars(HAND)) | {"upper_rad": tuple(v + 0.1 for v in HAND.upper_rad)}
    with pytest.raises(RuntimeError, match=r"but this hand's config\.yaml allows"):
        OrcaDriver(HandDescription(**wide), mock=True).connect()


def test_a_closed_driver_says_so():
    driver = OrcaDriver(HAND, mock=True)
    with pytest.raises(RuntimeError, match="not connected"):
        driver.read()
    driver.close()
    with pytest.raises(ValueError, match="bus_watchdog_s"):
        OrcaDriver(HAND, bus_watchdog_s=0.0)
