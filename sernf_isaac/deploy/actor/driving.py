"""A policy at work in an episode: its queue, the decision it is asked for, its reflex."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sernf_isaac.chunk_queue import ChunkQueue
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.deploy.policy.local import PolicyLink, Scoring
from sernf_isaac.deploy.policy.reflex import Correct
from sernf_isaac.deploy.protocols import Array

Seen = Mapping[str, Array]
"""Groups by name: (O, F) with a history, (F,) without."""


@dataclass(frozen=True)
class Drives:
    """A loaded policy, ready to drive."""

    policy: PolicyLink
    spec: ChunkSpec
    correct: Correct | None = None
    """Its reflex, if it has one."""
    sees: Callable[[dict[str, Array]], dict[str, Array]] = dict
    """What it sees of a task's groups, (O, F) or (F,) each; all of them by default."""


class Driver:
    """A policy that drives through an episode, or a part of one.

    Args:
        drives: The policy.
        hold: (A,) an action that keeps still.
        limits: (A,) least and largest action; what the policy gives is clipped to them.
        now: The station's clock.
    """

    def __init__(
        self,
        drives: Drives,
        hold: Array,
        limits: tuple[Array, Array],
        now: Callable[[], float],
    ) -> None:
        self._drives, self._limits, self._now = drives, limits, now
        self._queue = ChunkQueue(drives.spec, torch.from_numpy(hold)[None])
        self.asked_s: float | None = None
        """When the decision was asked for that has not come."""
        self.latencies_s: list[float] = []
        """Of the decisions that came."""

    @property
    def spec(self) -> ChunkSpec:
        """How its time is laid out."""
        return self._drives.spec

    @property
    def latency_s(self) -> float:
        """Of the newest decision."""
        return self._drives.policy.last_latency_s

    @property
    def scores(self) -> Array:
        """(K,) of the newest decision's candidates; none where the policy does not tell."""
        policy = self._drives.policy
        return policy.last_scores if isinstance(policy, Scoring) else np.zeros(0)

    @property
    def planned(self) -> Array:
        """(Q, A) what is queued, the next action first."""
        return self._queue.planned(0).numpy()

    def restart(self, hold: Array) -> None:
        """Forget what is queued and what was asked; the next actions keep still at `hold` (A,)."""
        self._queue.reset(torch.from_numpy(hold))
        self.asked_s = None

    def receive(self) -> None:
        """Queue the chunk that was asked for, if it has come."""
        policy = self._drives.policy
        if self.asked_s is None or (chunk := policy.poll()) is None:
            return
        self.asked_s = None
        self.latencies_s.append(policy.last_latency_s)
        self._queue.push(torch.from_numpy(np.clip(chunk, *self._limits))[None])

    def decide(self, seen: Callable[[], dict[str, Array]]) -> bool:
        """Begin a decision if one is due; whether it was. `seen` tells a task's groups of now."""
        if not self._queue.due[0]:
            return False
        prefix = self._queue.begin()[0].numpy()
        self._drives.policy.request(self._drives.sees(seen()), prefix)
        self.asked_s = self._now()
        self.receive()
        return True

    def act(self, seen: Callable[[], dict[str, Array]]) -> tuple[Array, bool]:
        """The action (A,) to send now, and whether it is the last one again: nothing was queued.

        A reflex moves the action; what is planned stays as it is queued.
        """
        starved = bool(self._queue.starved[0])
        action, correct = self._queue.pop()[0].numpy(), self._drives.correct
        if correct is not None:
            action = np.clip(correct(self._drives.sees(seen()), action), *self._limits)
        return action, starved
