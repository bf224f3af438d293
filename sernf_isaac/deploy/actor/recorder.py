"""Turns control steps into a crash-safe episode of the store, with what a learner does not need.

Beside the policy's observation groups more are logged, for people and for labels: pose, commands,
timing, and `log_<name>` of each sensor that the hand has (`hand/sensors.py`). Learners leave them
out unless they are named when loading (`keys`).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from sernf_isaac.data.group_names import LOG
from sernf_isaac.data.store.open_episode import OpenEpisode
from sernf_isaac.data.store.steps import Step, StepLayout
from sernf_isaac.data.store.writer import RunWriter
from sernf_isaac.deploy.protocols import Array

POSE, SENT, TIMING = "log_pose", "log_sent", "log_timing"
TIMING_FIELDS = (
    "pose_age_s",
    "latency_s",
    "lateness_s",
    "underrun",
    "limited",
    "since_start_s",
    "since_placed_s",
)
"""Columns of the group `log_timing`; older episodes lack the last two."""
SYNC_EVERY_S = 1.0


@dataclass(frozen=True)
class Moment:
    """Everything about one control step but its outcome."""

    time_s: float
    observation: dict[str, Array]
    """The policy's groups, (F,) each."""
    pose: Array
    """(7,) where the object was seen: position [m], rotation xyzw."""
    sent: Array
    """(A,) newest command of the hand [rad]."""
    pose_age_s: float
    latency_s: float
    """Of the newest decision."""
    lateness_s: float
    """Of this control step."""
    limited: int = 0
    """Ticks in which the guard bound, since the episode began."""
    underrun: bool = False
    """The chunk was late: this step's action is the last one again."""
    since_start_s: float = 0.0
    """Time since the episode's start."""
    since_placed_s: float = 0.0
    """Time since a machine placed the object; since the start if a person did."""
    sensors: Mapping[str, Array] = field(default_factory=dict)
    """What the hand measured beside its joints, by name."""
    by_fallback: bool = False
    """The fallback drives in this step."""


def log_layout(
    features: dict[str, int],
    num_joints: int,
    policy: str,
    *,
    is_offline: bool = False,
    sensors: Mapping[str, int] | None = None,
) -> StepLayout:
    """What a row of an episode's log holds; `sensors` are sizes of what else the hand measures."""
    logged = {POSE: 7, SENT: num_joints, TIMING: len(TIMING_FIELDS)}
    logged |= {f"{LOG}{name}": size for name, size in (sensors or {}).items()}
    return StepLayout({**features, **logged}, num_joints, policy=policy, is_offline=is_offline)


class StepRecorder:
    """One open episode; a side thread brings it to disk about once a second.

    Args:
        writer: Of the run.
        layout: From `log_layout`.
    """

    def __init__(self, writer: RunWriter, layout: StepLayout) -> None:
        self._episode: OpenEpisode = writer.begin(layout)
        self._failed: OSError | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_syncing, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Without `finish` before, the episode stays in its log, from which it is recovered."""
        self._stop_syncing()

    @property
    def eid(self) -> str:
        """The episode's id."""
        return self._episode.eid

    def add(
        self,
        moment: Moment,
        action: Array,
        reward: float,
        *,
        decision: bool,
        overridden: bool = False,
        terminated: bool = False,
        truncated: bool = False,
    ) -> None:
        """Log a step whose outcome is known by now.

        Raises:
            OSError: If the disk is full or failed to sync.
        """
        if self._failed is not None:
            raise self._failed
        step = Step(
            _logged(moment),
            action=action,
            reward=reward,
            decision=decision,
            overridden=overridden,
            terminated=terminated,
            truncated=truncated,
        )
        self._episode.append(step, moment.time_s)

    def finish(self, outcome: str, last: Moment, planned: Array) -> str:
        """Commit the episode; when this returns it is safe. Returns its id.

        Takes tens of milliseconds: not while the hand needs commands.
        """
        self._stop_syncing()
        return self._episode.finish(outcome, _logged(last), np.asarray(planned, np.float32))

    def _keep_syncing(self) -> None:
        while not self._over.wait(SYNC_EVERY_S):
            try:
                self._episode.sync()
            except OSError as error:
                self._failed = error
                return

    def _stop_syncing(self) -> None:
        self._over.set()
        self._thread.join()


def _logged(moment: Moment) -> dict[str, Array]:
    timing = np.array([getattr(moment, name) for name in TIMING_FIELDS], np.float32)
    logged = {POSE: moment.pose, SENT: moment.sent, TIMING: timing}
    sensed = {f"{LOG}{name}": values for name, values in moment.sensors.items()}
    return {**moment.observation, **logged, **sensed}
