"""Transformer blocks of the flow's couplings (paper App. G: RMSNorm, RoPE, SwiGLU, adaLN).

What depends only on the observation is computed by `condition` and handed to `forward`, which works
on `K` candidate chunks of one observation at a time: arrays are `(B, K, h, W)`, `h` visible tokens
of width `W`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-6


@dataclass(frozen=True)
class Modulation:
    """Scale, shift and gate that one sublayer receives from the observation, each (B, 1, 1, W)."""

    gain: Tensor
    """Weight of the norm times (1 + scale)."""
    shift: Tensor
    gate: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Normalise and modulate, (B, K, h, W) -> (B, K, h, W)."""
        return functional.rms_norm(x, x.shape[-1:], eps=NORM_EPS) * self.gain + self.shift


@dataclass(frozen=True)
class BlockContext:
    """Everything a `FlowBlock` needs of the observation."""

    attention: Modulation
    mlp: Modulation
    keys: Tensor | None = None
    """Of the cross-attention, (B, heads, S, W / heads); None in a block without."""
    values: Tensor | None = None


def rotary_table(length: int, head_dim: int, theta: float = 32.0) -> Tensor:
    """Cosines and sines of RoPE at positions 0 ... length - 1, (2, length, head_dim / 2)."""
    rates = theta ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles_rad = torch.arange(length)[:, None] * rates
    return torch.stack([angles_rad.cos(), angles_rad.sin()])


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """RoPE: turn the pairs (i, i + d/2) of (..., h, d) by a table (2, h, d / 2)."""
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class SelfAttention(nn.Module):
    """Causal attention among the visible tokens of each candidate."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.query_norm = nn.RMSNorm(width // num_heads, eps=NORM_EPS)
        self.key_norm = nn.RMSNorm(width // num_heads, eps=NORM_EPS)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """(B, K, h, W) -> (B, K, h, W); `rotation` is the RoPE table of the h tokens."""
        split = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).flatten(0, 1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B K, heads, h, W / heads) each
        query = rotate(self.query_norm(query), rotation).to(value.dtype)
        key = rotate(self.key_norm(key), rotation).to(value.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


class CrossAttention(nn.Module):
    """Attention of the visible tokens to the observation."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.query_norm = nn.RMSNorm(width // num_heads, eps=NORM_EPS)
        self.key_norm = nn.RMSNorm(width // num_heads, eps=NORM_EPS)

    def condition(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the observation, (B, S, W) -> 2 x (B, heads, S, W / heads)."""
        value = self._heads(self.value(tokens))
        return self.key_norm(self._heads(self.key(tokens))).to(value.dtype), value

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, K, h, W) -> (B, K, h, W); all candidates are one long row of queries."""
        query = self.query_norm(self._heads(self.query(x.flatten(1, 2)))).to(values.dtype)
        mixed = functional.scaled_dot_product_attention(query, keys, values)
        return self.out(mixed.transpose(1, 2).reshape(x.shape))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class SwiGLU(nn.Module):
    """Gated feed-forward layer; its hidden width is 2/3 of the usual 4 x, rounded up."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * 3 * width, bias=False)  # gate and value in one product
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(3 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.expand(x).chunk(2, dim=-1)
        return self.out(self.dropout(functional.silu(gate) * value))


class FlowBlock(nn.Module):
    """Self-attention, cross-attention where asked for, SwiGLU; pre-norm with adaLN."""

    def __init__(
        self, width: int, num_heads: int, *, cross: bool, dropout: float, zero_init: bool
    ) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.attention = SelfAttention(width, num_heads)
        self.cross_norm = nn.RMSNorm(width, eps=NORM_EPS) if cross else None
        self.cross = CrossAttention(width, num_heads) if cross else None
        self.mlp_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.mlp = SwiGLU(width, dropout)
        signals = nn.Linear(width, 6 * width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, width), signals)
        if zero_init:  # both gated sublayers start closed
            nn.init.zeros_(signals.weight)
            nn.init.zeros_(signals.bias)

    def condition(self, tokens: Tensor, pooled: Tensor) -> BlockContext:
        """Observation-only work: tokens (B, S, W) and their mean (B, W)."""
        signals = self.modulation(pooled)[:, None, None].chunk(6, dim=-1)
        attention_shift, attention_scale, attention_gate, mlp_shift, mlp_scale, mlp_gate = signals
        keys, values = (None, None) if self.cross is None else self.cross.condition(tokens)
        return BlockContext(
            Modulation(
                self.attention_norm.weight * (1 + attention_scale), attention_shift, attention_gate
            ),
            Modulation(self.mlp_norm.weight * (1 + mlp_scale), mlp_shift, mlp_gate),
            keys,
            values,
        )

    def forward(self, x: Tensor, context: BlockContext, rotation: Tensor) -> Tensor:
        """(B, K, h, W) -> (B, K, h, W)."""
        attention, mlp = context.attention, context.mlp
        x = x + attention.gate * self.attention(attention.apply(x), rotation)
        if self.cross is not None and self.cross_norm is not None:
            assert context.keys is not None and context.values is not None
            x = x + self.cross(self.cross_norm(x), context.keys, context.values)
        return x + mlp.gate * self.mlp(mlp.apply(x))
