"""Episodes and sessions on an ideal hand and a virtual clock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.store.channel import publish_checkpoint, silent_for_s
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.data.windows import find_starts, make_batch
from sernf_isaac.deploy.actor.episode import End, RunnerSettings
from sernf_isaac.deploy.actor.operators import Keyboard, Unattended
from sernf_isaac.deploy.actor.runner import run_episode
from sernf_isaac.deploy.actor.session import Poses, Session
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.labelling.view import view_episode
from sernf_isaac.deploy.loop.states import Reason, Request, State
from sernf_isaac.deploy.policy.follower import CheckpointFollower
from sernf_isaac.deploy.protocols import PoseReading

SPEC = ChunkSpec(history=2, prefix=2, horizon=4, history_keys=("history",))
MIDDLE = np.array([0.0, 0.5, -0.5])
KEYS = ("history", "goal")


class Wave:
    """A task that shows the joints, the last action and the goal."""

    features = {"history": 6, "goal": 1}  # noqa: RUF012

    def observe(self, joint_pos, sent, previous_action, pose, goal):
        del sent, pose
        return {"history": np.concatenate([joint_pos, previous_action]), "goal": np.array([goal])}

    def lost(self, pose):
        return pose.position_m[2] < -0.1


@dataclass
class Turning:
    """An object that turns at a constant rate and falls at some time."""

    now: Callable[[], float]
    spin_rad_s: float = 1.0
    falls_s: float = np.inf
    blind_s: float = np.inf
    start_s: float = field(init=False)

    def __post_init__(self):
        self.reset()

    def reset(self):
        self.start_s = self.now()

    def latest(self):
        passed = min(self.now() - self.start_s, self.blind_s)
        height = -1.0 if passed > self.falls_s else 0.0
        turned = Rotation.from_rotvec([0.0, 0.0, self.spin_rad_s * passed])
        return PoseReading(self.start_s + passed, np.array([0.0, 0.0, height]), turned.as_quat())


@dataclass
class Counting:
    """A policy whose n-th planned action is known, with a latency; notes what it was asked."""

    now: Callable[[], float]
    last_latency_s: float = 0.06
    asked: list = field(default_factory=list)
    pending: tuple | None = None
    planned: int = 0

    def load(self, path):
        raise NotImplementedError(path)

    def request(self, observation, prefix):
        self.asked.append((observation, prefix.copy()))
        steps = self.planned + np.arange(SPEC.horizon)
        self.planned += SPEC.horizon
        self.pending = self.now() + self.last_latency_s, action_of(steps)

    def poll(self):
        if self.pending is None or self.now() < self.pending[0]:
            return None
        chunk, self.pending = self.pending[1], None
        return chunk


def action_of(number: np.ndarray) -> np.ndarray:
    """(..., 3) the number-th planned action: a slow wave, so that every one is different."""
    return MIDDLE + 0.1 * np.sin(0.13 * np.asarray(number)[..., None] + np.arange(3))


@dataclass
class World:
    """A machine in a test, and what its episodes look like."""

    station: Station
    writer: RunWriter
    policy: Counting
    pose: Turning
    driver: object

    def ready(self):
        hand, clock = self.station.hand, self.station.clock
        hand.send(Request.RAMP, MIDDLE + 0.1)
        while hand.state().state is not State.READY:
            hand.alive()
            clock.sleep_until(clock.now() + 0.02)
        self.pose.reset()

    def play(self, correct=None, **settings):
        self.ready()
        values = RunnerSettings(**{"max_episode_s": 3.0} | settings)
        how = {"spec": SPEC, "policy_name": "first", "correct": correct}
        result = run_episode(self.station, values, self.writer, **how)
        reader = RunReader(self.writer.run)
        return result, reader.load(reader.commits()[-1])


@pytest.fixture
def world(tmp_path, make_hand, hand):
    link, clock, driver = make_hand()
    create_run(tmp_path / "run", {"task": "test"})
    pose, policy = Turning(clock.now), Counting(clock.now)
    operator = Unattended(link.clear, lambda _: None)
    station = Station(link, hand, policy, pose, Wave(), operator, clock)
    with RunWriter(tmp_path / "run", "actor") as writer:
        yield World(station, writer, policy, pose, driver)


def test_chunks_follow_each_other_by_index_without_seams_or_gaps(world):
    result, episode = world.play()
    assert result.underruns == 0 and result.steps == len(episode) == 60
    assert not episode.observation["log_timing"][:, 3].any()
    hold = np.repeat((MIDDLE + 0.1)[None], 2, axis=0)
    expected = np.concatenate([hold, action_of(np.arange(58))])
    np.testing.assert_allclose(episode.action, expected, atol=1e-6)
    assert np.flatnonzero(episode.decision).tolist() == list(range(0, 60, 4))
    np.testing.assert_allclose(episode.planned, action_of(np.arange(58, 58 + len(episode.planned))))


def test_whoever_looks_on_sees_every_step_and_what_is_planned(world):
    seen = []
    world.station = replace(world.station, witness=SimpleNamespace(see=seen.append))
    result, episode = world.play()
    assert [glimpse.eid for glimpse in seen] == [result.eid] * 60
    np.testing.assert_allclose([glimpse.action for glimpse in seen], episode.action, atol=1e-6)
    for step in (8, 30):
        for ahead, action in enumerate(seen[step].planned):
            np.testing.assert_allclose(action, action_of(step + ahead - 1), atol=1e-9)
    np.testing.assert_allclose(seen[5].pose[3:], episode.observation["log_pose"][5, 3:], atol=1e-6)
    assert seen[-1].turned_rad > seen[0].turned_rad
    assert seen[0].scores.size == 0, "this policy does not tell"


def test_a_reflex_sees_the_newest_step_and_what_it_makes_is_sent_and_recorded(world):
    seen = []

    def correct(observation, action):
        seen.append(observation)
        return action + 0.05 * np.sign(observation["goal"]) * np.array([1.0, -1.0, 100.0])

    _, episode = world.play(correct)
    hold = np.repeat((MIDDLE + 0.1)[None], 2, axis=0)
    planned = np.concatenate([hold, action_of(np.arange(58))])
    np.testing.assert_allclose(episode.action[:, 0], planned[:, 0] + 0.05, atol=1e-6)
    np.testing.assert_allclose(episode.action[:, 1], planned[:, 1] - 0.05, atol=1e-6)
    limit = world.station.description.upper_rad[2]
    np.testing.assert_allclose(episode.action[:, 2], limit, atol=1e-6)
    assert len(seen) == 60, "asked at every step"
    for step in (0, 7, 33):
        assert seen[step]["history"].shape == (2, 6)
        np.testing.assert_allclose(
            seen[step]["history"][-1], episode.observation["history"][step], atol=1e-6
        )


def test_the_learner_cuts_exactly_what_the_policy_was_asked(world):
    _, episode = world.play()
    episode.observation = {key: episode.observation[key] for key in KEYS}
    episode.final_observation = {key: episode.final_observation[key] for key in KEYS}
    spec = ChunkSpec(**vars(SPEC) | {"align_to_decisions": True})
    batch = make_batch(episode, spec)
    assert len(batch) >= 13
    for row in range(len(batch)):
        observation, prefix = world.policy.asked[row]
        np.testing.assert_allclose(batch.prefix[row], prefix, atol=1e-6)
        np.testing.assert_allclose(batch.chunk[row], action_of(4 * row + np.arange(4)), atol=1e-6)
        np.testing.assert_allclose(
            batch.observation["history"][row], observation["history"], atol=1e-6
        )


def test_a_late_chunk_costs_underruns_and_never_a_jump(world):
    world.policy.last_latency_s = 0.17
    result, episode = world.play()
    assert result.underruns == episode.observation["log_timing"][:, 3].sum() > 5
    jumps = np.abs(np.diff(episode.action[2:], axis=0)).max()
    assert jumps < 0.1 * 0.13 * 6  # at most the skipped part of the wave
    spec = ChunkSpec(**vars(SPEC) | {"align_to_decisions": True})
    keep = {key: episode.observation[key] for key in KEYS}
    episode.observation, episode.final_observation = keep, {}
    batch = make_batch(episode, spec)
    for row in range(len(batch)):  # prefixes are what was executed, repeated actions included
        np.testing.assert_allclose(batch.prefix[row], world.policy.asked[row][1], atol=1e-6)


def hang(world, after: int) -> None:
    """Let the policy's process stop after so many decisions."""
    request = world.policy.request

    def ask(observation, prefix):
        request(observation, prefix)
        if len(world.policy.asked) > after:
            world.policy.pending = None

    world.policy.request = ask


