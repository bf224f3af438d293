"""The flow's layer next to the latent: a Gaussian whose mean and widths depend on what is seen.

The paper's flow has none; its latent is standard normal for every observation.
"""

from torch import Tensor, nn

from sernf_isaac.models.moments import ChunkMoments

WIDTH_FACTOR = 4
"""Hidden width of its network, as a multiple of the couplings' width."""
LOG_WIDTH_LIMIT = 6.0
"""Softly; no number of a chunk is known better than to one part in 400."""

Moments = tuple[Tensor, Tensor]
"""Mean and logarithmic width of a chunk's numbers, (B, 1, H, A) each."""


class AffineBase(nn.Module):
    """Shifts and scales every number of a chunk by what is observed.

    With couplings that do nothing, the flow is then a Gaussian of the squashed chunk. So what
    `GaussianPolicy` can tell, the flow can tell too, up to the squash.

    Args:
        action_dim: A.
        horizon: H.
        token_dim: D.
        width: Of the couplings.
        dropout: As for the flow.
        zero_init: Start as the identity.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        token_dim: int,
        width: int,
        *,
        dropout: float,
        zero_init: bool,
    ) -> None:
        super().__init__()
        self.moments = ChunkMoments(
            action_dim,
            horizon,
            token_dim,
            WIDTH_FACTOR * width,
            dropout=dropout,
            zero_init=zero_init,
        )

    def condition(self, tokens: Tensor) -> Moments:
        """What all candidates of tokens (B, S, D) share."""
        mean, log_width = (part[:, None] for part in self.moments(tokens))
        return mean, softly_limited(log_width, LOG_WIDTH_LIMIT)

    def forward(self, x: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        """Towards the latent: (B, K, H, A) -> (B, K, H, A), log|det J| (B, 1)."""
        mean, log_width = (part.to(x.dtype) for part in moments)
        return (x - mean) * (-log_width).exp(), -log_width.sum(dim=(-2, -1))

    def inverse(self, z: Tensor, moments: Moments) -> tuple[Tensor, Tensor]:
        """Towards the chunk."""
        mean, log_width = (part.to(z.dtype) for part in moments)
        return z * log_width.exp() + mean, log_width.sum(dim=(-2, -1))


def softly_limited(x: Tensor, limit: float) -> Tensor:
    """Like x near 0, and never beyond +-limit."""
    return limit * (x / limit).tanh()
