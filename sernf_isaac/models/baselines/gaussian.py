"""A Gaussian over chunks where the method has a flow: one mode, whatever the data show.

It has the flow's interface, so that the learner, Alg. 2 and `ChunkPolicy` take it as they are.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sernf_isaac.models.draws import Source, normal
from sernf_isaac.models.moments import HIDDEN_LAYERS, ChunkMoments

LOG_STD_RANGE = (-4.0, 1.0)


@dataclass(frozen=True)
class GaussianContext:
    """The distribution itself: nothing else depends on the observation."""

    mean: Tensor
    """(B, H, A)"""
    log_std: Tensor
    """(B, H, A)"""

    @property
    def batch(self) -> int:
        """B."""
        return len(self.mean)


class GaussianPolicy(nn.Module):
    """Independent normal distributions of a chunk's numbers; means and widths from an MLP.

    Shapes are as for `FlowPolicy`: chunks `(B, H, A)`, or `(B, K, H, A)` for candidates.

    Args:
        action_dim: A.
        horizon: H.
        token_dim: D.
        width: Of the hidden layers.
        dropout: As for the flow.
        noise_std: Noise on chunks under `log_prob(add_noise=True)`, as for the flow.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        token_dim: int = 512,
        width: int = 512,
        *,
        dropout: float = 0.1,
        noise_std: float = 0.05,
    ) -> None:
        super().__init__()
        self.action_dim, self.horizon, self.noise_std = action_dim, horizon, noise_std
        self.moments = ChunkMoments(action_dim, horizon, token_dim, width, dropout=dropout)

    def context(self, tokens: Tensor | GaussianContext) -> GaussianContext:
        """The distribution of chunks given tokens (B, S, D)."""
        if isinstance(tokens, GaussianContext):
            return tokens
        mean, log_std = self.moments(tokens)
        return GaussianContext(mean, log_std.clamp(*LOG_STD_RANGE))

    def log_prob(
        self,
        chunk: Tensor,
        tokens: Tensor | GaussianContext,
        *,
        add_noise: bool = False,
        generator: Source = None,
    ) -> Tensor:
        """Log density of chunks in nats, (B,) or (B, K)."""
        mean, log_std = self._parameters_for(chunk, tokens)
        if add_noise:
            chunk = chunk + self.noise_std * normal(torch.empty_like(chunk), generator)
        return _standard_normal((chunk - mean) / log_std.exp()) - log_std.sum(dim=(-2, -1))

    def draw_latents(
        self,
        tokens: Tensor | GaussianContext,
        num_samples: int,
        sigma: float = 0.7,
        generator: Source = None,
    ) -> Tensor:
        """Latents (B, K, H, A) with standard deviation `sigma`, for `decode`."""
        batch = tokens.batch if isinstance(tokens, GaussianContext) else len(tokens)
        parameter = next(self.parameters())
        latent = parameter.new_empty(batch, num_samples, self.horizon, self.action_dim)
        return sigma * normal(latent, generator)

    def decode(self, latent: Tensor, tokens: Tensor | GaussianContext) -> tuple[Tensor, Tensor]:
        """Latents to chunks clipped to [-1, 1] and log-probabilities before clipping."""
        chunk, log_det = self.from_latent(latent, tokens)
        return chunk.clamp(-1, 1), _standard_normal(latent) - log_det

    def from_latent(
        self, latent: Tensor, tokens: Tensor | GaussianContext
    ) -> tuple[Tensor, Tensor]:
        """Latents to chunks, which may pass +-1, and log|det J|."""
        mean, log_std = self._parameters_for(latent, tokens)
        return mean + latent * log_std.exp(), log_std.sum(dim=(-2, -1))

    def sample(
        self,
        tokens: Tensor | GaussianContext,
        num_samples: int,
        sigma: float = 0.7,
        generator: Source = None,
    ) -> tuple[Tensor, Tensor]:
        """K chunks (B, K, H, A) per observation and their log-probabilities (B, K)."""
        return self.decode(self.draw_latents(tokens, num_samples, sigma, generator), tokens)

    def _parameters_for(self, x: Tensor, tokens: Tensor | GaussianContext) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation, to go with (B, H, A) or (B, K, H, A)."""
        context = self.context(tokens)
        if x.ndim == 3:
            return context.mean, context.log_std
        shape = (-1, x.shape[1], -1, -1)
        return context.mean[:, None].expand(shape), context.log_std[:, None].expand(shape)


def width_for(parameters: int, inputs: int, outputs: int) -> int:
    """Hidden width that gives `GaussianPolicy` about so many parameters."""
    linear = inputs + 1 + HIDDEN_LAYERS + outputs  # layers w^2 + linear w + outputs
    root = math.sqrt(linear**2 + 4 * HIDDEN_LAYERS * max(parameters - outputs, 0))
    return max(1, round((root - linear) / (2 * HIDDEN_LAYERS)))


def _standard_normal(latent: Tensor) -> Tensor:
    return (-0.5 * latent.square() - 0.5 * math.log(2 * math.pi)).sum(dim=(-2, -1))
