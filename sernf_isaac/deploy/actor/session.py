"""A session of robot time: reset, episode, and between them checkpoints, faults and accounts.

    for result in Session(...).episodes(): ...

Everything that waits keeps sending signs of life, so that the hand does not relax meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import tau

import numpy as np

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.store.channel import beat
from sernf_isaac.data.store.writer import RunWriter
from sernf_isaac.deploy.actor.driving import Drives
from sernf_isaac.deploy.actor.episode import End, EpisodeResult, RunnerSettings
from sernf_isaac.deploy.actor.runner import run_episode
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.loop.messages import HandState
from sernf_isaac.deploy.loop.states import Reason, Request, State
from sernf_isaac.deploy.policy.follower import CheckpointFollower
from sernf_isaac.deploy.policy.reflex import Correct
from sernf_isaac.deploy.protocols import Array

ALIVE_EVERY_S = 0.04
PLACE_TIMEOUT_S = 1.0
POSE_TIMEOUT_S = 5.0
RAMP_TIMEOUT_S = 20.0
MAX_FAILED = 10
"""Episodes in a row that could not begin, before a session gives up."""


@dataclass(frozen=True)
class Poses:
    """Where the hand goes between episodes, (A,) each [rad]."""

    opened: Array
    """Lets a person put the object in."""
    grasp: Array
    """Closed around the object; episodes start here."""


@dataclass(frozen=True)
class Questions:
    """What the person is asked between two episodes."""

    leave: str = ""
    """Before the hand opens and an arm moves; empty: nothing, they just do."""
    place: Callable[[int], str] = lambda _: "put the object under the palm"
    """Before an episode, given the number of those before it."""


@dataclass
class Totals:
    """The session so far. Turns count in the commanded direction."""

    runs: int = 0
    turned_rad: float = 0.0
    in_hand_s: float = 0.0
    """Time in the hand: what the paper's rotations per minute divide by."""
    data_s: float = 0.0
    """Time in episodes."""
    wall_s: float = 0.0
    """Time since the first reset."""
    drops: int = 0
    underruns: int = 0
    steps: int = 0
    latencies_s: list[float] = field(default_factory=list)

    def add(self, result: EpisodeResult) -> None:
        """Count an episode."""
        self.runs += 1
        self.turned_rad += result.turned_rad
        self.in_hand_s += result.in_hand_s
        self.data_s += result.duration_s
        self.drops += result.outcome == "failure"
        self.underruns += result.underruns
        self.steps += result.steps
        self.latencies_s += result.latencies_s

    def numbers(self) -> dict[str, float]:
        """For reports; what cannot be told yet is left out."""
        turns, found = self.turned_rad / tau, {"runs": float(self.runs), "drops": float(self.drops)}
        found |= {"data_minutes": self.data_s / 60.0, "underruns": float(self.underruns)}
        if self.runs:
            found["turns_per_run"] = turns / self.runs
        if self.in_hand_s:
            found["rpm_in_hand"] = turns / self.in_hand_s * 60.0
        if self.wall_s:
            found["rpm_wall"] = turns / self.wall_s * 60.0
        if self.latencies_s:
            found["latency_p99_ms"] = 1e3 * float(np.quantile(self.latencies_s, 0.99))
        return found