def test_a_policy_that_hangs_ends_the_episode_and_nothing_is_learned_of_what_it_left(world):
    hang(world, after=5)
    result, episode = world.play(max_episode_s=30.0, decision_deadline_s=0.5)
    assert (result.end, result.outcome, result.judges_policy) == (End.POLICY, "stopped", False)
    asked = np.flatnonzero(episode.decision)[-1]
    assert len(episode) == asked + 11 and asked == 20  # the deadline, and the step that notices it
    decided = asked + SPEC.prefix
    assert result.undecided == len(episode) - decided
    assert episode.overridden.tolist() == [step >= decided for step in range(len(episode))]
    assert episode.truncated[-1] and not episode.terminated.any()
    world.station.clock.sleep_until(world.station.clock.now() + 0.05)
    assert world.station.hand.state().state is State.HOLD
    batch = make_batch(episode, ChunkSpec(**vars(SPEC) | {"align_to_decisions": True}))
    assert len(batch) == 5, "the decisions that came, and no window over what came after"
    ends = find_starts(episode, SPEC) + SPEC.horizon
    assert ends.max() <= decided


def test_what_happens_while_a_policy_hangs_is_not_its_doing(world):
    hang(world, after=5)
    world.pose.falls_s = 1.2
    result, episode = world.play(decision_deadline_s=1.0)
    assert result.end is End.DROPPED and result.undecided > 0 and not result.judges_policy
    assert episode.overridden[-result.undecided :].all()
    assert not episode.overridden[: -result.undecided].any()


