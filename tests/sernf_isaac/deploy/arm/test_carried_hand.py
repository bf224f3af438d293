"""Arm and hand through one runner: actions are split, either part ends the episode for both."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.pose_frame import relative_to
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.data.windows import make_batch
from sernf_isaac.deploy.actor.episode import End, RunnerSettings
from sernf_isaac.deploy.actor.runner import run_episode
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.actor.virtual import InProcessHand, VirtualClock
from sernf_isaac.deploy.arm.carried_hand import CarriedHand, ToolPose
from sernf_isaac.deploy.arm.fake import FakeArm
from sernf_isaac.deploy.arm.guard import ArmLimits
from sernf_isaac.deploy.arm.server import ArmServer
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.loop.states import Reason, Request, SafetyTiming, State
from sernf_isaac.deploy.protocols import HandDescription, PoseReading

HOME = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
LIMITS = ArmLimits((0.2, -0.3, 0.05), (0.7, 0.3, 0.6))
MIDDLE = np.array([0.0, 0.5, -0.5])
REST = np.concatenate([HOME, MIDDLE])
SPEC = ChunkSpec(
    history=1, prefix=3, horizon=10, history_keys=(), pose_frame="pose", align_to_decisions=True
)
TIMING = SafetyTiming(command_timeout_s=0.25)


class Seen:
    """The tool's pose and the joints, as measured."""

    features = {"pose": 7, "hand": 3}  # noqa: RUF012

    def observe(self, joint_pos, sent, previous_action, pose, goal):
        return {"pose": joint_pos[:7], "hand": joint_pos[7:]}

    def lost(self, pose: PoseReading) -> bool:
        return False


@dataclass
class Person:
    """Ends the episode when told to."""

    outcome: str | None = None

    def tell(self, message: str) -> None: ...
    def ask(self, question: str) -> None: ...
    def answered(self) -> bool:
        return True

    def ends_episode(self) -> str | None:
        return self.outcome

    def quits(self) -> bool:
        return False


@dataclass
class Planned:
    """A policy whose n-th planned action is known; notes what it was asked."""

    now: Callable[[], float]
    plan: Callable[[np.ndarray], np.ndarray]
    last_latency_s: float = 0.24
    asked: list = field(default_factory=list)
    pending: tuple | None = None

    def load(self, path: Path):
        raise NotImplementedError(path)

    def request(self, observation, prefix):
        steps = SPEC.horizon * len(self.asked) + np.arange(SPEC.horizon)
        self.asked.append((observation, prefix.copy()))
        self.pending = self.now() + self.last_latency_s, self.plan(steps)

    def poll(self):
        if self.pending is None or self.now() < self.pending[0]:
            return None
        chunk, self.pending = self.pending[1], None
        return chunk


def wave(number: np.ndarray) -> np.ndarray:
    """(..., 10) a slow motion of everything, the tool turning as it goes."""
    angle = 0.05 * np.asarray(number, float)
    pose = np.broadcast_to(HOME, (*angle.shape, 7)).copy()
    pose[..., 0] += 0.06 * np.sin(angle)
    pose[..., 3], pose[..., 4] = np.cos(angle / 4), np.sin(angle / 4)
    joints = MIDDLE + 0.2 * np.sin(angle[..., None] + np.arange(3))
    return np.concatenate([pose, joints], axis=-1)


@dataclass
class World:
    """A machine in a test."""

    station: Station
    writer: RunWriter
    arm: FakeArm
    fingers: IdealHand
    clock: VirtualClock

    @property
    def link(self) -> CarriedHand:
        assert isinstance(self.station.hand, CarriedHand)
        return self.station.hand

    def wait(self, seconds: float) -> None:
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s - 1e-9:
            self.link.alive()
            self.clock.sleep_until(self.clock.now() + 0.02)

    def ready(self) -> None:
        self.link.send(Request.RAMP, REST)
        while self.link.state().state is not State.READY:
            self.wait(0.02)

    def play(self, **settings):
        self.ready()
        values = {"control_rate_hz": 10.0, "max_episode_s": 4.0, "counts_turns": False}
        runner = RunnerSettings(**values | settings)
        result = run_episode(self.station, runner, self.writer, spec=SPEC, policy_name="first")
        reader = RunReader(self.writer.run)
        return result, reader.load(reader.commits()[-1])


