"""A critic of single actions where the method has one of chunks: the ablation "H = 1 backup".

It learns from one-step transitions and judges a chunk by its first action, which is all that such a
critic can know of it; the policy still predicts and executes chunks.
"""

from dataclasses import replace
from typing import cast

from torch import Tensor, nn

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.actor_critic import Critics
from sernf_isaac.models.critic import ChunkCritic


class FirstActionCritic(nn.Module):
    """Passes the first action of every chunk to a critic of single actions.

    Args:
        critic: Of chunks of one action.
    """

    def __init__(self, critic: ChunkCritic) -> None:
        super().__init__()
        self.critic = critic

    def value(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, H, A), (E, B)."""
        return self.critic.value(chunk[..., :1, :], tokens)

    def value_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, K, H, A), (E, B, K)."""
        return self.critic.value_of_candidates(chunks[..., :1, :], tokens)

    def loss(self, chunk: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, dict]:
        """As `ChunkCritic.loss`, for the first actions."""
        return self.critic.loss(chunk[..., :1, :], tokens, target)


def critics_of_first_actions(critics: Critics) -> Critics:
    """Critics of single actions, to be used where those of chunks are."""
    wrapped = FirstActionCritic(critics.critic)
    return Critics(critics.encoder, cast("ChunkCritic", wrapped))  # it has all that is used


def single_steps(spec: ChunkSpec) -> ChunkSpec:
    """A decision at every step, on one action behind the same queue."""
    return replace(spec, horizon=1, align_to_decisions=False)
