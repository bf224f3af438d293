"""What the chunks of stored episodes brought, and what critics promised for them."""

import numpy as np
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.policy import ChunkPolicy


def returns_from(episode: Episode, starts: Array, last: float, discount: float) -> Array:
    """(W,) discounted rewards from each of these steps on.

    Args:
        episode: Rewards are per step.
        starts: (W,) steps, rising.
        last: What the rest is worth from the last of them on, if the episode does not terminate.
        discount: Per step.
    """
    brought = np.zeros(len(episode) + 1)
    for step in range(len(episode) - 1, -1, -1):
        after = 0.0 if episode.terminated[step] else brought[step + 1]
        brought[step] = episode.reward[step] + discount * after
        if step == starts[-1] and not episode.terminated[step:].any():
            brought[step] = last
    return brought[starts]


def values_of(policy: ChunkPolicy, batch: ChunkBatch) -> Tensor:
    """(W,) the mean of the critics for the chunks that were executed."""
    assert policy.critics is not None, "values are for policies with critics"
    policy.critics.eval()
    scaled = policy.normalizer.normalize_batch(batch).to(policy.device)
    tokens = policy.critics.encoder(seen(scaled.observation, scaled.prefix))
    return policy.critics.critic.value(scaled.chunk, tokens).mean(dim=0).cpu()