@pytest.fixture
def world(tmp_path: Path, hand: HandDescription):
    clock = VirtualClock()
    arm, fingers = FakeArm(HOME, clock.now), IdealHand(MIDDLE)
    arm_link = InProcessHand(ArmServer(arm, limits=LIMITS, timing=TIMING), clock)  # type: ignore[arg-type]  # ticks alike
    server = HandServer(
        fingers, hand, limits=GuardLimits(smoothing=1.0), timing=TIMING, open_pose=MIDDLE
    )
    link = CarriedHand(arm_link, InProcessHand(server, clock))
    whole = replace(
        hand,
        joint_names=(*"xyz", *(f"q{c}" for c in "xyzw"), *hand.joint_names),
        lower_rad=(*LIMITS.lower_m, *[-1.0] * 4, *hand.lower_rad),
        upper_rad=(*LIMITS.upper_m, *[1.0] * 4, *hand.upper_rad),
        driver_names=(*"abcdefg", *hand.driver_names),
        signs=(*[1] * 7, *hand.signs),
    )
    policy = Planned(clock.now, wave)
    station = Station(link, whole, policy, ToolPose(arm_link), Seen(), Person(), clock)
    create_run(tmp_path / "run", {"task": "test"})
    with RunWriter(tmp_path / "run", "actor") as writer:
        yield World(station, writer, arm, fingers, clock)


def test_an_action_is_split_between_arm_and_hand(world: World) -> None:
    world.ready()
    assert world.link.state().joint_pos.shape == (10,)
    wanted = wave(np.array(4))
    world.link.send(Request.FOLLOW, wanted)
    world.wait(0.6)
    state = world.link.state()
    assert state.state is State.FOLLOW
    np.testing.assert_allclose(state.sent, wanted, atol=1e-9)
    np.testing.assert_allclose(state.joint_pos, wanted, atol=1e-3)
    np.testing.assert_array_equal(world.fingers.joint_pos, state.sent[7:])
    with pytest.raises(ValueError, match="a pose and joints"):
        world.link.send(Request.FOLLOW, MIDDLE)


def test_chunks_follow_each_other_and_both_parts_are_recorded(world: World) -> None:
    result, episode = world.play()
    assert (result.end, result.underruns, result.steps) == (End.TIMEOUT, 0, 40)
    expected = np.concatenate([np.repeat(REST[None], 3, 0), wave(np.arange(37))])
    np.testing.assert_allclose(episode.action, expected, atol=1e-6)
    assert np.flatnonzero(episode.decision).tolist() == [0, 10, 20, 30]
    pose = episode.observation["pose"]
    lag_m = np.linalg.norm(pose[1:, :3] - episode.action[:-1, :3], axis=1)
    assert 1e-4 < lag_m.max() < 0.01, "measured, not commanded"
    assert np.abs(episode.observation["hand"][1:] - episode.action[:-1, 7:]).max() < 0.02
    np.testing.assert_allclose(episode.observation["log_pose"], pose, atol=1e-6)
    assert episode.observation["log_sent"].shape == (40, 10)
    assert result.reward == 0.0 and result.turned_rad == 0.0 and not episode.terminated.any()


def test_the_learner_sees_each_prefix_from_the_pose_of_its_own_decision(world: World) -> None:
    """The same actions are the end of one chunk and the next prefix, in two frames."""
    _, episode = world.play()
    keys = ("pose", "hand")
    episode.observation = {key: episode.observation[key] for key in keys}
    episode.final_observation = {key: episode.final_observation[key] for key in keys}
    batch = make_batch(episode, SPEC)
    asked = world.station.policy.asked  # type: ignore[attr-defined]  # our own policy
    assert len(batch) == 4
    for row, (observation, prefix) in zip(range(4), asked, strict=False):
        frame = torch.from_numpy(observation["pose"])[None]
        seen = relative_to(frame, torch.from_numpy(prefix)[None])[0]
        np.testing.assert_allclose(batch.prefix[row], seen, atol=1e-5)
        planned = torch.from_numpy(wave(10 * row + np.arange(10)))[None]
        expected = relative_to(frame, planned)[0]
        if row < 3:
            np.testing.assert_allclose(batch.chunk[row], expected, atol=1e-5)
    seams = (batch.prefix[1:] - batch.chunk[:-1, -3:]).abs()
    assert seams[..., :7].max() > 1e-3, "anchored anew"
    assert seams[..., 7:].max() < 1e-6


@pytest.mark.parametrize(
    ("where", "value"), [(0, np.nan), (12, np.inf), (3, np.nan)], ids=["arm", "late", "rotation"]
)
def test_a_policy_that_breaks_ends_the_episode_and_both_hold(
    world: World, where: int, value: float
) -> None:
    def broken(steps: np.ndarray) -> np.ndarray:
        chunk = wave(steps)
        chunk.reshape(-1)[where] = value
        return chunk if steps[0] else wave(steps)

    world.station.policy.plan = broken  # type: ignore[attr-defined]  # our own policy
    if np.isnan(value):
        with pytest.raises(ValueError, match="not finite"):
            world.play()
        world.wait(0.1)
        for part in (world.link.arm, world.link.hand):
            assert part.state().state is State.HOLD
    else:  # infinities are clipped to the limits, and the guard brakes
        world.play()
    assert np.linalg.norm(world.arm.read().pose[:3] - HOME[:3]) < 0.1


