"""Critics that also foresee failure, and veto candidates that risk more of it than others.

A value mixes how much is earned with how surely; where failures are rare in the data, what is
earned faster outweighs them. A probability of its own does not (as in FARL; the paper has none).
"""

from typing import cast

import torch
from torch import Tensor, nn

from sernf_isaac.models.actor_critic import Critics
from sernf_isaac.models.critic import ChunkCritic

SUPPORT = (0.0, 1.0)
"""Of a probability."""


class CautiousCritic(nn.Module):
    """Critics of chunks, beside as many that tell how likely the episode then fails.

    Args:
        critic: Of returns; what it says about chunks stays as it is.
        risk: The same networks with the support (0, 1).
        margin: A candidate whose risk exceeds the least of its rivals by more than this counts no
            more than the worst of them.
    """

    def __init__(self, critic: ChunkCritic, risk: ChunkCritic, margin: float) -> None:
        super().__init__()
        self.critic, self.risk, self.margin = critic, risk, margin

    def value(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, H, A), (E, B)."""
        return self.critic.value(chunk, tokens)

    def value_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, K, H, A), (E, B, K); the least of the K for those with a veto."""
        values = self.critic.value_of_candidates(chunks, tokens)
        risk = self.risk_of_candidates(chunks, tokens)
        vetoed = risk > risk.amin(dim=-1, keepdim=True) + self.margin
        return torch.where(vetoed, values.amin(dim=-1, keepdim=True), values)

    def risk_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """How likely the episode fails after (B, K, H, A), (B, K): the most of the critics'."""
        return self.risk.value_of_candidates(chunks, tokens).amax(dim=0).clamp(*SUPPORT)

    def loss(self, chunk: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, dict]:
        """Of the returns, as `ChunkCritic.loss`."""
        return self.critic.loss(chunk, tokens, target)

    def risk_loss(self, chunk: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, dict]:
        """Of the probabilities, towards targets (B,)."""
        loss, metrics = self.risk.loss(chunk, tokens, target)
        told = {"risk/loss": metrics["critic/loss"], "risk/mean": metrics["critic/value"]}
        return loss, told


def with_caution(critics: Critics, risk: ChunkCritic, margin: float) -> Critics:
    """Cautious critics, to be used where plain ones are."""
    cautious = CautiousCritic(critics.critic, risk, margin)
    return Critics(critics.encoder, cast("ChunkCritic", cautious))  # it has all that is used
