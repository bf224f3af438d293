"""Action Chunking Transformer where the method has a flow (paper App. G.3a).

A conditional variational autoencoder of chunks: an encoder sums up a chunk of the data in a style,
a decoder gives the chunk back from the style and the observation. It acts with the mean style. It
has the flow's interface as far as imitation and frozen-policy stages go; it has no likelihood.
"""

from typing import NoReturn

import torch
from torch import Tensor, nn

from sernf_isaac.models.baselines.context import TokenContext
from sernf_isaac.models.draws import Source, normal
from sernf_isaac.models.encoders import sine_embedding


class ActPolicy(nn.Module):
    """A transformer encoder of styles and a transformer decoder of chunks, causal in time.

    Chunks are `(B, H, A)`, or `(B, K, H, A)` for candidates; latents are styles `(B, K, L)`.

    Args:
        action_dim: A.
        horizon: H.
        token_dim: D, the width of everything.
        state_tokens: The first so many observation tokens are of numbers, the others of images; the
            style's encoder sees only the former.
        num_heads: Must divide D.
        num_layers: Of the encoder, and of the decoder.
        feedforward: Width inside their layers.
        style_dim: L.
        kl_weight: Of the style's divergence from a standard normal, beside the mean absolute error.
        dropout: In all layers.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        token_dim: int = 512,
        *,
        state_tokens: int,
        num_heads: int = 8,
        num_layers: int = 3,
        feedforward: int = 2048,
        style_dim: int = 32,
        kl_weight: float = 10.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.action_dim, self.horizon, self.style_dim = action_dim, horizon, style_dim
        self.state_tokens, self.kl_weight = state_tokens, kl_weight
        layer = (token_dim, num_heads, feedforward, dropout)
        self.action = nn.Linear(action_dim, token_dim)
        self.summary = nn.Parameter(0.02 * torch.randn(token_dim))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*layer, batch_first=True),
            num_layers,
            enable_nested_tensor=False,
        )
        self.to_style = nn.Linear(token_dim, 2 * style_dim)
        self.style = nn.Linear(style_dim, token_dim)
        self.queries = nn.Parameter(0.02 * torch.randn(horizon, token_dim))
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*layer, batch_first=True), num_layers
        )
        self.out = nn.Linear(token_dim, action_dim)

    def context(self, tokens: Tensor | TokenContext) -> TokenContext:
        """Tokens (B, S, D) under a name; nothing is computed."""
        return TokenContext.of(tokens)

    def log_prob(
        self,
        chunk: Tensor,
        tokens: Tensor | TokenContext,
        *,
        add_noise: bool = False,
        generator: Source = None,
    ) -> Tensor:
        """Minus ACT's loss, (B,) or (B, K): what imitation raises. It is no likelihood.

        Args:
            chunk: (B, H, A) or (B, K, H, A) in [-1, 1].
            tokens: (B, S, D).
            add_noise: Draw the style from its posterior, as in training; False: take its mean.
            generator: Source of the style.
        """
        context = self.context(tokens).for_chunks(chunk)
        rows = chunk.flatten(0, -3)
        mean, log_variance = self.posterior(rows, context)
        style = mean
        if add_noise:
            noise = normal(torch.empty_like(mean), generator)
            style = mean + noise * (0.5 * log_variance).exp()
        error = (self._decode(style, context) - rows).abs().mean(dim=(-2, -1))
        loss = error + self.kl_weight * divergence(mean, log_variance)
        return -loss.view(chunk.shape[:-2])

    def posterior(self, chunk: Tensor, context: TokenContext) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, L) of the style of chunks (B, H, A)."""
        times = torch.arange(self.horizon, device=chunk.device)
        actions = self.action(chunk) + sine_embedding(times, len(self.summary)).to(chunk.dtype)
        state = context.tokens[:, : self.state_tokens]
        summary = self.summary.expand(len(chunk), 1, -1)  # last, so that it sees all of the rest
        tokens = torch.cat([state, actions, summary], dim=1)
        later = _later(tokens.shape[1], chunk.device)
        # Unless it is told, torch compares the mask with the causal one, and a GPU is waited for.
        seen = self.encoder(tokens, mask=later, is_causal=True)
        mean, log_variance = self.to_style(seen[:, -1]).chunk(2, dim=-1)
        return mean, log_variance

    def draw_latents(
        self,
        tokens: Tensor | TokenContext,
        num_samples: int,
        sigma: float = 0.7,
        generator: Source = None,
    ) -> Tensor:
        """The mean style (B, 1, L): ACT has one candidate, however many are asked for."""
        del num_samples, sigma, generator
        batch = tokens.batch if isinstance(tokens, TokenContext) else len(tokens)
        return self.queries.new_zeros(batch, 1, self.style_dim)

    def decode(self, latent: Tensor, tokens: Tensor | TokenContext) -> tuple[Tensor, Tensor]:
        """Styles (B, K, L) to chunks clipped to [-1, 1]; zeros (B, K) for lack of a likelihood."""
        batch, count = latent.shape[:2]
        context = self.context(tokens).repeated(count)
        chunks = self._decode(latent.flatten(0, 1), context).clamp(-1, 1)
        return chunks.unflatten(0, (batch, count)), latent.new_zeros(batch, count)

    def from_latent(self, latent: Tensor, tokens: Tensor | TokenContext) -> NoReturn:
        """Refused: the stages that improve a policy hold it near the data by its likelihood.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "ACT has no likelihood, which stages III and IV need; set offline_steps=0 and leave "
            "stage IV out"
        )

    def _decode(self, style: Tensor, context: TokenContext) -> Tensor:
        """Styles (B, L) to chunks (B, H, A), which may pass +-1."""
        memory = torch.cat([self.style(style)[:, None], context.tokens], dim=1)
        queries = self.queries.expand(len(style), -1, -1)
        later = _later(self.horizon, style.device)
        return self.out(self.decoder(queries, memory, tgt_mask=later, tgt_is_causal=True))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normals (B, L) from the standard one, in nats, (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)


def _later(length: int, device: torch.device) -> Tensor:
    """(length, length) bool: what a row may not look at, because it comes later."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
