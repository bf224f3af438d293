"""Chunked DAgger: a policy over chunks learns from a teacher that labels every step (paper F.5).

Knows no simulator: environments, teacher and policy are handed in. Each iteration plays a rollout
in which the teacher acts with a falling probability and the student otherwise, then raises the
likelihood of the teacher's actions under what the student saw.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.chunk_queue import ChunkActor
from sernf_isaac.devices import restore_generator, sent_to
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.learning.distill.environment import FRESH, HOLD, DistillationEnv, Label
from sernf_isaac.learning.distill.memory import RolloutMemory
from sernf_isaac.learning.distill.reflex import ReflexLearner
from sernf_isaac.learning.distill.turns import Turns
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.workers import Workers, seed_of
from sernf_isaac.memory_use import gpu_memory_gib, peak_memory_gib
from sernf_isaac.metrics import MetricsWriter
from sernf_isaac.policy import ChunkPolicy

STATE_FILE = "training_state.pt"
REFLEX_ROWS = 4
"""Steps in a batch of the reflex for each window in one of the chunks; it is a small network."""


class Distiller:
    """Collect, learn, log, save; `run` may be interrupted anywhere and continued.

    With an environment that can tell its state, a resumed run ends with the same weights as one
    that was not interrupted, bit for bit on a CPU.

    Args:
        env: The environments.
        label: The teacher.
        policy: The student; shares its networks with the learner.
        learner: Its imitation updates are the learning.
        config: Settings.
        run_dir: Where metrics and resume points go.
        batch_size: Windows per gradient step.
        action_names: Names of the A actions, for the error of each.
        seed: Seed of who acts, of the student's samples and of the batches.
        workers: The processes that learn together; each needs environments of its own.
    """

    def __init__(
        self,
        env: DistillationEnv,
        label: Label,
        policy: ChunkPolicy,
        learner: Learner,
        config: DistillConfig,
        run_dir: Path,
        *,
        batch_size: int,
        action_names: tuple[str, ...],
        seed: int = 0,
        workers: Workers | None = None,
    ) -> None:
        self.env, self.label, self.policy, self.learner = env, label, policy, learner
        self.config, self.run_dir, self.workers = config, run_dir, workers or Workers()
        self._names, self._batch_size, self._seed = action_names, batch_size, seed
        rank = self.workers.rank
        self._draw = torch.Generator().manual_seed(seed_of(seed, rank))
        self._turns = Turns(config.turns, policy.layout.spec.prefix, self._draw)
        self._memory = RolloutMemory(policy.layout.spec, config.rollout_steps, config.kept_rollouts)
        self._sampling = torch.Generator(learner.device).manual_seed(seed_of(seed, rank))
        self._actor = ChunkActor(
            partial(
                policy.decide,
                candidates=config.candidates,
                rank=config.rank,
                generator=self._sampling,
            ),
            policy.layout.spec,
            policy.correct,
        )
        learner.join(self.workers)
        self._reflex = None if policy.reflex is None else ReflexLearner(policy, self.workers)
        if self._reflex is None and config.learns == "reflex":
            raise ValueError("learns='reflex', but the policy has none; give it a reflex.bound")
        self.iteration, self.wall_s = 0, 0.0
        """Iterations done, and the time they took."""
        self.after_save: Callable[[Distiller, bool], dict[str, float]] = lambda *_: {}
        """Hook of process 0 before every resume point, told whether the run ends with it; the
        numbers it returns are logged."""

    def run(self, max_wall_s: float = float("inf")) -> None:
        """Distil until all iterations are done or the time is used up."""
        writer = None
        if self.workers.rank == 0:
            writer = MetricsWriter(self.run_dir, first_step=self.iteration + 1)
        total = self.config.iterations
        bar = tqdm(
            total=total, initial=self.iteration, desc="student", unit="it", disable=writer is None
        )
        try:
            while self.iteration < total and not self._out_of_time(max_wall_s):
                started = time.monotonic()
                with self._collecting_noise():
                    metrics = self._collect()
                metrics = self.workers.mean(metrics | self._learn())
                self.iteration += 1
                self.wall_s += time.monotonic() - started
                bar.update()
                bar.set_postfix({k: f"{metrics[k]:.3g}" for k in _SHOWN if k in metrics})
                last = self.iteration == total or self._out_of_time(max_wall_s)
                saves = last or self.iteration % self.config.save_every == 0
                if writer:
                    metrics |= self.after_save(self, last) if saves else {}
                    writer.write(self.iteration, metrics | {"time/wall_s": self.wall_s})
                    writer.flush()
                if saves:  # last, so that whatever a resumed run lacks is done again
                    self.workers.gather(self.iteration)  # nobody is ahead while process 0 evaluates
                    self.save()
        finally:
            bar.close()
            if writer:
                writer.close()

    @contextmanager
    def _collecting_noise(self) -> Iterator[None]:
        """The policy samples with this iteration's noise; afterwards with its own again."""
        own = self.policy.sigma
        self.policy.sigma = self.config.sigma_at(self.iteration, own)
        try:
            yield
        finally:
            self.policy.sigma = own

    @torch.no_grad()
    def _collect(self) -> dict[str, float]:
        """One rollout; returns the means of what the environment logged, and how it was played."""
        started, share = time.monotonic(), self.config.teacher_share_at(self.iteration)
        groups = self.policy.layout.features
        sums: dict[str, Tensor | float] = {}
        counts: dict[str, int] = {}
        seen = self.env.get_observations()
        error_rad = seen[HOLD].new_zeros(len(self._names))
        by_student = 0.0
        for _ in range(self.config.rollout_steps):
            observation = {name: seen[name] for name in groups}
            wanted = self.label(seen)
            action = self._actor(observation, seen[HOLD], seen[FRESH])
            error_rad += (action - wanted).abs().mean(dim=0)
            by_teacher, starts = self._turns(self._actor.decided, self._actor.fresh, share)
            by_student += 1.0 - float(by_teacher.float().mean())
            by_teacher, starts = (sent_to(who, wanted.device) for who in (by_teacher, starts))
            executed = torch.where(by_teacher[:, None], wanted, action)
            seen, _, dones, extras = self.env.step(executed)
            queued = None if self._reflex is None else self._actor.queued
            self._memory.add(observation, executed, wanted, dones > 0, starts, queued)
            for name, value in extras.get("log", {}).items():
                sums[name] = sums.get(name, 0.0) + value
                counts[name] = counts.get(name, 0) + 1
        error_rad = error_rad.cpu() / self.config.rollout_steps  # a GPU is done by now
        seconds = time.monotonic() - started
        means = {f"rollout/{name}": float(value) / counts[name] for name, value in sums.items()}
        errors = zip(self._names, error_rad.tolist(), strict=True)
        means |= {f"action_error/{name}": error for name, error in errors}
        return means | {
            "distill/student_share": 1.0 - share,
            "distill/student_share_executed": by_student / self.config.rollout_steps,
            "distill/action_error": float(error_rad.mean()),
            "distill/windows": float(len(self._memory)),
            "time/collect_s": seconds,
            "time/steps_per_s": self.env.num_envs * self.config.rollout_steps / seconds,
        }

    def _learn(self) -> dict[str, float]:
        """The iteration's gradient steps; returns the means of their metrics."""
        started, config = time.monotonic(), self.config
        share = config.learning_rate_at(self.iteration)
        sums: dict[str, Tensor] = {}
        for _ in range(config.updates_per_iteration):
            metrics: dict[str, Tensor] = {}
            if config.learns == "all":
                batch = self._memory.sample(self._batch_size, self._draw)
                scaled = self.policy.normalizer.normalize_batch(batch)
                metrics = self.learner.update_imitation(scaled, rate_share=share)
            if self._reflex is not None:
                count = REFLEX_ROWS * self._batch_size
                metrics |= self._reflex.update(self._memory, count, self._draw, share)
            sums = {name: sums.get(name, 0.0) + value for name, value in metrics.items()}
        self.learner.check()
        seconds = time.monotonic() - started
        means = {name: float(value) / config.updates_per_iteration for name, value in sums.items()}
        settings = self.learner.config
        summed = settings.improvement.likelihood == "sum"
        numbers = self.policy.layout.spec.horizon * len(self._names)
        if "actor/bc" in means:
            means["distill/nll"] = means["actor/bc"] * (1 if summed else numbers)
        return means | {
            "actor/learning_rate": share * settings.optimizer.imitation_learning_rate,
            "time/learn_s": seconds,
            "memory/gpu_gib": gpu_memory_gib(self.learner.device),
            "memory/peak_gib": peak_memory_gib(),
            "time/updates_per_s": config.updates_per_iteration / seconds,
        }

    def _out_of_time(self, max_wall_s: float) -> bool:
        return self.workers.agree(self.wall_s >= max_wall_s)

    # Resume ---------------------------------------------------------------------------------------

    @property
    def state_file(self) -> Path:
        """Where this process keeps its resume point."""
        return self.run_dir / _state_name(self.workers.rank)

    def save(self) -> None:
        """Write the resume point by one rename."""
        state = {
            "learner": self.learner.state_dict(),
            "env": self.env.state_dict(),
            "actor": self._actor.state_dict(),
            "turns": self._turns.state_dict(),
            "memory": self._memory.state_dict(),
            "generators": (self._draw.get_state(), self._sampling.get_state().cpu()),
            "iteration": self.iteration,
            "wall_s": self.wall_s,
            "processes": self.workers.count,
        } | ({} if self._reflex is None else {"reflex": self._reflex.state_dict()})
        write_whole(self.state_file, state)

    def resume(self) -> None:
        """Go back to the last resume point.

        Another number of processes than wrote it may go on: each begins new episodes, with new
        draws, and the windows of one of those that wrote.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged, of other networks or of another number of environments, or
                if processes that learn together would go on from different iterations.
        """
        first = _read_state(self.run_dir / STATE_FILE)
        wrote = first.get("processes", 1)
        if wrote == self.workers.count:
            self._go_on(_read_state(self.state_file))
        else:
            number = self.workers.rank % wrote
            path = self.run_dir / _state_name(number)
            self._go_on_apart(first if number == 0 else _read_state(path))
        iterations = self.workers.gather(self.iteration)
        if len(set(iterations)) > 1:
            raise ValueError(
                f"the processes' resume points in {self.run_dir} are of different iterations "
                f"({iterations}, by rank): the run was stopped while they were written. Resume "
                "without torchrun, which goes on from process 0's, or start anew"
            )

    def _go_on(self, state: dict) -> None:
        """As the process that wrote this would have."""
        self.env.load_state_dict(state["env"])
        if state["env"]:  # the queues belong to the episodes that go on
            there = self.env.get_observations()[HOLD].device
            self._actor.load_state_dict({k: v.to(there) for k, v in state["actor"].items()})
            self._turns.load_state_dict(state["turns"])
        for generator, saved in zip((self._draw, self._sampling), state["generators"], strict=True):
            restore_generator(generator, saved)
        self._learned(state)

    def _go_on_apart(self, state: dict) -> None:
        """As one of another number of processes: episodes, draws and noise are its own."""
        seed = seed_of(self._seed, self.workers.rank) + state["iteration"]
        self._draw.manual_seed(seed)
        self._sampling.manual_seed(seed)
        self._learned(state)
        if self.workers.rank:
            self.learner.fresh_noise(self.iteration)

    def _learned(self, state: dict) -> None:
        self._memory.load_state_dict(state["memory"])
        self.iteration, self.wall_s = state["iteration"], state["wall_s"]
        self.learner.load_state_dict(state["learner"])
        if self._reflex is not None:
            self._reflex.load_state_dict(state["reflex"])


def _state_name(rank: int) -> str:
    return f"training_state.{rank}.pt" if rank else STATE_FILE


def _read_state(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"nothing to resume: {path} does not exist")
    state = read_whole(path)
    if not isinstance(state, dict) or not {"learner", "actor", "turns"} <= state.keys():
        raise ValueError(f"{path} is no resume point of a distillation")
    return state


_SHOWN = (
    *("distill/nll", "distill/action_error", "distill/student_share_executed"),
    "rollout/Episode/hold_s",
)