def test_actions_that_are_no_numbers_are_refused_by_both_guards(world: World) -> None:
    world.ready()
    for _ in range(3):
        world.link.send(Request.FOLLOW, np.full(10, np.nan))
        world.wait(0.1)
    for part in (world.link.arm, world.link.hand):
        report = part.state()
        assert (report.state, report.reason) == (State.HOLD, Reason.BAD_ACTIONS)
    assert world.link.state().rejected == 6
    np.testing.assert_allclose(world.arm.read().pose, HOME, atol=1e-9)


def test_a_far_pose_ends_the_episode_and_the_hand_holds_too(world: World) -> None:
    def far(steps: np.ndarray) -> np.ndarray:
        chunk = wave(steps)
        chunk[:, 0] += 0.25 * (steps[0] > 0)
        return chunk

    world.station.policy.plan = far  # type: ignore[attr-defined]  # our own policy
    result, episode = world.play()
    assert (result.end, result.outcome) == (End.SAFETY, "stopped")
    assert result.reason is Reason.BAD_ACTIONS
    assert len(episode) == 13 + TIMING.max_bad_actions and episode.overridden[-1]
    world.wait(0.1)
    assert world.link.arm.state().state is State.HOLD
    assert (world.link.hand.state().state, world.link.hand.state().reason) == (
        State.HOLD,
        Reason.ASKED,
    )
    assert world.arm.read().pose[0] - HOME[0] < 0.07


def test_a_fault_of_either_part_ends_the_episode(world: World) -> None:
    sleep, clock = world.clock.sleep_until, world.clock
    world.ready()
    began_s = clock.now()

    def trip(time_s: float) -> None:
        sleep(time_s)
        if time_s - began_s > 2.0:
            world.arm.fault = "reflex"

    clock.sleep_until = trip  # type: ignore[method-assign]  # time passes, then the arm stops
    result, episode = world.play()
    assert (result.end, result.reason) == (End.SAFETY, Reason.DRIVER)
    assert 15 < len(episode) < 25 and "arm: reflex" in world.link.state().error
    sleep(clock.now() + 0.05)
    assert world.link.hand.state().state is State.HOLD


def test_clearing_a_fault_of_the_arm_leaves_what_the_hand_holds(world: World) -> None:
    world.ready()
    world.link.send(Request.FOLLOW, REST)
    world.wait(0.1)
    world.arm.fault = "reflex"
    world.wait(0.1)
    world.link.send(Request.HOLD)
    world.wait(0.1)
    world.link.clear()
    world.wait(0.1)
    assert world.link.arm.state().reason is Reason.NONE
    assert world.link.hand.state().state is State.HOLD and world.fingers.strength == 1.0


def test_the_stop_key_stops_both(world: World) -> None:
    world.ready()
    world.link.stop()
    world.wait(0.1)
    assert world.link.state().reason is Reason.STOPPED and world.fingers.strength == 0.0
    assert world.link.arm.state().state is State.OFF


def test_silence_of_the_actor_makes_both_hold(world: World) -> None:
    world.ready()
    world.link.send(Request.FOLLOW, REST)
    world.wait(0.1)
    world.clock.sleep_until(world.clock.now() + TIMING.command_timeout_s + 0.05)
    for part in (world.link.arm, world.link.hand):
        report = part.state()
        assert (report.state, report.reason) == (State.HOLD, Reason.SILENT)


@pytest.mark.parametrize(
    ("outcome", "over"), [("success", True), ("failure", True), ("stopped", False)]
)
def test_a_success_ends_a_task_and_is_not_bootstrapped(
    world: World, outcome: str, over: bool
) -> None:
    world.station.operator.outcome = outcome  # type: ignore[attr-defined]  # our own person
    result, episode = world.play()
    assert result.outcome == episode.outcome == outcome
    assert episode.terminated[-1] == over and episode.truncated[-1] != over


def test_where_turns_count_a_success_may_be_bootstrapped(world: World) -> None:
    world.station.operator.outcome = "success"  # type: ignore[attr-defined]  # our own person
    _, episode = world.play(counts_turns=True)
    assert not episode.terminated.any() and episode.truncated[-1]
