"""Episodes of the robot that nobody learns from: do new critics foresee them as well as the old?

A critic that was overtrained on a few minutes of data chooses worse than the one in use, and
nothing in its own loss shows it. How well it foresees the returns of episodes it has never seen
does.
"""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.windows import cut, gather
from sernf_isaac.learning.returns import returns_from, values_of
from sernf_isaac.policy import ChunkPolicy


def is_held_out(eid: str, share: float) -> bool:
    """Whether an episode is kept for judging: this share of all ids, always the same ones."""
    number = int.from_bytes(hashlib.sha256(eid.encode()).digest()[:4], "big")
    return number < share * 2**32


@torch.no_grad()
def return_error(
    policy: ChunkPolicy, episodes: Iterable[Episode], spec: ChunkSpec, batch_size: int = 512
) -> float:
    """Root of the mean square by which critics miss what executed chunks brought [rewards].

    Brought is what an episode earned from a decision to its end, discounted; the end of one that
    was stopped counts as these critics value its last decision. The mean over the ensemble counts.
    NaN if no episode holds a whole decision.

    Args:
        policy: With critics.
        episodes: In the units of the data, with the policy's groups.
        spec: How to cut them.
        batch_size: Decisions that are judged at a time.
    """
    errors: list[Tensor] = []
    for episode in episodes:
        windows = cut(episode, spec)
        if not len(windows):
            continue
        rows = torch.arange(len(windows)).split(batch_size)
        values = torch.cat([values_of(policy, gather(windows, each, spec)) for each in rows])
        starts = (windows.row - (spec.history - 1)).numpy()
        brought = returns_from(episode, starts, float(values[-1]), spec.discount)
        errors.append(values - torch.from_numpy(brought).to(values))
    if not errors:
        return float("nan")
    return float(torch.cat(errors).square().mean().sqrt())
