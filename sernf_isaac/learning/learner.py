"""The learner: networks, optimisers, target critics, and the two updates everything is made of.

Stages (`stages.py`) decide which updates run on which rows; nothing here knows where batches come
from.
"""

import copy

import torch
from torch import Tensor

from sernf_isaac.config import LearnerConfig, given
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.devices import restore_generator
from sernf_isaac.learning import losses
from sernf_isaac.learning.averaging import Averaged, move_towards
from sernf_isaac.learning.descent import GuardedAdamW
from sernf_isaac.learning.learner_state import load_network
from sernf_isaac.learning.leash import Leash
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.learning.workers import Workers, seed_noise, seed_of
from sernf_isaac.models.actor_critic import Actor, Critics, seen
from sernf_isaac.models.draws import SharedGenerator, Source
from sernf_isaac.models.flow import FlowContext
from sernf_isaac.models.modes import frozen, set_dropout
from sernf_isaac.models.selection import Choice, choose_by_value, executed


class Learner:
    """Actor, critics, target critics and their optimisers.

    Several processes may learn together, see `join`.

    Args:
        actor: The policy.
        critics: The critics; the target critics start as a copy.
        config: Hyperparameters.
        seed: Seed of candidates and noise; dropout uses torch's own generators.
        device: Where all of it lives.
    """

    def __init__(
        self,
        actor: Actor,
        critics: Critics,
        config: LearnerConfig,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.device = config, torch.device(device)
        self._sigma = given(config.improvement.sigma, "learner.improvement.sigma")
        self.actor, self.critics = actor.to(self.device), critics.to(self.device)
        self.target = copy.deepcopy(self.critics).requires_grad_(False).eval()
        self.average = Averaged(self.actor, config.optimizer.averaging)
        self._on_gpu = self.device.type == "cuda"
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._seed, self.workers = seed, Workers()
        optimizer = config.optimizer
        rates = (optimizer.imitation_learning_rate, optimizer.rl_learning_rate)
        self.actor_optimizer = GuardedAdamW(self.actor, rates[0], optimizer)
        self.critic_optimizer = GuardedAdamW(self.critics, rates[1], optimizer)
        improvement = config.improvement
        self.leash = Leash(improvement.imitation_weight, improvement.budget)

    def join(self, workers: Workers) -> None:
        """From now on, every update is of the batches of all these processes.

        They begin with the weights of process 0 and stay in step: gradients are averaged, and noise
        is drawn for the rows of all, which are dealt out in turn (`Workers.rows`). So N processes
        with batches of B rows learn what one learns with N B rows, up to rounding; only dropout
        differs, of which each process has its own.

        Args:
            workers: The same processes; each must make the same updates in the same order.
        """
        self.workers = workers
        for network in (self.actor, self.critics, self.target):
            workers.share_weights(network)
        self.average.restart()
        seed_noise(self._seed, workers.rank)

    @property
    def acting(self) -> Actor:
        """The policy that acts, is judged and is kept; see `Averaged`."""
        return self.average.network

    def hold_out(self, rows: ChunkBatch | None) -> None:
        """Measure on these rows, scaled for the networks, how far the policy goes; see `Leash`."""
        if rows is not None:
            self.leash.hold(rows.to(self.device))

    def update_imitation(self, batch: ChunkBatch, *, rate_share: float = 1.0) -> Metrics:
        """One step of stage I: raise the likelihood of the batch's chunks (eq. 8).

        Args:
            batch: Scaled for the networks.
            rate_share: Share of `optimizer.imitation_learning_rate` to learn with.
        """
        batch = batch.to(self.device)
        rate = rate_share * self.config.optimizer.imitation_learning_rate
        self._prepare_actor(self.config.policy.imitation_dropout, rate)
        with self._precision():
            tokens = self.actor.encoder(seen(batch.observation, batch.prefix))
            context = self.actor.flow.context(tokens)
            loss, metrics = self._imitation(batch.chunk, context, batch.imitate)
        metrics["actor/grad_norm"] = self._descend(loss)
        return metrics

    def update_critic(self, batch: ChunkBatch) -> Metrics:
        """One step of the critics towards eq. 7, and of the targets towards the critics."""
        batch = batch.to(self.device)
        target = self._bootstrap(batch)
        self.critics.train()
        with self._precision():
            tokens = self.critics.encoder(seen(batch.observation, batch.prefix))
            loss, metrics = self.critics.critic.loss(batch.chunk, tokens, target)
        metrics["critic/grad_norm"] = self.critic_optimizer.descend(loss, self.workers)
        move_towards(self.critics, self.target, self.config.improvement.polyak)
        return metrics

    def update_policy(self, batch: ChunkBatch) -> Metrics:
        """One step of stages III and IV (Alg. 3).

        Raises:
            ValueError: If the likelihood has a budget, and no rows were held out.
        """
        batch = batch.to(self.device)
        followed = self.leash.follow(self.actor)
        self._prepare_actor(self.config.policy.rl_dropout, self.config.optimizer.rl_learning_rate)
        self.critics.eval()
        with frozen(self.critics.critic):
            with torch.no_grad(), self._precision():
                critic_tokens = self.critics.encoder(seen(batch.observation, batch.prefix))
            winner = self._winner(batch, critic_tokens)
            with self._precision():
                context = self.actor.flow.context(
                    self.actor.encoder(seen(batch.observation, batch.prefix))
                )
                chunk, clipped = executed(self.actor.flow, winner.latent, context)
                imitation, metrics = self._imitation(batch.chunk, context, self._liked(batch))
                loss, more = losses.improvement_loss(
                    self.critics.critic.value(chunk, critic_tokens),
                    imitation,
                    imitation_weight=self.leash.weight,
                    value_weight=self.leash.seeks_value,
                    scaled=self.config.improvement.scaled_value,
                )
            metrics |= more | followed
            metrics["actor/grad_norm"] = self._descend(loss)
        gain = winner.value - winner.candidate_values.mean(dim=1)
        return metrics | {"actor/selection_gain": gain.mean(), "actor/clipped_fraction": clipped}

    def check(self) -> None:
        """Ask whether every step since the last call was finite; a GPU is waited for here alone.

        Raises:
            FloatingPointError: If one was not, and so changed no weight; names the loss.
        """
        optimizers = {"actor": self.actor_optimizer, "critic": self.critic_optimizer}
        skipped = {name: optimizer.skipped() for name, optimizer in optimizers.items()}
        if any(skipped.values()):
            which = ", ".join(f"{name}: {count} steps" for name, count in skipped.items() if count)
            raise FloatingPointError(
                f"a loss or its gradient is not finite ({which}; no weight has changed with "
                "them); look at the batches and their data"
            )

    def state_dict(self) -> dict:
        """All that later updates depend on.

        `load_state_dict` continues bit for bit on a CPU with the same number of threads.
        """
        return {
            "actor": self.actor.state_dict(),
            "critics": self.critics.state_dict(),
            "target": self.target.state_dict(),
            "actor_optimizer": self.actor_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "generator": self.generator.get_state().cpu(),
            "leash": self.leash.state_dict(),
            "average": self.average.state_dict(),
            **self.noise_state(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()` of a learner of the same size.

        Raises:
            ValueError: If the networks differ, or the state is of another version.
        """
        for name in ("actor", "critics", "target"):
            load_network(getattr(self, name), state.get(name), name)
        self.actor_optimizer.load_state_dict(state["actor_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        restore_generator(self.generator, state["generator"])
        self.average.load_state_dict(state.get("average", {}))
        if "leash" in state:  # states of version 0.1 have none
            self.leash.load_state_dict(state["leash"])
        self.load_noise(state)

    def noise_state(self) -> dict:
        """Where this process's dropout stands; what `load_noise` takes."""
        cuda = torch.cuda.get_rng_state(self.device) if self._on_gpu else None
        return {"torch_rng": torch.get_rng_state(), "cuda_rng": cuda}

    def load_noise(self, state: dict) -> None:
        """Continue this process's dropout."""
        torch.set_rng_state(state["torch_rng"])
        if self._on_gpu and state["cuda_rng"] is not None:  # it was on a GPU before, too
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)

    def fresh_noise(self, step: int) -> None:
        """Dropout of its own for a process that joined since."""
        torch.manual_seed(seed_of(self._seed, self.workers.rank) + step)

    @property
    def _draws(self) -> Source:
        rank, count = self.workers.rank, self.workers.count
        return SharedGenerator(self.generator, rank, count) if count > 1 else self.generator

    def _liked(self, batch: ChunkBatch) -> Tensor:
        """(B,) rows whose likelihood counts beside their value."""
        of_successes = self.config.improvement.likelihood_rows == "successes"
        return batch.imitate & (batch.succeeded if of_successes else batch.is_offline)

    def _winner(self, batch: ChunkBatch, critic_tokens: Tensor) -> Choice:
        """Alg. 2 for the batch, drawn from the policy as it would act: without dropout."""
        self.actor.eval()
        improvement = self.config.improvement
        with torch.no_grad(), self._precision():
            context = self.actor.flow.context(
                self.actor.encoder(seen(batch.observation, batch.prefix))
            )
            choice = choose_by_value(
                self.actor.flow,
                self.critics.critic,
                context,
                critic_tokens,
                candidates=improvement.candidates,
                sigma=self._sigma,
                generator=self._draws,
            )
        self.actor.train()
        return choice

    @torch.no_grad()
    def _bootstrap(self, batch: ChunkBatch) -> Tensor:
        """Targets (B,) of eq. 7: the policy's next chunk, judged by the target critics (eq. 3)."""
        improvement, actor = self.config.improvement, self.acting.eval()
        with self._precision():
            context = actor.flow.context(
                actor.encoder(seen(batch.next_observation, batch.next_prefix))
            )
            tokens = self.target.encoder(seen(batch.next_observation, batch.next_prefix))
            choice = choose_by_value(
                actor.flow,
                self.target.critic,
                context,
                tokens,
                candidates=improvement.target_candidates,
                sigma=self._sigma,
                generator=self._draws,
                members=self._target_members(),
            )
        return losses.bootstrap_target(batch.reward, batch.discount, choice.value)

    def _target_members(self) -> Tensor | None:
        """Numbers of the critics whose least value counts in this update's targets; None: all."""
        count = self.config.improvement.target_critics
        if count is None:
            return None
        order = torch.randperm(
            self.config.critic.ensemble, generator=self.generator, device=self.device
        )
        return order[:count]

    def _imitation(
        self, chunk: Tensor, context: FlowContext, rows: Tensor
    ) -> tuple[Tensor, Metrics]:
        log_prob = self.actor.flow.log_prob(chunk, context, add_noise=True, generator=self._draws)
        summed = self.config.improvement.likelihood == "sum"
        count = self.workers.average(rows.sum().float())
        return losses.imitation_loss(log_prob, rows, 1 if summed else chunk[0].numel(), count)

    def _precision(self) -> torch.autocast:
        """For what networks compute forwards, in one piece with or without gradients.

        Rounded weights are kept until the end of it, and those made without gradients have none.
        """
        bf16 = self.config.optimizer.bf16
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)

    def _descend(self, loss: Tensor) -> Tensor:
        """One step of the policy, and of what acts after it; returns the gradient's norm."""
        norm = self.actor_optimizer.descend(loss, self.workers)
        self.average.follow()
        return norm

    def _prepare_actor(self, dropout: float, learning_rate: float) -> None:
        for group in self.actor_optimizer.param_groups:
            group["lr"] = learning_rate
        set_dropout(self.actor.flow, dropout)
        self.actor.train()
