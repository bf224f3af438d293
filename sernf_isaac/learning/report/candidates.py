"""How much the candidates of a decision differ, and whether the critics can tell them apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.normalizer import ACTION
from sernf_isaac.data.windows import cut, gather
from sernf_isaac.learning.report.calibration import spread_evenly
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.policy import ChunkPolicy

MOST_DECISIONS = 96
BATCH = 16


@dataclass(frozen=True)
class Candidates:
    """K candidates of each of N decisions."""

    count: int
    """K."""
    sigma: float
    """Standard deviation of the latents they were drawn with."""
    deviation: Array
    """(N, A) standard deviation over candidates, root mean square over the chunk; in halves of the
    range of the data."""
    half_range: Array
    """(A,) half of that range, in the units of the data."""
    spread: Array | None = None
    """(N,) standard deviation over candidates of their value, the mean of the critics. None: there
    are no critics."""
    disagreement: Array | None = None
    """(N,) standard deviation between critics about a candidate, after each critic's own mean over
    candidates is taken away: that does not change the choice. None: fewer than two critics."""
    same_best: Array | None = None
    """(N,) bool: all critics like the same candidate best. None: fewer than two critics."""

    @property
    def typical(self) -> float:
        """Median over decisions of the deviation, root mean square over dimensions."""
        return float(np.median(np.sqrt(np.square(self.deviation).mean(axis=1))))


def draw_candidates(
    policy: ChunkPolicy, episodes: Mapping[str, Episode], spec: ChunkSpec, count: int
) -> Candidates | None:
    """Draw candidates as the policy would, at decisions of these episodes; None: there are none.

    Args:
        policy: In evaluation and with random numbers of its own.
        episodes: In the units of the data.
        spec: How to cut them.
        count: K.
    """
    generator = torch.Generator(policy.device).manual_seed(0)
    found: list[tuple[Tensor, Tensor | None]] = []
    for name, index in spread_evenly(episodes, spec, MOST_DECISIONS).items():
        windows = cut(episodes[name], spec)
        for part in index.split(BATCH):
            found.append(_drawn(policy, gather(windows, part, spec), count, generator))
    if not found:
        return None
    chunks = torch.cat([chunks for chunks, _ in found])  # (N, K, H, A)
    half = policy.normalizer.state_dict()[f"{ACTION}.half_range"].cpu().numpy()
    deviation = chunks.var(dim=1, correction=0).mean(dim=1).sqrt().numpy()
    values = [value for _, value in found if value is not None]
    judged = _told_apart(torch.cat(values, dim=1)) if values else {}
    return Candidates(chunks.shape[1], policy.sigma, deviation, half, **judged)


@torch.no_grad()
def _drawn(
    policy: ChunkPolicy, batch: ChunkBatch, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Chunks (B, K, H, A) in [-1, 1], and their values (E, B, K) if there are critics."""
    policy.actor.eval()
    scaled = policy.normalizer.normalize_batch(batch).to(policy.device)
    observation = seen(scaled.observation, scaled.prefix)
    flow = policy.actor.flow
    context = flow.context(policy.actor.encoder(observation))
    latents = flow.draw_latents(context, count, policy.sigma, generator)
    chunks, _ = flow.decode(latents, context)
    if policy.critics is None:
        return chunks.double().cpu(), None
    policy.critics.eval()
    tokens = policy.critics.encoder(observation)
    values = policy.critics.critic.value_of_candidates(chunks, tokens)
    return chunks.double().cpu(), values.double().cpu()


def _told_apart(values: Tensor) -> dict[str, Array]:
    """The last three fields of `Candidates`, of values (E, N, K)."""
    spread = values.mean(dim=0).std(dim=-1, correction=0)
    if len(values) < 2:
        return {"spread": spread.numpy()}
    differences = values - values.mean(dim=-1, keepdim=True)
    best = values.argmax(dim=-1)
    return {
        "spread": spread.numpy(),
        "disagreement": differences.var(dim=0).mean(dim=-1).sqrt().numpy(),
        "same_best": (best == best[0]).all(dim=0).numpy(),
    }
