"""How a policy acts in an environment: chunk after chunk, or with temporal aggregation.

Temporal aggregation decides at every step and executes the weighted mean of what was planned for
it. ACT acts this way (paper App. G.3a): smoother than chunk after chunk, at H times the cost.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.actor_critic import Observation
from sernf_isaac.policy import ChunkPolicy

Decide = Callable[[Observation, Tensor], Tensor]
"""What was observed, and the queue (N, P, A), to chunks (N, H, A), all in physical units."""

RATE = 0.01
"""k of the paper's weights exp(-k i)."""


class TemporalAggregation:
    """Chunks of one action: the weighted mean over all chunks that reach this step.

    Weights are exp(-k i), i counted from the oldest of these chunks, so that older plans weigh
    more. An instance is for one episode of each environment, all started together.

    Args:
        decide: Chunks (N, H, A) from what is observed and queued.
        rate: k.
    """

    def __init__(self, decide: Decide, *, rate: float = RATE) -> None:
        self._decide, self._rate = decide, rate
        self._chunks: deque[Tensor] | None = None

    def __call__(self, observation: Observation, queue: Tensor) -> Tensor:
        """One action for each environment, as chunks (N, 1, A)."""
        chunk = self._decide(observation, queue)
        if self._chunks is None:
            self._chunks = deque(maxlen=chunk.shape[1])
        self._chunks.append(chunk)
        oldest = len(self._chunks) - 1
        plans = [plan[:, oldest - index] for index, plan in enumerate(self._chunks)]
        weights = aggregation_weights(len(plans), self._rate).to(chunk)
        return torch.einsum("i,ina->na", weights, torch.stack(plans))[:, None]


def act(policy: ChunkPolicy, candidates: int, seed: int) -> Decide:
    """The policy at work: ranking by value if it has critics, by likelihood if not."""
    return partial(
        policy.decide,
        candidates=candidates,
        rank="value" if policy.critics else "likelihood",
        generator=torch.Generator(policy.device).manual_seed(seed),
    )


def acting(policy: ChunkPolicy, candidates: int, seed: int) -> tuple[Decide, ChunkSpec]:
    """How a policy of any kind acts in the next episodes, and how its decisions fall in time.

    ACT aggregates over time; the others execute one chunk after the other. Ask anew before each
    call of `collect`: plans must not outlive an episode.

    Args:
        policy: Of any kind.
        candidates: K, as for `act`.
        seed: Of the candidates.
    """
    decide, spec = act(policy, candidates, seed), policy.layout.spec
    if policy.layout.architecture.kind != "act":
        return decide, spec
    return TemporalAggregation(decide), every_step(spec)


def aggregation_weights(count: int, rate: float = RATE) -> Tensor:
    """(count,) weights of plans, the oldest first; they add up to 1."""
    weights = (-rate * torch.arange(count, dtype=torch.float64)).exp()
    return weights / weights.sum()


def every_step(spec: ChunkSpec) -> ChunkSpec:
    """The layout of time for acting this way: a decision of one action at every step.

    Raises:
        ValueError: If more than one action is queued.
    """
    if spec.prefix > 1:
        raise ValueError(
            f"temporal aggregation decides at every step, so that at most one action can be "
            f"queued, not prefix = {spec.prefix}"
        )
    return replace(spec, horizon=1)
