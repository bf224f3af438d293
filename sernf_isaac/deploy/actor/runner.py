"""One episode on a machine that does not wait: observe, decide ahead, act, record; at 20 Hz.

A decision begins every H steps with the P queued actions as its prefix, and has P steps of time; a
chunk that comes later costs underruns (the last action is repeated), never a jump. One that does
not come before its deadline ends the episode, and the steps that nobody decided are marked.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.store.writer import RunWriter
from sernf_isaac.deploy.actor.driving import Driver, Drives
from sernf_isaac.deploy.actor.episode import End, EpisodeResult, RunnerSettings
from sernf_isaac.deploy.actor.fallback import FALLBACK, EyesWatch
from sernf_isaac.deploy.actor.recorder import Moment, StepRecorder, log_layout
from sernf_isaac.deploy.actor.rewards import DropDetector, QuarterCounter
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.loop.messages import HandState
from sernf_isaac.deploy.loop.states import Reason, Request, State
from sernf_isaac.deploy.policy.reflex import Correct
from sernf_isaac.deploy.protocols import Array, PoseReading

SHORTEST_STEP = 0.75
"""Of the control period: longer than a tick of the hand, so that it sees every action."""
CLOCK_SLACK_S = 1e-3
"""A pose may seem to be of the future by rounding only."""


def run_episode(
    station: Station,
    settings: RunnerSettings,
    writer: RunWriter,
    *,
    spec: ChunkSpec,
    policy_name: str,
    is_offline: bool = False,
    placed_s: float | None = None,
    correct: Correct | None = None,
    fallback: Drives | None = None,
) -> EpisodeResult:
    """One episode, from READY to its commit; the hand holds when this returns.

    Args:
        station: The machine; its policy is loaded, its hand READY.
        settings: How the episode runs.
        writer: Stores it.
        spec: Of the loaded policy.
        policy_name: For the record.
        is_offline: Whether it becomes offline data (paper IV-D).
        placed_s: When a machine placed the object, on the station's clock.
        correct: The reflex of the loaded policy, if it has one; what it makes of an action is
            clipped to the hand's limits, sent and recorded.
        fallback: Drives while there are no new poses, by `settings.fallback`. Its steps are marked
            as overridden, and logged as its own.

    Raises:
        RuntimeError: If there is no pose or one of the future, the hand is not READY, the stop key
            fails, or a process died. What was recorded by then stays in the log, from which the
            store recovers it.
    """
    state = station.hand.state()
    if state.state is not State.READY:
        raise RuntimeError(f"the hand is {state.state.name} ({state.reason.name}), not READY")
    if station.pose_source.latest() is None:
        raise RuntimeError("no pose of the object; look at the camera")
    sensors = {name: len(values) for name, values in state.sensors.items()}
    layout = log_layout(
        dict(station.task.features),
        station.description.num_joints,
        policy_name,
        is_offline=is_offline,
        sensors=sensors if fallback is None else sensors | {FALLBACK: 1},
    )
    drives = Drives(station.policy, spec, correct)
    station.operator.ends_episode()  # a key from before says nothing about this episode
    with StepRecorder(writer, layout) as recorder:
        episode = _Episode(station, settings, recorder, state.sent, placed_s, drives, fallback)
        try:
            episode.play()
        finally:
            station.hand.send(Request.HOLD)
        return episode.finish()


class _Episode:
    """The state of one episode."""

    def __init__(
        self,
        station: Station,
        settings: RunnerSettings,
        recorder: StepRecorder,
        hold: Array,
        placed_s: float | None,
        drives: Drives,
        fallback: Drives | None,
    ) -> None:
        self._at, self._settings, self._recorder = station, settings, recorder
        description = station.description
        limits = np.array(description.lower_rad), np.array(description.upper_rad)
        both = [policy for policy in (drives, fallback) if policy is not None]
        self._drivers = [Driver(policy, hold, limits, station.clock.now) for policy in both]
        self._driver = self._drivers[0]
        self._watch = None if fallback is None else EyesWatch(settings.fallback)
        self._longest = {
            key: _longest(key, both) for policy in both for key in policy.spec.history_keys
        }
        self._counter = QuarterCounter(settings.goal)
        self._turned_supported_rad = 0.0
        blind_s = settings.blind_s if fallback is None else settings.fallback.longest_s
        self._drops = DropDetector(blind_s=blind_s)
        self._history: dict[str, deque[Array]] = {}
        self._action = hold
        self._seen_s = -np.inf  # capture time of the newest pose
        self._pending: tuple[Moment, Array, bool] | None = None  # a step whose outcome is not known
        self._undecided: list[Callable[..., None]] = []  # steps that wait for it to be recorded
        self._period_s = 1.0 / settings.control_rate_hz
        self._start_s = station.clock.now()
        self._placed_s = self._start_s if placed_s is None else placed_s
        self._before = station.hand.state()
        self._result = EpisodeResult(
            recorder.eid, End.TIMEOUT, "timeout", Reason.NONE, 0, 0.0, 0.0, 0.0, 0.0, 0, 0
        )

    def play(self) -> None:
        """All steps; returns when the hand has to hold."""
        due_s = self._start_s
        while True:
            self._at.clock.sleep_until(due_s)
            now_s = self._at.clock.now()
            if self._step(now_s - due_s):
                return
            # After a late step the next ones slip: two actions at once would be one for the hand.
            due_s = max(due_s + self._period_s, now_s + SHORTEST_STEP * self._period_s)

    def finish(self) -> EpisodeResult:
        """Commit what was recorded."""
        result, hand = self._result, self._at.hand.state()
        result.turned_rad = self._counter.progress_rad - self._turned_supported_rad
        result.limited = hand.limited - self._before.limited
        assert self._pending is not None, "the first step cannot end an episode"
        result.latencies_s = [s for driver in self._drivers for s in driver.latencies_s]
        result.ended_by_fallback = self._pending[0].by_fallback
        planned = self._driver.planned
        recorded = self._recorder.finish(result.outcome, self._pending[0], planned)
        assert recorded == result.eid
        return result

    def _step(self, lateness_s: float) -> bool:
        """One control step; whether the episode is over."""
        at, result = self._at, self._result
        at.hand.check()
        at.operator.quits()  # an error where nobody could stop the machine any more
        self._driver.receive()
        state, pose = at.hand.state(), at.pose_source.latest()
        assert pose is not None, "checked at the start; a pose stays until the next episode"
        new, now_s = pose.time_s > self._seen_s, at.clock.now()
        self._seen_s = pose.time_s
        if not now_s - pose.time_s >= -CLOCK_SLACK_S:  # so that nan is none either
            raise RuntimeError(
                f"the newest pose is of {pose.time_s:.3f} s, now is {now_s:.3f} s: its source has "
                "another clock, so nobody could tell when poses stop coming"
            )
        counts = new and self._settings.counts_turns
        reward = float(self._counter.update(pose.quaternion)) if counts else 0.0
        if now_s - self._placed_s < self._settings.supported_s:
            self._turned_supported_rad = self._counter.progress_rad
        blind = self._watch is not None and self._watch.update(new=new, age_s=now_s - pose.time_s)
        moment = self._moment(state, pose, now_s, lateness_s, blind)
        result.max_lateness_s = max(result.max_lateness_s, lateness_s)
        lost = self._drops.update(new=new, lost=at.task.lost(pose), age_s=now_s - pose.time_s)
        end = self._end(state, lost, now_s)
        self._settle(reward, end)
        if end is not None:
            result.duration_s = now_s - self._start_s
            alone_s = max(self._start_s, self._placed_s + self._settings.supported_s)
            result.in_hand_s = max(0.0, now_s - alone_s)
            self._pending = (moment, self._action, False)
            return True
        self._change_driver(blind, state.sent)
        seen = partial(self._seen, moment, self._driver.spec)
        decides = self._driver.decide(seen)
        self._action, late = self._driver.act(seen)
        result.underruns += late
        result.fallback_steps += blind
        self._pending = (replace(moment, underrun=late), self._action, decides)
        at.hand.send(Request.FOLLOW, self._action)
        at.witness.see(self._glimpse(state, moment))
        result.steps += 1
        return False

    def _glimpse(self, state: HandState, moment: Moment) -> Glimpse:
        return Glimpse(
            moment.time_s,
            state,
            eid=self._result.eid,
            since_start_s=moment.since_start_s,
            pose=moment.pose,
            action=self._action,
            planned=self._driver.planned,
            scores=self._driver.scores,
            turned_rad=self._counter.progress_rad,
        )

    def _moment(
        self, state: HandState, pose: PoseReading, now_s: float, lateness_s: float, blind: bool
    ) -> Moment:
        """What is seen now, with the history it brings along."""
        settings = self._settings
        row = self._at.task.observe(state.joint_pos, state.sent, self._action, pose, settings.goal)
        for key, steps in self._longest.items():
            past = self._history.setdefault(key, deque([row[key]] * steps))
            past.append(row[key])
            past.popleft()
        return Moment(
            now_s,
            row,
            np.concatenate([pose.position_m, pose.quaternion]),
            state.sent,
            pose_age_s=now_s - pose.time_s,
            latency_s=self._driver.latency_s,
            lateness_s=lateness_s,
            limited=state.limited - self._before.limited,
            since_start_s=now_s - self._start_s,
            since_placed_s=now_s - self._placed_s,
            sensors=state.sensors
            if self._watch is None
            else {**state.sensors, FALLBACK: np.array([float(blind)], np.float32)},
            by_fallback=blind,
        )

    def _end(self, state: HandState, lost: bool, now_s: float) -> End | None:
        """Why the episode is over, if it is; also notes the outcome."""
        result, settings = self._result, self._settings
        if self._pending is None:
            return None
        if state.state not in (State.FOLLOW, State.READY):
            result.end, result.outcome, result.reason = End.SAFETY, "stopped", state.reason
        elif (asked_s := self._driver.asked_s) is not None and (
            now_s - asked_s > settings.decision_deadline_s
        ):
            result.end, result.outcome = End.POLICY, "stopped"
        elif lost:
            result.end, result.outcome = End.DROPPED, "failure"
        elif outcome := self._at.operator.ends_episode():
            result.end, result.outcome = End.OPERATOR, outcome
        elif self._at.operator.quits():
            result.end, result.outcome = End.OPERATOR, "stopped"
        elif now_s - self._start_s >= settings.max_episode_s - 1e-6:
            result.end, result.outcome = End.TIMEOUT, "timeout"
        else:
            return None
        return result.end

    def _settle(self, reward: float, end: End | None) -> None:
        """Log the step before this one, whose outcome is known now.

        A step that repeated an action waits until the decision comes; if none comes, it is marked.
        """
        if self._pending is None:
            return
        moment, action, decides = self._pending
        self._result.reward += reward
        done = ("failure",) if self._settings.counts_turns else ("failure", "success")
        over = end is End.DROPPED or (end is End.OPERATOR and self._result.outcome in done)
        step = partial(
            self._recorder.add,
            moment,
            action,
            reward,
            decision=decides,
            terminated=over,
            truncated=end is not None and not over,
        )
        if moment.underrun and self._driver.asked_s is not None:
            self._undecided.append(step)
        else:
            self._record_undecided(overridden=moment.by_fallback)
            step(overridden=end is End.SAFETY or moment.by_fallback)
        if end is not None:
            self._result.undecided = len(self._undecided)
            self._record_undecided(overridden=True)

    def _record_undecided(self, *, overridden: bool) -> None:
        for step in self._undecided:
            step(overridden=overridden)
        self._undecided = []

    def _change_driver(self, blind: bool, hold: Array) -> None:
        """Let the other policy drive from here, if the eyes say so; it begins from `hold` (A,).

        Whatever was queued or asked before is forgotten. Steps that still waited for a decision
        are marked: it does not come any more.
        """
        driver = self._drivers[blind]
        if driver is self._driver:
            return
        self._record_undecided(overridden=True)
        self._driver = driver
        driver.restart(hold)

    def _seen(self, moment: Moment, spec: ChunkSpec) -> dict[str, Array]:
        """What there is to see: groups (O, F) with a history, (F,) without."""
        return {
            key: np.stack(list(self._history[key])[-spec.history :])
            if key in spec.history_keys
            else value
            for key, value in moment.observation.items()
        }


def _longest(key: str, policies: list[Drives]) -> int:
    """Steps of history of a group that any of the policies sees."""
    return max(policy.spec.history for policy in policies if key in policy.spec.history_keys)
