"""How an episode runs, why it ended, and what it was like."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from sernf_isaac.deploy.actor.fallback import FallbackRule
from sernf_isaac.deploy.loop.states import Reason

MOST_PATIENT_S = 5.0
"""No decision may take longer."""


class End(StrEnum):
    """Why an episode ended."""

    DROPPED = "dropped"
    TIMEOUT = "timeout"
    OPERATOR = "operator"
    SAFETY = "safety"
    POLICY = "policy"
    """A decision missed its deadline: the policy hangs."""


NOT_THE_POLICY = frozenset({Reason.SILENT, Reason.NO_READING, Reason.DRIVER, Reason.HEALTH})
"""Ends by safety that say nothing about a policy."""


@dataclass
class RunnerSettings:
    """How episodes run."""

    goal: float = 1.0
    """Commanded spin [rad/s]; positive is counter-clockwise seen from above."""
    control_rate_hz: float = 20.0
    """Actions per second."""
    max_episode_s: float = 60.0
    """An episode is ended after this, at the latest."""
    blind_s: float = 1.0
    """Without a pose for this long the object counts as dropped; `fallback.longest_s` where there
    is a fallback."""
    fallback: FallbackRule = field(default_factory=FallbackRule)
    """When a policy without a camera takes over, where one was given."""
    supported_s: float = 0.0
    """Something else holds the object for so long after it was placed (paper F.4a: 6 s in
    simulation): it is recorded and learned from, but not counted as time or turns in the hand.
    Where a person places it, this begins with the episode."""
    decision_deadline_s: float = 1.0
    """A decision that takes longer is none: the policy hangs, the hand holds, the session ends."""
    counts_turns: bool = True
    """Whether every quarter turn of the object earns 1, without end (paper C.3). If not, a person
    gives the rewards afterwards, and a success is the end of the task (IV-B)."""

    def __post_init__(self) -> None:
        positive = ("control_rate_hz", "max_episode_s", "blind_s", "decision_deadline_s")
        for name in positive:
            if not 0.0 < (value := getattr(self, name)) < np.inf:
                raise ValueError(f"runner.{name} ({value}) must be positive and finite")
        if not 0.0 <= self.supported_s < np.inf:
            raise ValueError(f"runner.supported_s ({self.supported_s}) must be 0 or more")
        if self.decision_deadline_s > MOST_PATIENT_S:
            raise ValueError(
                f"runner.decision_deadline_s ({self.decision_deadline_s}) must be at most "
                f"{MOST_PATIENT_S:g}: until then a hanging policy's last action is repeated"
            )


@dataclass
class EpisodeResult:
    """What an episode was like."""

    eid: str
    end: End
    outcome: str
    reason: Reason
    """What the hand said, if safety ended it."""
    steps: int
    duration_s: float
    in_hand_s: float
    """The part of it in which nothing else held the object."""
    turned_rad: float
    """Net turn in the commanded direction in that part."""
    reward: float
    underruns: int
    """Steps that repeated an action because a chunk was late."""
    limited: int
    """Ticks in which the guard bound."""
    latencies_s: list[float] = field(default_factory=list)
    max_lateness_s: float = 0.0
    undecided: int = 0
    """Steps at the end for which no decision came; they are not learned from."""
    fallback_steps: int = 0
    """Steps that the fallback drove; they are not learned from either."""
    ended_by_fallback: bool = False
    """It drove when the episode ended."""

    @property
    def judges_policy(self) -> bool:
        """Whether the episode says anything for or against the policy that drove."""
        machine = self.end is End.SAFETY and self.reason in NOT_THE_POLICY
        other = self.undecided or self.ended_by_fallback
        return not (machine or other or self.end is End.POLICY)