def test_a_chunk_that_is_late_but_comes_marks_nothing(world):
    world.policy.last_latency_s = 0.4
    result, episode = world.play(decision_deadline_s=0.5)
    assert result.end is End.TIMEOUT and result.underruns > 20
    assert not episode.overridden[: len(episode) - result.undecided].any()


@pytest.mark.parametrize("stamp", [0.05, np.nan, np.inf])
def test_poses_of_another_clock_end_the_session(world, stamp):
    latest = world.pose.latest
    world.pose.latest = lambda: replace(latest(), time_s=world.station.clock.now() + stamp)
    with pytest.raises(RuntimeError, match="another clock"):
        world.play()


def test_an_actor_that_was_late_does_not_rush_after(world):
    clock, times, sleep = world.station.clock, [], world.station.clock.sleep_until
    send = world.station.hand.send

    def note(request, target=None):
        times.append(clock.now())
        return send(request, target)

    def late(time_s):
        sleep(time_s + (0.04 if len(times) == 20 else 0.0))

    clock.sleep_until, world.station.hand.send = late, note
    world.play(max_episode_s=2.0)
    steps = np.diff(times[2:-1])
    assert steps.max() > 0.08 and steps.min() >= 0.0374  # a tick of the hand is 25 ms
    assert world.station.hand.state().rejected == 0


def test_quarters_are_paid_and_a_timeout_may_be_bootstrapped(world):
    world.pose.spin_rad_s = 1.2
    result, episode = world.play(max_episode_s=6.0)
    assert (result.end, result.outcome) == (End.TIMEOUT, "timeout")
    assert result.reward == episode.reward.sum() == 4
    assert result.turned_rad == pytest.approx(7.2, abs=0.1)
    assert episode.truncated[-1] and not episode.terminated.any()


@pytest.mark.parametrize(
    ("spin_rad_s", "goal", "stops_s"),
    [(1.2, 1.0, np.inf), (-1.9, -1.0, np.inf), (1.6, 1.0, 1.05), (1.6, 1.0, 1.1), (2.0, 1.0, 4.0)],
)
def test_proposed_rewards_are_where_the_robot_recorded_them(world, spin_rad_s, goal, stops_s):
    """Also those of the last step, and of an object that comes to rest just behind a mark."""
    turning = world.pose.latest

    def resting():
        passed = min(world.pose.now() - world.pose.start_s, stops_s)
        turned = Rotation.from_rotvec([0.0, 0.0, spin_rad_s * passed])
        return PoseReading(turning().time_s, np.zeros(3), turned.as_quat())

    world.pose.latest = resting
    for seconds in (3.0, 6.0):
        world.play(max_episode_s=seconds, goal=goal)
    reader = RunReader(world.writer.run)
    for commit in reader.commits():
        shown = view_episode(reader, commit)
        assert shown["recorded"] and shown["direction"] == goal
        assert [event[:2] for event in shown["proposed"]] == [
            event[:2] for event in shown["recorded"]
        ]


