"""The whole method in memory, against any environment: demonstrations in, a report per stage out.

For examples, benchmarks and ablations; what a real robot does goes through an episode store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.config import given, refuse_unused
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import Normalizer
from sernf_isaac.data.replay import Replay
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.offline.config import OfflineStages
from sernf_isaac.learning.offline.data import OfflineSampler, held_out_names
from sernf_isaac.learning.online.rollout import Environment
from sernf_isaac.learning.online.training import OnlineSchedule, OnlineTraining
from sernf_isaac.learning.per_step import PerStepReplay
from sernf_isaac.learning.staged_training import STATE_FILE, Leg, StagedTraining
from sernf_isaac.learning.stages import IMITATION, OFFLINE, ONLINE, WARM_UP, Stage, unequal
from sernf_isaac.metrics import MetricsWriter
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.policy import ChunkPolicy

ONLINE_STATE_FILE = "online_state.pt"


@dataclass
class FourStageRun(OfflineStages):
    """Everything that determines a run, besides the demonstrations and the environment."""

    online: OnlineSchedule = field(default_factory=OnlineSchedule)
    critic_updates: int = 1
    """Steps of the critics in one step of stages II to IV, among which its batch is dealt out; the
    policy learns from the last part. The paper (Alg. 3) has 1."""
    evaluate_every: int = 5_000
    """Environment steps between two reports in stage IV."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.critic_updates < 1 or self.rl_batch_size % self.critic_updates:
            raise ValueError(
                f"rl_batch_size: {self.rl_batch_size} rows cannot be dealt out among "
                f"{self.critic_updates} critic_updates"
            )
        if self.evaluate_every < 1:
            raise ValueError(f"evaluate_every ({self.evaluate_every}) must be at least 1")
        why = "these environments show no images"
        refuse_unused(self.architecture, ("vision",), why, group="architecture")


@dataclass(frozen=True)
class Problem:
    """What there is to learn from."""

    demonstrations: Mapping[str, Episode]
    normalizer: Normalizer
    features: dict[str, int]
    """F of each observation group."""
    action_dim: int
    emphasised: Mapping[str, Episode] = field(default_factory=dict)
    """Parts of the demonstrations once more, for all stages but the first: so that critics meet
    what is rare in them more often. Where data are held out, nobody imitates these parts, because
    they may come from there."""

    def not_imitated(self, run: OfflineStages) -> frozenset[str]:
        """Names of the episodes, and of parts of them, that nobody imitates."""
        held_out = held_out_names(run, self.demonstrations)
        return held_out | self.emphasised.keys() if held_out else held_out


@dataclass(frozen=True)
class Milestone:
    """Where a run stands when it reports."""

    stage: str
    policy: ChunkPolicy
    """As it is now; it learns on afterwards."""
    updates: int
    """In stages I to III, or in IV."""
    env_steps: int = 0
    """Taken in stage IV."""


