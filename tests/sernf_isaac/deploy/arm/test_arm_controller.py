"""The arm's states: bad poses, silence, resistance and faults end in holding still."""

from dataclasses import replace

import numpy as np
import pytest

from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.arm.driver import ArmReading
from sernf_isaac.deploy.arm.fake import FakeArm
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.arm.server import ArmServer
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State

HOME = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
LIMITS = ArmLimits((0.2, -0.3, 0.05), (0.7, 0.3, 0.6))


def shifted(x_m: float, y_m: float = 0.0) -> np.ndarray:
    return HOME + np.array([x_m, y_m, 0, 0, 0, 0, 0])


class Machine:
    """A fake arm on a virtual clock."""

    def __init__(self, driver: FakeArm | None = None, **limits: float) -> None:
        self.clock = VirtualClock()
        self.driver = driver or FakeArm(HOME, self.clock.now)
        self.driver._clock = self.clock.now
        self.driver._time_s = self.clock.now()
        self.server = ArmServer(
            self.driver, limits=replace(LIMITS, **limits), timing=SafetyTiming()
        )
        self.link = InProcessHand(self.server, self.clock)

    def run(self, seconds: float, *, alive: bool = True) -> None:
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s - 1e-9:
            if alive:
                self.link.alive()
            self.clock.sleep_until(min(self.clock.now() + 0.02, until_s))

    def ready(self, pose: np.ndarray = HOME) -> None:
        self.link.send(Request.RAMP, pose)
        for _ in range(500):
            if self.link.state().state is State.READY:
                return
            self.run(0.02)
        raise AssertionError(self.link.state())

    def follow(self, pose: object, seconds: float = 0.1) -> None:
        self.link.send(Request.FOLLOW, pose)
        self.run(seconds)

    @property
    def state(self) -> tuple[State, Reason]:
        report = self.link.state()
        return report.state, report.reason


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_it_ramps_slowly_and_follows_quickly(machine: Machine) -> None:
    began_s = machine.clock.now()
    machine.ready(shifted(0.1))
    assert machine.clock.now() - began_s == pytest.approx(1.0, abs=0.1)  # 0.1 m at 0.1 m/s
    for step in range(1, 6):
        machine.follow(shifted(0.1 - 0.02 * step))
    assert machine.state == (State.FOLLOW, Reason.NONE)
    machine.run(0.1)
    machine.follow(shifted(0.0), 0.5)
    np.testing.assert_allclose(machine.driver.read().pose, HOME, atol=1e-3)
    report = machine.link.state()
    np.testing.assert_allclose(report.sent, HOME, atol=1e-9)
    assert (report.rejected, machine.server.controller.guard.rejected) == (0, 0)


@pytest.mark.parametrize(
    "bad",
    [
        np.full(7, np.nan),
        np.array([0.4, 0, 0.3, 0, 0, 0, 0]),  # no rotation
        np.array([np.inf, 0, 0.3, 1, 0, 0, 0]),
        shifted(0.25),  # a leap
        np.array([0.4, 0, 0.3, 0, 0, 1.0, 0]),  # half a turn at once
    ],
)
def test_bad_and_far_poses_are_not_followed_and_a_few_in_a_row_end_in_hold(
    machine: Machine, bad: np.ndarray
) -> None:
    machine.ready()
    machine.follow(shifted(0.01), 0.3)
    for number in range(3):
        assert machine.state == (State.FOLLOW, Reason.NONE)
        machine.follow(bad)
        np.testing.assert_allclose(machine.driver.read().pose, shifted(0.01), atol=1e-3)
        assert machine.link.state().rejected == number + 1
    assert machine.state == (State.HOLD, Reason.BAD_ACTIONS)
    machine.follow(shifted(0.02))
    machine.link.send(Request.RAMP, HOME)
    machine.run(0.2)
    assert machine.state == (State.HOLD, Reason.BAD_ACTIONS), "a person has to look first"
    machine.link.clear()
    machine.run(0.05)
    assert machine.state == (State.OFF, Reason.NONE)
    machine.ready()


def test_one_bad_pose_between_good_ones_is_passed_over(machine: Machine) -> None:
    machine.ready()
    for step in range(12):
        machine.follow(np.full(7, np.nan) if step % 3 else shifted(0.002 * step))
    assert machine.state == (State.FOLLOW, Reason.NONE) and machine.link.state().rejected == 8