def test_a_drop_terminates_after_a_few_poses(world):
    world.pose.falls_s = 1.0
    result, episode = world.play()
    assert (result.end, result.outcome) == (End.DROPPED, "failure")
    assert 1.1 < result.duration_s < 1.3
    assert episode.terminated[-1] and not episode.truncated.any()
    assert episode.outcome == "failure" and episode.policy == "first"


def test_an_object_nobody_sees_counts_as_dropped(world):
    world.pose.blind_s = 0.5
    result, _ = world.play(blind_s=0.4)
    assert result.end is End.DROPPED and 0.85 < result.duration_s < 1.1


def test_a_stop_ends_the_episode_as_overridden_and_keeps_it(world):
    link, sent = world.station.hand, []
    original = link.send

    def send(request, target=None):
        sent.append(request)
        if len([r for r in sent if r is Request.FOLLOW]) == 20:
            link.stop()
        return original(request, target)

    link.send = send
    result, episode = world.play()
    assert (result.end, result.reason) == (End.SAFETY, Reason.STOPPED)
    assert len(episode) == 20 and episode.overridden[-1] and episode.truncated[-1]
    assert episode.outcome == "stopped"


def test_actions_outside_the_limits_are_stored_as_they_are_executed(world):
    world.policy.request = lambda observation, prefix: setattr(
        world.policy, "pending", (0.0, np.full((4, 3), 99.0))
    )
    _, episode = world.play(max_episode_s=1.0)
    np.testing.assert_allclose(episode.action[4], MIDDLE + 1.0)
    assert (world.driver.joint_pos <= MIDDLE + 1.0).all()


def test_what_people_need_is_logged_beside_what_the_policy_sees(world):
    _, episode = world.play(max_episode_s=1.0)
    assert episode.observation["log_pose"].shape == (20, 7)
    sent, timing = episode.observation["log_sent"], episode.observation["log_timing"]
    assert np.abs(sent - world.driver.sent[0]).max() < 0.5
    np.testing.assert_allclose(timing[:, 1], 0.06, atol=1e-6)


def test_a_hand_that_is_not_ready_is_an_error(world):
    settings = RunnerSettings()
    with pytest.raises(RuntimeError, match="the hand is OFF"):
        run_episode(world.station, settings, world.writer, spec=SPEC, policy_name="")


def test_episodes_are_recovered_when_the_actor_dies_in_between(world, monkeypatch):
    monkeypatch.setattr("sernf_isaac.deploy.actor.recorder.StepRecorder.finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.play(max_episode_s=1.0)
    world.writer.close()
    with RunWriter(world.writer.run, "actor") as again:
        assert len(again.recover()) == 1
    reader = RunReader(world.writer.run)
    episode = reader.load(reader.commits()[0])
    assert episode.outcome == "recovered" and len(episode) == 20


def make_session(world, tmp_path) -> tuple[Session, list[str]]:
    source = tmp_path / "policy.pt"
    source.write_text("first")
    publish_checkpoint(world.writer.run, source, 0)
    told: list[str] = []
    world.station.operator._tell = told.append
    follower = CheckpointFollower(world.writer.run, lambda path: None)
    session = Session(
        world.station,
        RunnerSettings(max_episode_s=2.0),
        Poses(MIDDLE, MIDDLE + 0.1),
        world.writer,
        follower,
        lambda: SPEC,
    )
    return session, told


def test_a_session_ends_when_its_policy_hangs_and_the_policy_is_not_blamed(
    world, tmp_path, monkeypatch
):
    session, _ = make_session(world, tmp_path)
    scores: list[float] = []
    monkeypatch.setattr(session._follower, "report", lambda score: scores.append(score) or "")
    episodes = session.episodes(count=9)
    assert next(episodes).judges_policy and len(scores) == 1
    hang(world, after=len(world.policy.asked) + 3)
    assert next(episodes).end is End.POLICY and len(scores) == 1
    with pytest.raises(RuntimeError, match="no decision within 1 s"):
        next(episodes)


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        *((reason, False) for reason in (Reason.DRIVER, Reason.NO_READING, Reason.SILENT)),
        *((reason, True) for reason in (Reason.BAD_ACTIONS, Reason.BLOCKED, Reason.STOPPED)),
    ],
)
def test_a_fault_of_the_machine_says_nothing_about_the_policy(world, reason, counts):
    result, _ = world.play(max_episode_s=1.0)
    assert replace(result, end=End.SAFETY, reason=reason).judges_policy == counts