class StageSampler:
    """Batches for stages I to III; what is emphasised comes after stage I.

    Args:
        run: Settings.
        problem: Demonstrations, and what is emphasised.
        replay: Where critics per step draw from meanwhile; its draws are resumed too.
    """

    def __init__(self, run: OfflineStages, problem: Problem, replay: Replay | None = None) -> None:
        shown, scale = dict(problem.demonstrations), problem.normalizer
        names = problem.not_imitated(run)
        self._imitation = OfflineSampler(run, shown, scale, held_out=names)
        self._later, self._replay = self._imitation, replay
        if problem.emphasised:
            everything = {**shown, **problem.emphasised}
            later = replace(run, successes_only=False)
            self._later = OfflineSampler(later, everything, scale, held_out=names)

    def held_out(self) -> ChunkBatch | None:
        """Rows that nobody imitates, scaled for the networks; None: there are none."""
        return self._imitation.held_out()

    def draw(self, stage: Stage) -> ChunkBatch:
        """A fresh batch for this stage."""
        return (self._imitation if stage is IMITATION else self._later).draw(stage)

    def state_dict(self) -> dict:
        """What the next batches depend on, and what the data were."""
        parts = {"imitation": self._imitation.state_dict(), "later": self._later.state_dict()}
        return parts | ({"replay": self._replay.state_dict()} if self._replay is not None else {})

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`.

        Raises:
            ValueError: If the data have changed since.
        """
        self._imitation.load_state_dict(state["imitation"])
        self._later.load_state_dict(state["later"])
        if self._replay is not None:
            self._replay.load_state_dict(state["replay"])


class FourStages:
    """A learner on its way through the stages.

    Args:
        run: Settings.
        problem: Demonstrations and their sizes.
        run_dir: Where metrics and resume points go.
        report: Hears of the end of every stage, and of stage IV now and then.
        device: Where networks learn and decide.
    """

    def __init__(
        self,
        run: FourStageRun,
        problem: Problem,
        run_dir: Path,
        report: Callable[[Milestone], None],
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.run, self.problem, self.run_dir, self.report = run, problem, run_dir, report
        draw = torch.Generator().manual_seed(run.seed)
        kind = Replay if run.learner.critic.kind == "chunk" else PerStepReplay
        self.replay = kind(run.spec, draw)
        held_out = problem.not_imitated(run)
        for name, episode in {**problem.demonstrations, **problem.emphasised}.items():
            offline = replace(episode, is_offline=True)
            self.replay.add(offline, name, imitable=name not in held_out)
        self._layout = PolicyLayout(
            problem.features,
            problem.action_dim,
            run.spec,
            run.learner.policy,
            run.learner.critic,
            run.seed,
            run.architecture,
        )
        self.learner = build_learner(self._layout, run.learner, self._draw_steps, device=device)
        self._sampler = StageSampler(run, problem, self.replay)
        self.learner.hold_out(self._sampler.held_out())
        self.imitator, self.policy = (self._policy(with_critics) for with_critics in (False, True))

    def train_offline(self, *, resume: bool = False) -> None:
        """Stages I to III on the demonstrations; those with no steps are left out."""
        run, count = self.run, self.run.critic_updates
        training = StagedTraining(
            self.learner,
            self._sampler,
            [
                Leg(IMITATION, run.imitation_steps),
                Leg(unequal(WARM_UP, count), run.warm_up_steps),
                Leg(unequal(OFFLINE, count), run.offline_steps),
            ],
            self.run_dir,
            log_every=run.log_every,
            save_every=run.save_every,
            after_leg=self._after_leg,
        )
        if resume and (self.run_dir / STATE_FILE).is_file():
            training.resume()
        training.run()

    def train_online(self, env: Environment, *, hold: Tensor, resume: bool = False) -> None:
        """Stage IV on the environment.

        Args:
            env: Where to act.
            hold: (A,) or (N, A) actions that keep still, queued before an episode's first decision.
            resume: Go on from the last report of an interrupted run, if there is one.
        """
        stage = unequal(ONLINE, self.run.critic_updates)
        path = self.run_dir / ONLINE_STATE_FILE
        training = OnlineTraining(
            *(self.learner, self.policy, env, self.replay, self.run.online),
            batch_size=self.run.rl_batch_size,
            hold=hold,
            seed=self.run.seed,
            stage=stage,
        )
        if resume and path.is_file():
            training.load_state_dict(read_whole(path))  # type: ignore[arg-type]  # a dict of ours
        writer = MetricsWriter(self.run_dir / ONLINE.name, first_step=training.env_steps + 1)
        reported, every = training.env_steps, self.run.evaluate_every
        bar = tqdm(total=self.run.online.env_steps, initial=reported, desc=ONLINE.name, unit="step")
        for done in training.rounds():
            success = sum(e.outcome == "success" for e in done.episodes) / len(done.episodes)
            writer.write(training.env_steps, done.metrics | {"acting/success": success})
            bar.set_postfix(success=f"{success:.2f}")
            bar.update(training.env_steps - bar.n)
            if training.env_steps // every > reported // every:
                writer.flush()
                reported = self._report_online(training)
        bar.close()
        writer.close()
        if training.env_steps > reported:
            self._report_online(training)

    def _report_online(self, training: OnlineTraining) -> int:
        """Report, then write the resume point; returns the environment steps so far."""
        steps = training.env_steps
        self.report(Milestone(ONLINE.name, self.policy, training.updates, env_steps=steps))
        write_whole(self.run_dir / ONLINE_STATE_FILE, training.state_dict())
        return steps

    def _after_leg(self, leg: Leg) -> dict[str, float]:
        policy = self.policy if leg.stage.critic else self.imitator
        self.report(Milestone(leg.stage.name, policy, leg.steps))
        return self.learner.leash.likelihood(self.learner.acting)

    def _draw_steps(self, count: int) -> ChunkBatch:
        assert isinstance(self.replay, PerStepReplay), "only critics per step ask"
        return self.problem.normalizer.normalize_batch(self.replay.transitions.sample(count))

    def _policy(self, with_critics: bool) -> ChunkPolicy:
        critics = self.learner.critics if with_critics else None
        sigma = given(self.run.learner.improvement.sigma, "learner.improvement.sigma")
        scale = self.problem.normalizer.to(self.learner.device)
        return ChunkPolicy(self._layout, self.learner.acting, critics, scale, sigma=sigma)
