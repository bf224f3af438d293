"""One step of the flow: which half of a chunk moves, and the network that says where (§IV-B)."""

import torch
from torch import Tensor, nn

from sernf_isaac.models.affine_base import softly_limited
from sernf_isaac.models.attention import BlockContext, FlowBlock

CouplingContext = tuple[BlockContext, BlockContext]
"""Observation-only work of a coupling's two blocks."""


class CouplingNet(nn.Module):
    """From the visible half of a chunk and the observation to scale and shift of the other half."""

    def __init__(
        self,
        action_dim: int,
        token_dim: int,
        width: int,
        num_heads: int,
        *,
        dropout: float,
        zero_init: bool,
        scale_limit: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale_limit = scale_limit
        self.input = nn.Linear(action_dim, width)
        self.observation = nn.Linear(token_dim, width)
        self.inner, self.outer = (
            FlowBlock(width, num_heads, cross=cross, dropout=dropout, zero_init=zero_init)
            for cross in (False, True)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout))
        self.log_scale = nn.Linear(2 * width, action_dim)
        self.shift = nn.Linear(2 * width, action_dim)
        if zero_init:  # the coupling starts as the identity
            for last in (self.log_scale, self.shift):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def condition(self, tokens: Tensor) -> CouplingContext:
        """Observation-only work, from tokens (B, S, D)."""
        tokens = self.observation(tokens)  # (B, S, W)
        pooled = tokens.mean(dim=1)
        return self.inner.condition(tokens, pooled), self.outer.condition(tokens, pooled)

    def forward(
        self, visible: Tensor, context: CouplingContext, rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, K, H / 2, A) -> log-scale within the limit and shift, in the type of `visible`."""
        x = self.input(visible).to(visible.dtype)
        x = self.inner(x, context[0], rotation)
        x = self.outer(x, context[1], rotation)
        for_scale, for_shift = self.head(self.norm(x)).chunk(2, dim=-1)
        log_scale = softly_limited(self.log_scale(for_scale).to(visible.dtype), self.scale_limit)
        return log_scale, self.shift(for_shift).to(visible.dtype)


class Coupling(nn.Module):
    """Half of the tokens pass through; the other half is scaled and shifted given them."""

    kept: Tensor
    moved: Tensor

    def __init__(self, kept: Tensor, moved: Tensor, net: CouplingNet) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("kept", kept)  # (H / 2,) time indices, ascending, as `moved`
        self.register_buffer("moved", moved)

    def forward(
        self, x: Tensor, context: CouplingContext, rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Action side to latent side: (B, K, H, A) -> (B, K, H, A), log|det J| (B, K)."""
        log_scale, shift = self._parameters_for(x, context, rotation)
        moved = x.index_select(-2, self.moved) * log_scale.exp() + shift
        return x.index_copy(-2, self.moved, moved), log_scale.sum(dim=(-2, -1))

    def inverse(
        self, z: Tensor, context: CouplingContext, rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Latent side to action side; the kept tokens are equal on both, so so are parameters."""
        log_scale, shift = self._parameters_for(z, context, rotation)
        moved = (z.index_select(-2, self.moved) - shift) * (-log_scale).exp()
        return z.index_copy(-2, self.moved, moved), -log_scale.sum(dim=(-2, -1))

    def _parameters_for(
        self, x: Tensor, context: CouplingContext, rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.net(x.index_select(-2, self.kept), context, rotation[:, self.kept])


def draw_partitions(horizon: int, num_couplings: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """One (kept, moved) pair of halves of the time steps per coupling (paper §IV-B).

    Two couplings in turn share a random split: what the first keeps, the second moves. So half of
    the couplings move any step; what a coupling narrows is limited, and a step that is rarely moved
    could never be predicted well.

    Raises:
        ValueError: If the horizon is odd, or there are too few couplings to move every step.
    """
    if horizon < 2 or horizon % 2:
        raise ValueError(f"horizon ({horizon}) must be even: a coupling moves half of the steps")
    if num_couplings < 2:
        raise ValueError(
            f"num_couplings ({num_couplings}) is too small to move every step of horizon {horizon}"
        )
    generator, middle = torch.Generator().manual_seed(seed), horizon // 2
    partitions: list[tuple[Tensor, Tensor]] = []
    while len(partitions) < num_couplings:
        order = torch.randperm(horizon, generator=generator, device="cpu")
        first, second = order[:middle].sort().values, order[middle:].sort().values
        if partitions and torch.equal(partitions[-1][1], second):
            first, second = second, first  # moving the same half twice in a row is moving it once
        partitions += [(first, second), (second.clone(), first.clone())]
    return partitions[:num_couplings]