def test_a_session_resets_counts_and_leaves_signs_of_life(world, tmp_path):
    session, told = make_session(world, tmp_path)
    results = list(session.episodes(count=3))
    assert [result.end for result in results] == [End.TIMEOUT] * 3
    assert told.count("put the object under the palm") == 3 and "driving with" in told[0]
    numbers = session.totals.numbers()
    assert numbers["runs"] == 3 and numbers["data_minutes"] == pytest.approx(0.1)
    assert numbers["rpm_in_hand"] == pytest.approx(60 / (2 * np.pi), rel=0.1)
    assert numbers["rpm_wall"] < numbers["rpm_in_hand"]
    assert silent_for_s(world.writer.run, "actor") < 60.0
    commits = RunReader(world.writer.run).commits()
    assert all(commit.is_offline for commit in commits)  # the frozen policy's


def test_a_session_that_cannot_begin_an_episode_gives_up(world, tmp_path, monkeypatch):
    session, told = make_session(world, tmp_path)
    next(session.episodes(count=1))
    monkeypatch.setattr(world.pose, "latest", lambda: None)
    with pytest.raises(RuntimeError, match="10 episodes in a row could not begin"):
        next(session.episodes())
    assert sum("no pose of the object" in line for line in told) == 10


def test_a_stop_key_that_fails_ends_the_session(world, tmp_path, person):
    session, _ = make_session(world, tmp_path)
    request = world.policy.request
    world.policy.request = lambda *asked: setattr(person, "_deaf", "x") or request(*asked)
    with pytest.raises(RuntimeError, match="stop key does not work any more: x"):
        next(session.episodes())
    world.station.clock.sleep_until(world.station.clock.now() + 0.05)
    assert world.station.hand.state().state is State.HOLD


class Person(Keyboard):
    """Keys that are pressed by the test instead of on a terminal."""

    def _listen_to_keys(self) -> None:
        pass

    def answered(self) -> bool:
        return True


