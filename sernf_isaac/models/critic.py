"""The critics: transformers that value an action chunk given observation tokens (paper §IV-C).

All E critics of an ensemble are computed together: every weight has a leading E.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sernf_isaac.models.hl_gauss import HLGauss


class EnsembleLinear(nn.Module):
    """E independent linear layers, (E, ..., in) -> (E, ..., out)."""

    def __init__(self, ensemble: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(ensemble, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(ensemble, outputs))
        for weight in self.weight:
            nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Rows shared by all critics may have a leading 1 instead of E."""
        rows = x.expand(len(self.weight), *x.shape[1:]).flatten(1, -2)
        # In place: on a CPU, baddbmm would first fill the output with the bias.
        out = torch.bmm(rows, self.weight).add_(self.bias[:, None])
        return out.unflatten(1, x.shape[1:-1])


class EnsembleNorm(nn.Module):
    """E independent LayerNorms, (E, ..., D) -> (E, ..., D)."""

    def __init__(self, ensemble: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(ensemble, width))
        self.bias = nn.Parameter(torch.zeros(ensemble, width))

    def forward(self, x: Tensor) -> Tensor:
        ensemble, *middle, width = x.shape
        shape = (ensemble, *(1 for _ in middle), width)
        normed = functional.layer_norm(x, (width,))
        return torch.addcmul(self.bias.view(shape), normed, self.weight.view(shape))