class Session:
    """Runs episodes until told to stop.

    Args:
        station: The machine.
        settings: How episodes run.
        poses: Where the hand goes between them.
        writer: Of the run; recovered already.
        follower: Chooses the checkpoint; has taken one.
        spec_of: The chunk spec of the policy that is loaded now.
        reflex_of: Its reflex, if it has one.
        actor: Name under which signs of life are left.
        questions: What the person is asked.
        fallback: Drives while there are no poses; see `RunnerSettings.fallback`.
    """

    def __init__(
        self,
        station: Station,
        settings: RunnerSettings,
        poses: Poses,
        writer: RunWriter,
        follower: CheckpointFollower,
        spec_of: Callable[[], ChunkSpec],
        *,
        reflex_of: Callable[[], Correct | None] = lambda: None,
        actor: str = "actor",
        questions: Questions | None = None,
        fallback: Drives | None = None,
    ) -> None:
        self.station = station
        self._questions = questions or Questions()
        self._settings, self._poses = settings, poses
        self._writer, self._follower, self._spec_of = writer, follower, spec_of
        self._reflex_of, self._fallback = reflex_of, fallback
        self._actor, self._heard = actor, ""
        self._placed_s: float | None = None
        self.totals = Totals()

    def episodes(
        self, *, count: int | None = None, data_minutes: float | None = None
    ) -> Iterator[EpisodeResult]:
        """Episodes, until there are `count`, or this much data, or the person quits.

        Raises:
            RuntimeError: If ten in a row could not begin, the policy hangs, the stop key fails,
                or a process died.
        """
        began_s, failed = self.station.clock.now(), 0
        while not self.station.operator.quits():
            totals = self.totals
            enough = data_minutes is not None and totals.data_s >= 60.0 * data_minutes
            if enough or (count is not None and totals.runs >= count):
                return
            if not self._prepare():
                failed += 1
                if failed == MAX_FAILED:
                    raise RuntimeError(
                        f"{MAX_FAILED} episodes in a row could not begin; see the messages above"
                    )
                continue
            failed = 0
            result = run_episode(
                self.station,
                self._settings,
                self._writer,
                spec=self._spec_of(),
                policy_name=self._follower.name,
                is_offline=self._follower.step == 0,
                placed_s=self._placed_s,
                correct=self._reflex_of(),
                fallback=self._fallback,
            )
            totals.add(result)
            totals.wall_s = self.station.clock.now() - began_s
            counts, score = self._settings.counts_turns, result.turned_rad / tau
            score = score if counts else float(result.outcome == "success")
            if result.judges_policy:
                self._say(self._follower.report(score))
            self._beat(result)
            yield result
            if result.end is End.POLICY:
                raise RuntimeError(
                    "the policy gave no decision within "
                    f"{self._settings.decision_deadline_s:g} s: it hangs, or this machine is too "
                    f"busy. The last {result.undecided} steps are marked and not learned from"
                )

    def _prepare(self) -> bool:
        """Everything up to READY with an object in the hand and seen; whether it worked."""
        hand = self.station.hand
        self._until(lambda: hand.state().state is not State.FOLLOW, PLACE_TIMEOUT_S)
        state = hand.state()
        if state.reason not in (Reason.NONE, Reason.ASKED) and not self._recovered(state):
            return False
        if (error := hand.state().error) != self._heard:  # of no consequence: a full disk
            self._heard = error
            self._say(f"hand: {error}" if error else "")
        self._say(self._follower.refresh())
        if not (self._placed() and self._ramped(self._poses.grasp)):
            return False
        self.station.pose_source.reset()
        if not self._until(lambda: self.station.pose_source.latest() is not None, POSE_TIMEOUT_S):
            self._say("no pose of the object; is it in view of the camera?")
            return False
        return not self.station.operator.quits()

    def _recovered(self, state: HandState) -> bool:
        """Whether a person, or an actor that was only late, brought the hand back."""
        if state.state is State.HOLD and state.reason is Reason.SILENT:
            return True  # the next ramp takes it from there
        detail = f": {state.error}" if state.error else ""
        self.station.operator.ask(f"hand: {state.reason.name}{detail}. Look, then clear it (c).")
        return self._until(
            lambda: self.station.hand.state().reason is Reason.NONE
            or self.station.operator.quits(),
            None,
        )

    def _placed(self) -> bool:
        """Put the object into the hand, by machine where that is possible."""
        hand, operator = self.station.hand, self.station.operator
        before, self._placed_s = hand.state().placed, None
        hand.send(Request.PLACE)
        if self._until(lambda: hand.state().placed > before, PLACE_TIMEOUT_S):
            self._placed_s = hand.state().since_s
            return True
        if self._questions.leave and not self._asked(self._questions.leave):
            return False
        if not self._ramped(self._poses.opened):
            return False
        question = self._questions.place(self.totals.runs)
        return self._asked(question) and operator.quits() is False

    def _asked(self, question: str) -> bool:
        operator = self.station.operator
        operator.ask(question)
        self._until(lambda: operator.answered() or operator.quits(), None)
        return operator.answered()

    def _ramped(self, pose: Array) -> bool:
        hand = self.station.hand
        number = hand.send(Request.RAMP, pose)

        def over() -> bool:
            state = hand.state()
            return state.command_sequence >= number and state.state is not State.RAMP

        in_time = self._until(over, RAMP_TIMEOUT_S)
        state = hand.state()
        if not in_time or state.state is not State.READY:
            self._say(f"the hand did not get ready: {state.state.name}, {state.reason.name}")
            return False
        return True

    def _until(self, holds: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait with signs of life; whether it came true in time."""
        clock = self.station.clock
        until_s = clock.now() + (np.inf if timeout_s is None else timeout_s)
        while not holds():
            if clock.now() > until_s:
                return False
            self.station.hand.check()
            self.station.operator.quits()  # an error where nobody could stop it any more
            self.station.hand.alive()
            self.station.witness.see(Glimpse(clock.now(), self.station.hand.state()))
            clock.sleep_until(clock.now() + ALIVE_EVERY_S)
        return True

    def _beat(self, result: EpisodeResult) -> None:
        info: dict = dict(self.totals.numbers())
        info |= {"policy": self._follower.name, "last_end": str(result.end), "eid": result.eid}
        beat(self._writer.run, self._actor, info, time.time)

    def _say(self, message: str) -> None:
        if message:
            self.station.operator.tell(message)