@pytest.fixture
def person(world, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    person = Person(world.station.hand.stop, world.station.hand.clear)
    world.station = replace(world.station, operator=person)
    return person


@pytest.mark.parametrize("key", ["f", "s", "e"])
def test_a_key_pressed_between_two_episodes_does_not_end_the_next(world, tmp_path, person, key):
    session, _ = make_session(world, tmp_path)
    episodes = session.episodes(count=3)
    next(episodes)
    person.press(key)
    latest, seen = world.pose.latest, iter(range(1000))

    def late():
        if next(seen) == 0:
            person.press(key)  # also while it waits for the first pose, after the last ramp
        return latest()

    world.pose.latest = late
    assert next(episodes).end is End.TIMEOUT
    world.pose.falls_s = 0.5
    assert next(episodes).end is End.DROPPED  # the control: what counts still counts
    reader = RunReader(world.writer.run)
    ends = [reader.load(commit).terminated.any() for commit in reader.commits()]
    assert ends == [False, False, True]


def test_a_key_pressed_in_an_episode_ends_it_and_quitting_ends_everything(
    world, tmp_path, person, monkeypatch
):
    session, _ = make_session(world, tmp_path)
    episodes = session.episodes(count=9)
    request = world.policy.request

    def press(observation, prefix):
        person.press(keys.pop(0))
        request(observation, prefix)

    monkeypatch.setattr(world.policy, "request", press)
    keys = ["x", "f"]
    result = next(episodes)
    assert (result.end, result.outcome) == (End.OPERATOR, "failure")
    keys = ["x", "x", "q"]
    result = next(episodes)
    assert (result.end, result.outcome) == (End.OPERATOR, "stopped")
    assert next(episodes, None) is None


def test_a_person_who_quits_before_an_episode_gets_none(world, tmp_path, person):
    session, _ = make_session(world, tmp_path)
    latest = world.pose.latest
    world.pose.latest = lambda: person.press("q") or latest()
    assert next(session.episodes(count=1), None) is None


def test_a_camera_that_is_gone_ends_the_session_and_no_episode_as_dropped(world, tmp_path):
    session, _ = make_session(world, tmp_path)
    latest, start_s = world.pose.latest, world.station.clock.now()

    def gone():
        if world.station.clock.now() > start_s + 4.0:
            raise ConnectionError("the camera gives no more frames")
        return latest()

    world.pose.latest = gone
    with pytest.raises(ConnectionError, match="no more frames"):
        list(session.episodes(count=9))
    world.station.clock.sleep_until(world.station.clock.now() + 0.1)
    assert world.station.hand.state().state is State.HOLD
    world.writer.close()
    with RunWriter(world.writer.run, "actor") as again:
        again.recover()
    commits = RunReader(world.writer.run).commits()
    assert commits and "failure" not in {commit.outcome for commit in commits}


def test_what_does_not_matter_to_the_hand_is_told_once(world, tmp_path):
    session, told = make_session(world, tmp_path)
    state = world.station.hand.state
    world.station.hand.state = lambda: replace(state(), error="the log of ticks ends here")
    assert len(list(session.episodes(count=2))) == 2
    assert told.count("hand: the log of ticks ends here") == 1


def test_a_session_stops_when_there_is_enough_data(world, tmp_path):
    session, _ = make_session(world, tmp_path)
    assert len(list(session.episodes(data_minutes=0.05))) == 2


def test_a_session_goes_on_after_a_fault_that_was_cleared(world, tmp_path):
    session, told = make_session(world, tmp_path)
    episodes = session.episodes(count=2)
    next(episodes)
    world.station.hand.stop()
    world.station.clock.sleep_until(world.station.clock.now() + 0.1)
    assert next(episodes).end is End.TIMEOUT
    assert any("STOPPED" in message for message in told)


def test_data_of_later_checkpoints_are_online_data(world, tmp_path):
    session, _ = make_session(world, tmp_path)
    episodes = session.episodes(count=2)
    next(episodes)
    source = tmp_path / "policy.pt"
    source.write_text("second")
    publish_checkpoint(world.writer.run, source, 1000)
    list(episodes)
    offline = [commit.is_offline for commit in RunReader(world.writer.run).commits()]
    assert offline == [True, False]


def test_what_happens_on_the_platform_is_recorded_but_not_counted(world):
    whole, _ = world.play()
    counted, episode = world.play(supported_s=1.0)
    assert len(episode) == whole.steps and counted.duration_s == pytest.approx(3.0)
    assert counted.in_hand_s == pytest.approx(2.0) and whole.in_hand_s == pytest.approx(3.0)
    assert counted.turned_rad == pytest.approx(whole.turned_rad - 1.0, abs=0.06)
    world.pose.falls_s = 0.5
    world.ready()
    fell, _ = world.play(supported_s=1.0)
    assert fell.outcome == "failure" and fell.in_hand_s == 0.0 and fell.turned_rad == 0.0


def test_the_platform_has_one_clock_which_begins_when_the_object_was_placed(world):
    world.ready()
    placed_s = world.station.clock.now() - 0.6
    settings = RunnerSettings(max_episode_s=3.0, supported_s=1.0)
    result = run_episode(
        world.station, settings, world.writer, spec=SPEC, policy_name="", placed_s=placed_s
    )
    assert result.in_hand_s == pytest.approx(2.6) and result.duration_s == pytest.approx(3.0)
    assert result.turned_rad == pytest.approx(2.6, abs=0.06)
    reader = RunReader(world.writer.run)
    timing = reader.load(reader.commits()[-1]).observation["log_timing"]
    np.testing.assert_allclose(timing[:, 6] - timing[:, 5], 0.6, atol=1e-6)
    np.testing.assert_allclose(timing[:, 5], 0.05 * np.arange(60), atol=1e-5)


@pytest.mark.parametrize("name", ["control_rate_hz", "max_episode_s", "blind_s", "supported_s"])
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_settings_that_would_never_end_an_episode_are_refused(name, bad):
    with pytest.raises(ValueError, match=rf"runner\.{name}"):
        RunnerSettings(**{name: bad})


def test_nobody_waits_for_a_decision_for_ever():
    with pytest.raises(ValueError, match="must be at most 5"):
        RunnerSettings(decision_deadline_s=6.0)
