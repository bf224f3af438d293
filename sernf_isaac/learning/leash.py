"""How far reinforcement learning may take the policy: a budget instead of a fixed λ.

The same λ means another distance in every task, because it is weighed against rewards. A budget is
that distance: the divergence KL(first || now) of the policy from the one that learning began with,
in nats per number of a chunk, where held-out observations lead it. λ follows by dual descent. The
paper fixes λ (IV-E).

It is not the likelihood of held-out chunks that counts: a policy that imitates on loses that
likelihood too, and a larger λ would then take it farther away.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.models.actor_critic import Actor, seen
from sernf_isaac.models.baselines.gaussian import GaussianPolicy
from sernf_isaac.models.draws import normal
from sernf_isaac.models.flow import FlowPolicy

HELD_OUT = "held_out/nats_per_number"
"""Name of a metric."""
EVERY = 5
"""Policy updates between two measurements."""
RATE = 0.2
"""Step of log λ, for a distance that is off by the whole budget or more."""
RANGE = (math.log(1e-3), math.log(1e3))
"""Of log λ."""
PAUSE = 3.0
"""Budgets; a policy that is farther away than this only imitates until it is near again."""


class Leash:
    """λ, and how far the policy has gone from where it began.

    Args:
        weight: λ to begin with; without a budget, for good.
        budget: Nats per number; None: λ stays as it is.
    """

    def __init__(self, weight: float, budget: float | None) -> None:
        self._fixed, self._budget = weight, budget
        self._log_weight = torch.tensor(math.log(max(weight, 1e-3)))
        self._rows: ChunkBatch | None = None
        self._noise = torch.empty(0)
        self._proposed, self._first = torch.empty(0), torch.empty(0)
        self._drift, self._updates = torch.zeros(()), 0

    def hold(self, rows: ChunkBatch) -> None:
        """Measure on these rows, which nobody imitates; scaled, and on the learner's device.

        A measurement draws no random numbers: noise and latents are the same each time.
        """
        draw = torch.Generator(rows.chunk.device).manual_seed(0)
        self._rows, self._noise = rows, normal(torch.empty_like(rows.chunk), draw)
        self._log_weight = self._log_weight.to(rows.chunk.device)
        self._drift = self._drift.to(rows.chunk.device)

    @property
    def weight(self) -> Tensor | float:
        """λ now."""
        return self._fixed if self._budget is None else self._log_weight.exp()

    @property
    def seeks_value(self) -> Tensor | float:
        """1, or 0 while the policy is too far away."""
        if self._budget is None:
            return 1.0
        return (self._drift <= PAUSE * self._budget).float()

    def check(self) -> None:
        """An error if there is a budget and nothing to measure it on.

        Raises:
            ValueError: Says what to do.
        """
        if self._budget is not None and self._rows is None:
            raise ValueError(
                f"learner.improvement.budget = {self._budget} needs data that are held out to "
                "measure it on: set held_out_share, or budget=null for a fixed imitation_weight"
            )

    def likelihood(self, actor: Actor) -> dict[str, float]:
        """How likely held-out chunks are [nats per number]; nothing where none are held out."""
        if self._rows is None or not has_likelihood(actor):
            return {}
        return {HELD_OUT: float(nats_per_number(actor, self._rows, self._noise).mean())}

    @torch.no_grad()
    def follow(self, actor: Actor) -> Metrics:
        """To be called before every policy update; the first call says where the policy began."""
        self.check()
        if self._rows is None:
            return {}
        if not len(self._first):
            self._proposed = _proposals(actor, self._rows, self._noise)
            self._first = _density(actor, self._rows, self._proposed)
        if self._updates % EVERY == 0:
            now = _density(actor, self._rows, self._proposed)
            self._drift = (self._first - now).mean()
            if self._budget is not None:
                off = (self._drift / self._budget - 1.0).clamp(-1.0, 1.0)
                self._log_weight = (self._log_weight + RATE * off).clamp(*RANGE)
        self._updates += 1
        told = {"actor/drift": self._drift}
        return told if self._budget is None else told | {"actor/lambda": self._log_weight.exp()}

    def state_dict(self) -> dict:
        """What later measurements depend on, besides the rows."""
        return {
            "log_weight": self._log_weight.cpu(),
            "proposed": self._proposed.cpu(),
            "first": self._first.cpu(),
            "drift": self._drift.cpu(),
            "updates": self._updates,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        device = self._log_weight.device
        self._log_weight = state["log_weight"].to(device)
        self._proposed, self._first = (state[name].to(device) for name in ("proposed", "first"))
        self._drift = state["drift"].to(device)
        self._updates = state["updates"]


def has_likelihood(actor: Actor) -> bool:
    """Whether this kind of policy says how likely a chunk is."""
    return isinstance(actor.flow, FlowPolicy | GaussianPolicy)


@torch.no_grad()
def nats_per_number(actor: Actor, rows: ChunkBatch, noise: Tensor) -> Tensor:
    """(B,) how likely the chunks of rows are, without dropout and with noise as in training.

    Args:
        actor: Of a kind that has a likelihood.
        rows: Scaled, on its device.
        noise: (B, H, A) standard normal; the same each time makes measurements comparable.
    """
    return _density(actor, rows, rows.chunk + actor.flow.noise_std * noise)


@torch.no_grad()
def _proposals(actor: Actor, rows: ChunkBatch, latents: Tensor) -> Tensor:
    """(B, H, A) what the policy would do there, one chunk per row."""
    with _as_it_acts(actor):
        context = actor.flow.context(actor.encoder(seen(rows.observation, rows.prefix)))
        return actor.flow.decode(latents[:, None], context)[0][:, 0]


@torch.no_grad()
def _density(actor: Actor, rows: ChunkBatch, chunk: Tensor) -> Tensor:
    """(B,) nats per number of these chunks where the rows are."""
    with _as_it_acts(actor):
        tokens = actor.encoder(seen(rows.observation, rows.prefix))
        return actor.flow.log_prob(chunk, tokens) / chunk[0].numel()


@contextmanager
def _as_it_acts(actor: Actor) -> Iterator[None]:
    """Without dropout, for a while."""
    was_training = actor.training
    actor.eval()
    try:
        yield
    finally:
        actor.train(was_training)