def test_without_the_check_of_leaps_a_far_pose_would_be_approached(machine: Machine) -> None:
    free = Machine()
    free.server.controller.guard.limits.max_leap_m = 10.0  # no setting can do that
    for one in (free, machine):
        one.ready()
        one.follow(shifted(0.25), 0.5)
    assert free.driver.read().pose[0] - HOME[0] > 0.1
    assert abs(machine.driver.read().pose[0] - HOME[0]) < 1e-3


@pytest.mark.parametrize("stamp", [lambda now: now + 0.01, lambda now: 1.7e9, lambda _: np.nan])
def test_a_command_that_is_not_of_now_is_silence(machine: Machine, stamp) -> None:
    machine.ready()
    machine.follow(shifted(0.05))
    for shift_m in (0.06, 0.07, 0.08):
        machine.link.send(Request.FOLLOW, shifted(shift_m))
        last = machine.link._command
        machine.link._command = replace(last, time_s=stamp(machine.clock.now() + 0.05))
        machine.run(0.05, alive=False)
    assert machine.state == (State.HOLD, Reason.SILENT)


def test_a_request_that_nobody_knows_is_not_led_on(machine: Machine) -> None:
    machine.ready()
    machine.follow(shifted(0.05))
    machine.link.send(Request(99))
    machine.run(0.05)
    assert machine.state == (State.HOLD, Reason.BAD_ACTIONS)


def test_silence_holds_within_its_time_and_the_last_command_stays(machine: Machine) -> None:
    machine.ready()
    machine.follow(shifted(0.1), 0.05)
    began_s, timing = machine.clock.now(), SafetyTiming()
    while machine.link.state().state is State.FOLLOW:
        machine.run(0.01, alive=False)
    assert machine.clock.now() - began_s <= timing.command_timeout_s + 0.03
    assert machine.state == (State.HOLD, Reason.SILENT)
    held = machine.link.state().sent
    machine.run(1.0, alive=False)
    np.testing.assert_array_equal(machine.link.state().sent, held)
    np.testing.assert_allclose(machine.driver.read().pose, held, atol=1e-3)
    machine.ready()  # an actor that only was late goes on
    machine.run(0.2, alive=False)
    machine.run(timing.hold_s + timing.relax_s, alive=False)
    assert machine.state == (State.OFF, Reason.SILENT)
    machine.ready()


class Wall(FakeArm):
    """Something stands in the way."""

    def _advance(self) -> None:
        super()._advance()
        self._pose[0, 0] = min(self._pose[0, 0], 0.42)


def test_an_arm_that_is_held_back_does_not_push_on() -> None:
    machine = Machine(Wall(HOME, lambda: 0.0))
    machine.ready()
    pushed = 0.0
    for step in range(40):
        machine.follow(shifted(min(0.02 * step, 0.19)))
        report = machine.link.state()
        pushed = max(pushed, report.sent[0] - report.joint_pos[0])
    assert pushed == pytest.approx(LIMITS.max_error_m, abs=1e-6)
    assert machine.state == (State.HOLD, Reason.BLOCKED)
    machine.run(1.0)
    report = machine.link.state()
    assert abs(report.sent[0] - report.joint_pos[0]) < 1e-3


class Noisy(FakeArm):
    """Sensors with noise, and what may stand in the way."""

    wall_m = np.inf

    def __init__(self, noise_m: float) -> None:
        super().__init__(HOME, lambda: 0.0)
        self._noise_m, self._rng = noise_m, np.random.default_rng(0)

    def read(self) -> ArmReading:
        pose = super().read().pose
        pose[:3] += self._noise_m * self._rng.standard_normal(3)
        return ArmReading(pose)

    def _advance(self) -> None:
        super()._advance()
        self._pose[0, 0] = min(self._pose[0, 0], self.wall_m)


@pytest.mark.parametrize("noise_m", [1e-4, 1e-3])
def test_noise_of_the_sensors_does_not_hide_an_arm_that_is_held_back(noise_m: float) -> None:
    driver = Noisy(noise_m)
    machine = Machine(driver)
    machine.ready()
    driver.wall_m = 0.42
    for step in range(40):
        machine.follow(shifted(min(0.02 * step, 0.19)))
    assert machine.state == (State.HOLD, Reason.BLOCKED)


