"""Reinforcement learning in simulation: stages II to IV, round by round (paper IV-D, Alg. 3).

What a learner beside a robot does with minutes of data, done with rounds: N simulated machines play
an episode each, then the stage's updates follow. Updates, windows and losses are the robot's, so
that policy and critics can go on there. A round depends on the seed, its number and the weights
alone, and its episodes are kept in a file; so a run continues from any resume point, with any
number of processes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing, Replay
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.learning.online.episode_files import load_episodes, save_episodes
from sernf_isaac.learning.online.rollout import Environment, collect
from sernf_isaac.learning.stages import OFFLINE, ONLINE, WARM_UP, Stage, unequal
from sernf_isaac.learning.workers import Workers, seed_of
from sernf_isaac.metrics import MetricsWriter
from sernf_isaac.policy import ChunkPolicy

STATE_FILE = "training_state.pt"
EPISODES = "rounds"
"""Folder of the episodes, a file for each round and process."""
SIMULATED_FILE = "simulated.pt"
"""Episodes of the newest rounds, in one file."""
IMITATED = ("first", "best")


class SeededWorlds(Environment, Protocol):
    """An environment whose next episodes depend on a seed and nothing before it."""

    hold: Tensor
    """(N, A) actions that keep still, of the episodes that have begun."""

    def seed(self, seed: int) -> None:
        """Draw everything after the next `reset` from this seed."""
        ...


@dataclass
class PolishPlan:
    """How long each stage lasts, and how the machines act meanwhile."""

    warm_up_rounds: int = 5
    """Critics learn, the policy acts as it came."""
    offline_rounds: int = 0
    """The policy learns too, on all rows as offline data."""
    online_rounds: int = 25
    """The policy learns, on offline and online rows."""
    updates_per_round: int = 80
    """Of the round's stage."""
    critic_updates: int = 4
    """Steps of the critics in one update, among which its batch is dealt out."""
    batch_size: int = 256
    """Rows of an update, over all processes."""
    episode_steps: int = 200
    """Episodes are cut off after so many control steps; their end is bootstrapped."""
    candidates: int = 8
    """Chunks K per decision from the second stage on; the critics choose."""
    imitated: str = "first"
    """Which rows the likelihood looks at, besides that their episode did not end in failure:
    "first", of the warm-up alone, which are the unchanged policy's (Alg. 3: offline data); "best",
    also the later ones, so that the policy follows what the critics chose from it."""
    mixing: Mixing = field(default_factory=lambda: Mixing("proportional"))
    kept_rounds: int = 2
    """Newest rounds whose episodes `SIMULATED_FILE` keeps, for fine-tuning to learn from too."""
    save_every: int = 2
    """Rounds between resume points."""

    def __post_init__(self) -> None:
        for name in ("updates_per_round", "critic_updates", "episode_steps", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"plan.{name} ({getattr(self, name)}) must be at least 1")
        for name in ("warm_up_rounds", "offline_rounds", "online_rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"plan.{name} ({getattr(self, name)}) must be 0 or more")
        if self.batch_size % self.critic_updates:
            raise ValueError(
                f"plan.batch_size: {self.batch_size} rows cannot be dealt out among "
                f"{self.critic_updates} plan.critic_updates"
            )
        if self.imitated not in IMITATED:
            raise ValueError(f"plan.imitated must be one of {IMITATED}, not '{self.imitated}'")
        for name in ("save_every", "kept_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"plan.{name} ({getattr(self, name)}) must be at least 1")

    @property
    def rounds(self) -> int:
        """Of all stages."""
        return self.warm_up_rounds + self.offline_rounds + self.online_rounds

    def stage(self, number: int) -> Stage:
        """The stage of a round, counted from 0."""
        if number < self.warm_up_rounds:
            return unequal(WARM_UP, self.critic_updates)
        offline = number < self.warm_up_rounds + self.offline_rounds
        return unequal(OFFLINE if offline else ONLINE, self.critic_updates)


class Polisher:
    """Play, remember, learn, save; may be interrupted anywhere and continued.

    Args:
        env: The machines of this process.
        policy: Acts; shares its networks with the learner.
        learner: Is changed.
        plan: Settings.
        run_dir: Where episodes, metrics and resume points go.
        seed: Of episodes, candidates and batches.
        workers: The processes that learn together; each needs machines of its own.

    Raises:
        ValueError: If a batch cannot be dealt out among the processes.
    """

    def __init__(
        self,
        env: SeededWorlds,
        policy: ChunkPolicy,
        learner: Learner,
        plan: PolishPlan,
        run_dir: Path,
        *,
        seed: int = 0,
        workers: Workers | None = None,
    ) -> None:
        self.env, self.policy, self.learner, self.plan = env, policy, learner, plan
        self.run_dir, self.workers = run_dir, workers or Workers()
        self._seed = seed
        self._rows, rest = divmod(plan.batch_size, self.workers.count)
        if rest or self._rows % plan.critic_updates:
            raise ValueError(
                f"plan.batch_size: {plan.batch_size} rows cannot be dealt out among "
                f"{self.workers.count} processes with {plan.critic_updates} critic_updates"
            )
        self._draw, self._candidates = torch.Generator(), torch.Generator(policy.device)
        spec = replace(policy.layout.spec, align_to_decisions=True)
        self._replay = Replay(spec, self._draw, plan.mixing)
        learner.join(self.workers)
        self.round = 0
        """Rounds done."""
        self.after_save: Callable[[Polisher, bool], dict[str, float]] = lambda *_: {}
        """Hook of process 0 before every resume point, told whether the run ends with it; the
        numbers it returns are logged."""

    def run(self) -> None:
        """Go on until the last round."""
        writer = MetricsWriter(self.run_dir, self.round + 1) if self.workers.writes else None
        bar = tqdm(
            total=self.plan.rounds, initial=self.round, desc="polish", unit="round",
            disable=writer is None,
        )  # fmt: skip
        try:
            while self.round < self.plan.rounds:
                metrics = self.workers.mean(self._play() | self._learn())
                self.round += 1
                bar.update()
                bar.set_postfix({k: f"{metrics[k]:.3g}" for k in _SHOWN if k in metrics})
                last = self.round == self.plan.rounds
                saves = last or self.round % self.plan.save_every == 0
                if writer:
                    metrics |= self.after_save(self, last) if saves else {}
                    writer.write(self.round, metrics)
                    writer.flush()
                if saves:
                    self.workers.gather(self.round)  # nobody is ahead while process 0 evaluates
                    self.save()
        finally:
            bar.close()
            if writer:
                writer.close()

    def save(self) -> None:
        """Write the resume point by one rename."""
        if self.workers.writes:
            newest = range(max(0, self.round - self.plan.kept_rounds), self.round)
            files = [file for number in newest for file in self._files(number)]
            kept = [episode for file in files for episode in load_episodes(file)]
            save_episodes(self.run_dir / SIMULATED_FILE, kept)
            state = {"learner": self.learner.state_dict(), "round": self.round}
            write_whole(self.run_dir / STATE_FILE, state)

    def resume(self) -> None:
        """Go back to the last resume point, which any number of processes may have written.

        Raises:
            FileNotFoundError: If there is none, or episodes of before it are gone.
            ValueError: If it is damaged, or of other networks.
        """
        path = self.run_dir / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(f"nothing to resume: {path} does not exist")
        state = read_whole(path)
        if not isinstance(state, dict) or not {"learner", "round"} <= state.keys():
            raise ValueError(f"{path} is no resume point of RL in simulation")
        self.learner.load_state_dict(state["learner"])
        self.round = state["round"]
        if self.workers.rank:
            self.learner.fresh_noise(self.round)
        for number in range(self.round):
            for file in self._files(number)[self.workers.rank :: self.workers.count]:
                self._remember(file.stem, load_episodes(file))

    def _files(self, number: int) -> list[Path]:
        """A round's episodes, by process."""
        files = sorted((self.run_dir / EPISODES).glob(f"{number:04d}.*.pt"))
        if not files:
            raise FileNotFoundError(
                f"the episodes of round {number + 1} are gone from {self.run_dir / EPISODES}"
            )
        return files

    def _play(self) -> dict[str, float]:
        """One episode on each machine."""
        started = time.monotonic()
        number, rank, stage = self.round, self.workers.rank, self.plan.stage(self.round)
        own = seed_of(self._seed, rank) + 7919 * (number + 1)
        self.env.seed(own)
        self._draw.manual_seed(own)
        self._candidates.manual_seed(own)
        chooses = stage.policy is not WARM_UP.policy
        decide = partial(
            self.policy.decide,
            candidates=self.plan.candidates if chooses else 1,
            rank="value" if chooses else "likelihood",
            generator=self._candidates,
        )
        episodes = collect(
            self.env,
            decide,
            self.policy.layout.spec,
            hold=lambda: self.env.hold,
            name=f"round {number + 1}",
            max_steps=self.plan.episode_steps,
            correct=self.policy.correct,
        )
        imitated = self.plan.imitated == "best" or stage.name != ONLINE.name
        for episode in episodes:
            episode.is_offline = imitated and not episode.terminated[-1]
        name = f"{number:04d}.{rank:03d}"
        (self.run_dir / EPISODES).mkdir(exist_ok=True)
        save_episodes(self.run_dir / EPISODES / f"{name}.pt", episodes)
        self._remember(name, episodes)
        steps = sum(map(len, episodes))
        return {
            "rollout/reward": sum(float(e.reward.sum()) for e in episodes) / len(episodes),
            "rollout/reward_per_step": sum(float(e.reward.sum()) for e in episodes) / steps,
            "rollout/failed": sum(bool(e.terminated[-1]) for e in episodes) / len(episodes),
            "rollout/steps": float(steps),
            "replay/windows": float(len(self._replay)),
            "time/collect_s": time.monotonic() - started,
        }

    def _remember(self, name: str, episodes: list[Episode]) -> None:
        for index, episode in enumerate(episodes):
            self._replay.add(episode, f"{name}/{index}")

    def _learn(self) -> dict[str, float]:
        started, stage, sums = time.monotonic(), self.plan.stage(self.round), Metrics()
        for _ in range(self.plan.updates_per_round):
            metrics = stage.update(self.learner, self._batch())
            sums = {name: sums.get(name, 0.0) + value for name, value in metrics.items()}
        self.learner.check()
        means = {name: float(value) / self.plan.updates_per_round for name, value in sums.items()}
        return means | {"time/learn_s": time.monotonic() - started}

    def _batch(self) -> ChunkBatch:
        return self.policy.normalizer.normalize_batch(self._replay.sample(self._rows))


_SHOWN = ("rollout/reward", "rollout/failed", "critic/loss", "actor/selection_gain")
