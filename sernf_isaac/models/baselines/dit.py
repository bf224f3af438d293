"""A transformer of DiT blocks: the velocity field of flow matching over chunks (paper App. G.3b).

Blocks are modulated by the time of each action and by the observation (adaLN), and look at the
observation by cross-attention, so that images keep their places. Arrays are `(B, K, T, W)`: T
actions of each of K candidates.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from sernf_isaac.models.attention import CrossAttention, SelfAttention, rotary_table
from sernf_isaac.models.encoders import sine_embedding

TIME_SCALE = 1000.0
"""Times in [0, 1] are spread over the sines' wavelengths, as steps of diffusion are."""


@dataclass(frozen=True)
class DitContext:
    """What all candidates and all Euler steps of an observation share."""

    pooled: Tensor
    """(B, 1, 1, W) mean of the tokens."""
    keys_values: tuple[tuple[Tensor, Tensor], ...]
    """Of each block's cross-attention, 2 x (B, heads, S, W / heads)."""

    @property
    def batch(self) -> int:
        """B."""
        return len(self.pooled)


class DitBlock(nn.Module):
    """Causal self-attention, cross-attention, feed-forward; closed at the start (adaLN-zero)."""

    def __init__(self, width: int, num_heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, num_heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = CrossAttention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, feedforward),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
        )
        self.dropout = nn.Dropout(dropout)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, x: Tensor, signal: Tensor, keys_values: tuple[Tensor, Tensor], rotation: Tensor
    ) -> Tensor:
        """(B, K, T, W) -> (B, K, T, W); `signal` is of the same shape."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(signal).chunk(6, -1)
        x = x + gate * self.dropout(self.attention(_modulated(x, shift, scale), rotation))
        x = x + self.dropout(self.cross(self.cross_norm(x), *keys_values))
        return x + mlp_gate * self.dropout(self.mlp(_modulated(x, mlp_shift, mlp_scale)))


class VelocityNet(nn.Module):
    """Velocity of noisy actions, each at a time of its own, given an observation.

    Args:
        action_dim: A.
        length: T, queued and predicted actions.
        width: W, also of the observation tokens.
        num_heads: Must divide the width into even parts.
        num_layers: Blocks.
        feedforward: Width inside the blocks.
        dropout: After every sublayer and inside the feed-forward layers.

    Raises:
        ValueError: If the heads do not divide the width into even parts.
    """

    rotation: Tensor

    def __init__(
        self,
        action_dim: int,
        length: int,
        width: int = 512,
        *,
        num_heads: int = 8,
        num_layers: int = 4,
        feedforward: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if width % (2 * num_heads):
            raise ValueError(f"width ({width}) must be a multiple of 2 x num_heads ({num_heads})")
        self.width = width
        self.input = nn.Linear(action_dim, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.observation = nn.Linear(width, width)
        self.blocks = nn.ModuleList(
            DitBlock(width, num_heads, feedforward, dropout) for _ in range(num_layers)
        )
        self.modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, action_dim)
        for last in (self.modulation, self.out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        table = rotary_table(length, width // num_heads)
        self.register_buffer("rotation", table, persistent=False)

    @property
    def _blocks(self) -> Iterable[DitBlock]:
        return cast("Iterable[DitBlock]", self.blocks)

    def condition(self, tokens: Tensor) -> DitContext:
        """Observation-only work, from tokens (B, S, W)."""
        pooled = self.observation(tokens.mean(dim=1))[:, None, None]
        return DitContext(pooled, tuple(block.cross.condition(tokens) for block in self._blocks))

    def forward(self, actions: Tensor, time: Tensor, context: DitContext) -> Tensor:
        """Actions (B, K, T, A) at times (B, K, T), 0 noise and 1 data, to velocities."""
        times = sine_embedding(TIME_SCALE * time, self.width).to(actions.dtype)
        signal = functional.silu(self.time(times) + context.pooled)
        x = self.input(actions)
        for block, keys_values in zip(self._blocks, context.keys_values, strict=True):
            x = block(x, signal, keys_values, self.rotation)
        shift, scale = self.modulation(signal).chunk(2, dim=-1)
        return self.out(_modulated(x, shift, scale))


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