def test_an_arm_that_is_pushed_away_a_little_is_not_held_back() -> None:
    driver = Noisy(1e-3)
    machine = Machine(driver)
    machine.ready()
    driver.wall_m = 0.42
    for step in range(60):
        machine.follow(shifted(min(0.02 * step, 0.113)))  # 0.093 of 0.1 m behind
    assert machine.state == (State.FOLLOW, Reason.NONE)


def test_a_fault_of_the_arm_is_told_and_needs_a_person(machine: Machine) -> None:
    machine.ready()
    machine.driver.fault = "reflex: cartesian collision"
    machine.follow(shifted(0.01))
    assert machine.state == (State.OFF, Reason.DRIVER)
    assert "cartesian collision" in machine.link.state().error
    machine.link.send(Request.RAMP, HOME)
    machine.run(0.1)
    assert machine.state == (State.OFF, Reason.DRIVER)
    machine.link.clear()
    machine.run(0.1)
    assert machine.state == (State.OFF, Reason.NONE) and not machine.link.state().error
    machine.ready()


def test_a_driver_that_raises_is_a_fault(machine: Machine) -> None:
    machine.ready()
    machine.driver.read = lambda: (_ for _ in ()).throw(OSError("cable"))  # type: ignore[method-assign]  # breaks
    machine.follow(HOME)
    assert machine.state == (State.OFF, Reason.DRIVER)
    assert machine.link.state().error == "OSError: cable"


def test_an_arm_that_does_not_answer_is_held(machine: Machine) -> None:
    machine.ready()
    machine.driver.read = lambda: ArmReading(HOME, fresh=False)  # type: ignore[method-assign]  # silent
    machine.run(0.3)
    assert machine.state == (State.HOLD, Reason.NO_READING)


def test_the_stop_key_stops_at_once_where_the_arm_is(machine: Machine) -> None:
    machine.ready()
    machine.follow(shifted(0.19), 0.3)
    machine.link.stop()
    machine.run(0.02)
    stopped = machine.driver.read().pose
    assert machine.state == (State.OFF, Reason.STOPPED)
    machine.follow(shifted(0.19), 0.5)
    np.testing.assert_allclose(machine.driver.read().pose, stopped, atol=5e-3)
    assert stopped[0] - HOME[0] < 0.1


@pytest.mark.parametrize("readable", [True, False])
def test_the_stop_key_is_told_to_the_arm_until_it_has_heard_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    machine.ready()
    machine.follow(shifted(0.1))
    tries, hold, read = [], machine.driver.hold, machine.driver.read

    def holding() -> None:
        tries.append(machine.clock.now())
        if len(tries) < 4:
            raise OSError("no answer")
        hold()

    def reading() -> ArmReading:
        if len(tries) < 3 and not readable and machine.state[0] is State.OFF:
            raise OSError("no answer")
        return read()

    monkeypatch.setattr(machine.driver, "hold", holding)
    monkeypatch.setattr(machine.driver, "read", reading)
    machine.link.stop()
    machine.run(0.2)
    assert len(tries) == 4 and machine.state == (State.OFF, Reason.STOPPED)
    stopped = machine.driver.read().pose
    assert stopped[0] - HOME[0] < 0.05
    machine.run(0.5)
    np.testing.assert_array_equal(machine.driver.read().pose, stopped)
    assert "no answer" in machine.link.state().error


def test_an_arm_outside_its_workspace_is_not_moved() -> None:
    machine = Machine(FakeArm(shifted(0.5), lambda: 0.0))
    machine.link.send(Request.RAMP, HOME)
    machine.run(0.2)
    assert machine.state == (State.OFF, Reason.OUT_OF_RANGE)
    assert "outside the workspace" in machine.link.state().error
    np.testing.assert_array_equal(machine.driver.read().pose, shifted(0.5))


def test_readings_may_change_their_quaternions_sign(machine: Machine) -> None:
    machine.ready()
    read, count = machine.driver.read, iter(range(10_000))

    def flipping() -> ArmReading:
        pose = read().pose
        pose[3:] *= -1.0 if next(count) % 2 else 1.0
        return ArmReading(pose)

    machine.driver.read = flipping  # type: ignore[method-assign]  # a driver that flips
    for step in range(20):
        machine.follow(shifted(0.005 * step))
        assert machine.link.state().joint_pos[3] > 0.9
    assert machine.state == (State.FOLLOW, Reason.NONE)
