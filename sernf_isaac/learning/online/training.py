"""Stage IV against a live environment: act, remember, learn, again (paper IV-D, Alg. 3)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Replay
from sernf_isaac.devices import restore_generator
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.learning.online.episode_files import pack, unpack
from sernf_isaac.learning.online.rollout import Environment, collect
from sernf_isaac.learning.stages import ONLINE, PolicyUpdate, Stage
from sernf_isaac.policy import ChunkPolicy


@dataclass
class OnlineSchedule:
    """How acting and learning take turns."""

    env_steps: int = 20_000
    """Budget, over all environments; the round that reaches it is cut off."""
    updates_per_step: float = 0.05
    """Updates for every environment step. Paper: 1,000 for 15 minutes at 20 Hz, 0.056 (G)."""
    candidates: int = 24
    """Chunks K per decision when acting (Alg. 2)."""
    improves_policy: bool = True
    """False: only critics learn from here on, and choose among the policy's chunks. Paper: true."""
    timeouts_fail: bool = False
    """Nothing is earned after an episode that ran out of time, so that waiting costs. Paper: what
    follows is estimated."""

    def __post_init__(self) -> None:
        for name in ("env_steps", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"online.{name} ({getattr(self, name)}) must be at least 1")
        if self.updates_per_step < 0:
            raise ValueError(f"online.updates_per_step ({self.updates_per_step}) must be >= 0")


@dataclass(frozen=True)
class Round:
    """One episode of each environment, and the updates after it."""

    episodes: list[Episode]
    metrics: dict[str, float]
    """Means over the round's updates; empty without any."""


class OnlineTraining:
    """Stage IV, round by round; may be left between rounds and continued bit for bit on a CPU.

    Args:
        learner: Is changed.
        policy: Acts; shares its networks with the learner.
        env: One round is one episode of each of its environments.
        replay: Holds the offline data, mixes by its own rule, and receives the episodes.
        schedule: Budget, updates and candidates.
        batch_size: Rows of an update's batch.
        hold: (A,) or (N, A) actions that keep still, queued before an episode's first decision.
        seed: Of the candidates of acting.
        stage: What an update is.
    """

    def __init__(
        self,
        learner: Learner,
        policy: ChunkPolicy,
        env: Environment,
        replay: Replay,
        schedule: OnlineSchedule,
        *,
        batch_size: int,
        hold: Tensor,
        seed: int = 0,
        stage: Stage = ONLINE,
    ) -> None:
        self.learner, self.policy, self.env, self.replay = learner, policy, env, replay
        self.schedule, self.stage, self._hold = schedule, stage, hold
        if not schedule.improves_policy:
            self.stage = replace(stage, policy=PolicyUpdate.FROZEN)
        self._batch_size = batch_size
        self._generator = torch.Generator(policy.device).manual_seed(seed)
        self.env_steps, self.updates = 0, 0
        """Taken so far."""
        self.episodes: list[Episode] = []
        """Collected so far."""

    def rounds(self) -> Iterator[Round]:
        """Go on until the budget is used up; yields after every round."""
        budget, count = self.schedule.env_steps, self.env.num_envs
        while (left := (budget - self.env_steps) // count) > 0:
            episodes = collect(
                self.env,
                partial(
                    self.policy.decide,
                    candidates=self.schedule.candidates,
                    rank="value",
                    generator=self._generator,
                ),
                self.policy.layout.spec,
                hold=self._hold,
                name=f"after {self.updates} updates",
                max_steps=left,
                correct=self.policy.correct,
            )
            if self.schedule.timeouts_fail:
                episodes = [without_future(episode) for episode in episodes]
            self._remember(episodes)
            self.env_steps += sum(map(len, episodes))
            yield Round(episodes, self._learn())

    def state_dict(self) -> dict:
        """All that later rounds depend on, between two rounds."""
        return {
            "learner": self.learner.state_dict(),
            "replay": self.replay.state_dict(),
            "env": self.env.state_dict(),
            "generator": self._generator.get_state(),
            "counts": [self.env_steps, self.updates],
            "episodes": pack(self.episodes) if self.episodes else None,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`; the replay must hold the same offline data, and only them.

        Raises:
            ValueError: If networks or offline data differ.
        """
        self._remember(unpack(state["episodes"]) if state["episodes"] else [])
        self.replay.load_state_dict(state["replay"])
        self.learner.load_state_dict(state["learner"])
        self.env.load_state_dict(state["env"])
        restore_generator(self._generator, state["generator"])
        self.env_steps, self.updates = state["counts"]

    def _remember(self, episodes: list[Episode]) -> None:
        for episode in episodes:
            self.replay.add(episode, f"online/{len(self.episodes)}")
            self.episodes.append(episode)

    def _learn(self) -> dict[str, float]:
        """As many updates as the steps taken so far call for."""
        sums: Metrics = {}
        first = self.updates
        while self.updates < int(self.schedule.updates_per_step * self.env_steps):
            batch = self.replay.sample(self._batch_size)
            scaled = self.policy.normalizer.normalize_batch(batch)
            metrics = self.stage.update(self.learner, scaled)
            sums = {name: sums.get(name, 0.0) + value for name, value in metrics.items()}
            self.updates += 1
        self.learner.check()
        return {name: float(value) / (self.updates - first) for name, value in sums.items()}


def without_future(episode: Episode) -> Episode:
    """An episode that ran out of time, as one that is over; others as they are."""
    if episode.outcome != "timeout":
        return episode
    last = np.arange(len(episode)) == len(episode) - 1
    return replace(episode, terminated=last, truncated=np.zeros_like(last))