class EncoderLayer(nn.Module):
    """Post-norm transformer layer of E critics, in two steps so that rows can be shared."""

    def __init__(
        self, ensemble: int, width: int, num_heads: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value, self.out = (
            EnsembleLinear(ensemble, width, width) for _ in range(4)
        )
        self.expand = EnsembleLinear(ensemble, width, feedforward)
        self.contract = EnsembleLinear(ensemble, feedforward, width)
        self.attention_norm = EnsembleNorm(ensemble, width)
        self.mlp_norm = EnsembleNorm(ensemble, width)
        self.dropout = nn.Dropout(dropout)

    def project(self, x: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of rows x; (E, N, L, D) each.

        Positions are added to queries and keys only, as in DETR.
        """
        placed = x if positions is None else x + positions
        return self.query(placed), self.key(placed), self.value(x)

    def mix(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The layer's output for all rows x, (E, N, L, D) -> (E, N, L, D)."""
        mixed = functional.scaled_dot_product_attention(
            self._heads(query), self._heads(key), self._heads(value), dropout_p=self._dropout
        )
        return self._finish(x, mixed.transpose(1, 2).reshape(x.shape))

    def read(self, x: Tensor, positions: Tensor) -> Tensor:
        """The layer's output for the first row alone, (E, N, L, D) -> (E, N, D).

        One query needs neither keys nor values of all rows: q . (x W) = (q W^T) . x, and the mean
        of x W is the mean of x, times W. The bias of the keys changes no attention weight.
        """
        first, heads = x[..., 0, :], (self.num_heads, -1)
        query = self.query(first + positions[..., 0, :]).unflatten(-1, heads)  # (E, N, heads, d)
        to_rows = self.key.weight.unflatten(-1, heads)  # (E, D, heads, d)
        query_of_rows = torch.einsum("enhd,ewhd->enhw", query, to_rows)
        mixed = functional.scaled_dot_product_attention(  # the heads are the queries of one head
            query_of_rows,
            x + positions,
            x,
            dropout_p=self._dropout,
            scale=query.shape[-1] ** -0.5,
        )
        from_rows = self.value.weight.unflatten(-1, heads)
        mixed = torch.einsum("enhw,ewhd->enhd", mixed, from_rows).flatten(-2)
        return self._finish(first, mixed + self.value.bias[:, None])

    @property
    def _dropout(self) -> float:
        return self.dropout.p if self.training else 0.0

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.out(mixed)))
        hidden = self.dropout(functional.gelu(self.expand(x)))
        return self.mlp_norm(x + self.dropout(self.contract(hidden)))

    def _heads(self, x: Tensor) -> Tensor:
        """(E, N, L, D) -> (E N, heads, L, D / heads)."""
        return x.flatten(0, 1).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class ChunkCritic(nn.Module):
    """E independent Q functions of (observation tokens, action chunk) (paper §IV-C, App. G).

    The sequence is a CLS token, the S observation tokens and one token per action of the chunk; the
    value is read from CLS. Action tokens get learned positions, added to queries and keys in every
    layer; observation tokens bring their own.

    Args:
        action_dim: A.
        horizon: H.
        ensemble: E.
        support: Lowest and highest return that can occur, see `HLGauss`; unused by the "mse" head.
        num_bins: Z.
        token_dim: D, of the observation tokens and of the transformer.
        num_heads: Must divide `token_dim`.
        num_layers: Of the transformer.
        feedforward: Hidden width of its feed-forward layers.
        dropout: Only active in `train()` mode.
        head: "hl_gauss", or "mse" for plain regression.
        padding: Of the support, as `HLGauss`; paper: 0 with `padding_bins` 0.
        padding_bins: As `HLGauss`.
        prune: In the last layer, compute the CLS row only; False is for comparison.

    Raises:
        ValueError: If the numbers do not fit together.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        *,
        support: tuple[float, float],
        ensemble: int = 2,
        num_bins: int = 101,
        token_dim: int = 512,
        num_heads: int = 8,
        num_layers: int = 3,
        feedforward: int = 256,
        dropout: float = 0.1,
        head: str = "hl_gauss",
        padding: float = 0.05,
        padding_bins: int = 3,
        prune: bool = True,
    ) -> None:
        super().__init__()
        if head not in ("hl_gauss", "mse"):
            raise ValueError(f'head must be "hl_gauss" or "mse", not {head!r}')
        if token_dim % num_heads:
            raise ValueError(f"token_dim ({token_dim}) must be a multiple of num_heads")
        self.action_dim, self.horizon, self.prune = action_dim, horizon, prune
        self.cls = nn.Parameter(0.02 * torch.randn(ensemble, 1, 1, token_dim))
        self.positions = nn.Parameter(0.02 * torch.randn(ensemble, 1, horizon, token_dim))
        self.action = EnsembleLinear(ensemble, action_dim, token_dim)
        self.layers = nn.ModuleList(
            EncoderLayer(ensemble, token_dim, num_heads, feedforward, dropout)
            for _ in range(num_layers)
        )
        self.bins = (
            HLGauss(support, num_bins, padding=padding, padding_bins=padding_bins)
            if head == "hl_gauss"
            else None
        )
        self.head = EnsembleLinear(ensemble, token_dim, num_bins if self.bins else 1)

    def logits(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        """Of the bins, (B, H, A) and (B, S, D) -> (E, B, Z).

        Raises:
            ValueError: If this critic has no bins, or shapes do not fit.
        """
        if self.bins is None:
            raise ValueError('a critic with head="mse" has no bins; use value()')
        return self._read(chunk[:, None], tokens).squeeze(2)

    def value(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns, (B, H, A) and (B, S, D) -> (E, B)."""
        return self.value_of_candidates(chunk[:, None], tokens).squeeze(2)

    def value_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of K chunks per observation, (B, K, H, A) and (B, S, D) -> (E, B, K)."""
        return self._decode(self._read(chunks, tokens))

    def loss(
        self, chunk: Tensor, tokens: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over critics of the mean over B of cross-entropy (or squared error) and its metrics.

        Args:
            chunk: (B, H, A).
            tokens: (B, S, D).
            target: Returns (B,), without gradient.
        """
        out = self._read(chunk[:, None], tokens).squeeze(2)  # (E, B, Z or 1)
        value = self._decode(out.detach())
        if self.bins is None:
            losses = (out.squeeze(-1) - target).square()
            clamped_fraction = target.new_zeros(())
        else:
            labels, clamped_fraction = self.bins.project(target)
            losses = -(labels * out.to(labels.dtype).log_softmax(dim=-1)).sum(dim=-1)
        loss = losses.mean(dim=1).sum()
        return loss, {
            "critic/loss": loss.detach(),
            "critic/td": (value - target).abs().mean(),
            "critic/value": value.mean(),
            "critic/value_min": value.min(),
            "critic/value_max": value.max(),
            "critic/disagreement": (value.amax(dim=0) - value.amin(dim=0)).mean(),
            "critic/target": target.mean(),
            "critic/clamped_fraction": clamped_fraction,
        }

    def _decode(self, out: Tensor) -> Tensor:
        return out.squeeze(-1) if self.bins is None else self.bins.decode(out)

    def _read(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """Head outputs (E, B, K, Z or 1)."""
        batch, candidates = self._sizes_of(chunks, tokens)
        actions = functional.elu(self.action(chunks.flatten(0, 1)[None]))  # (E, B K, H, D)
        observation = tokens.expand(len(self.cls), *tokens.shape)
        shared = torch.cat([self.cls.expand(-1, batch, -1, -1), observation], dim=-2)

        def joined(own: Tensor, shared: Tensor) -> Tensor:
            return torch.cat([shared.repeat_interleave(candidates, dim=1), own], dim=-2)

        x = joined(actions, shared)  # (E, B K, 1 + S + H, D)
        positions = functional.pad(self.positions, (0, 0, shared.shape[-2], 0))
        first, *others = cast("Iterable[EncoderLayer]", self.layers)
        # Before the first attention, candidates share their observation's rows.
        projected = map(joined, first.project(actions, self.positions), first.project(shared))
        x = first.mix(x, *projected)
        last = others[-1] if self.prune and others else None
        for layer in others[:-1] if last else others:
            x = layer.mix(x, *layer.project(x, positions))
        cls = x[..., 0, :] if last is None else last.read(x, positions)
        return self.head(cls).unflatten(1, (batch, candidates))

    def _sizes_of(self, chunks: Tensor, tokens: Tensor) -> tuple[int, int]:
        shape = (self.horizon, self.action_dim)
        if chunks.ndim != 4 or chunks.shape[-2:] != shape or tokens.ndim != 3:
            raise ValueError(
                f"chunks must be (B, [K,] H, A) with (H, A) = {shape} and tokens (B, S, D), not of "
                f"shapes {tuple(chunks.shape)} and {tuple(tokens.shape)}"
            )
        if len(chunks) != len(tokens):
            raise ValueError(f"{len(chunks)} chunks do not belong to {len(tokens)} observations")
        return chunks.shape[0], chunks.shape[1]
