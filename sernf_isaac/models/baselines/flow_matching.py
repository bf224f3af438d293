"""Flow matching where the method has a normalizing flow (paper App. G.3b).

Noise becomes a chunk by following a learned velocity field for a few Euler steps. Queued actions
enter as clean actions before the chunk, in training and when acting; only the chunk counts in the
loss. It has the flow's interface as far as imitation and frozen-policy stages go; its likelihood
would take an integral over the path, which is not computed.
"""

from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from sernf_isaac.models.actor_critic import PREFIX
from sernf_isaac.models.baselines.dit import DitContext, VelocityNet
from sernf_isaac.models.draws import Source, normal, uniform

LATEST_TIME = 0.999
"""s of pi-zero: training stops short of pure data, where the velocity says nothing."""


@dataclass(frozen=True)
class Conditions:
    """What `PrefixApart` gives: tokens, and queued actions as they are."""

    tokens: Tensor
    """(B, S, D)"""
    prefix: Tensor
    """(B, P, A)"""


@dataclass(frozen=True)
class FlowMatchingContext:
    """Observation-only work of the velocity field, and the queued actions."""

    net: DitContext
    prefix: Tensor
    """(B, P, A)"""

    @property
    def batch(self) -> int:
        """B."""
        return self.net.batch


class PrefixApart(nn.Module):
    """An encoder of what is observed; queued actions pass by it."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, observation: dict[str, Tensor]) -> Conditions:
        """Observation groups, and (B, P, A) under `PREFIX`."""
        return Conditions(self.encoder(observation), observation[PREFIX])


class FlowMatchingPolicy(nn.Module):
    """Sampler of chunks `(B, K, H, A)` in [-1, 1] from noise of the same shape.

    Args:
        action_dim: A.
        horizon: H.
        prefix: P.
        token_dim: D, the width of everything.
        num_heads: Must divide D into even parts.
        num_layers: DiT blocks.
        feedforward: Width inside them.
        steps: Euler steps.
        dropout: In all blocks.
    """

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        prefix: int,
        token_dim: int = 512,
        *,
        num_heads: int = 8,
        num_layers: int = 4,
        feedforward: int = 2048,
        steps: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps ({steps}) must be at least 1")
        self.action_dim, self.horizon, self.prefix, self.steps = action_dim, horizon, prefix, steps
        self.net = VelocityNet(
            action_dim,
            prefix + horizon,
            token_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            feedforward=feedforward,
            dropout=dropout,
        )

    def context(self, seen: Conditions | FlowMatchingContext) -> FlowMatchingContext:
        """Do the observation-only work once, for all candidates and steps.

        Raises:
            ValueError: If there are not P queued actions.
        """
        if isinstance(seen, FlowMatchingContext):
            return seen
        if seen.prefix.shape[1:] != (self.prefix, self.action_dim):
            wanted = f"(B, {self.prefix}, {self.action_dim})"
            raise ValueError(f"prefix must be {wanted}, not of shape {tuple(seen.prefix.shape)}")
        return FlowMatchingContext(self.net.condition(seen.tokens), seen.prefix)

    def log_prob(
        self,
        chunk: Tensor,
        seen: Conditions | FlowMatchingContext,
        *,
        add_noise: bool = False,
        generator: Source = None,
    ) -> Tensor:
        """Minus the loss at one random time per chunk, (B,) or (B, K). It is no likelihood.

        Args:
            chunk: (B, H, A) or (B, K, H, A) in [-1, 1].
            seen: From the encoder.
            add_noise: Without effect: noise and time are always drawn.
            generator: Source of both.
        """
        del add_noise
        data = chunk if chunk.ndim == 4 else chunk[:, None]  # (B, K, H, A)
        time = training_times(data.shape[:2], data, generator)
        noise = normal(torch.empty_like(data), generator)
        part = time[..., None, None]
        velocity = self._velocity(part * data + (1 - part) * noise, time, self.context(seen))
        error = (velocity - (data - noise)).square().mean(dim=(-2, -1))
        return -error.view(chunk.shape[:-2])

    def draw_latents(
        self,
        seen: Tensor | Conditions | FlowMatchingContext,
        num_samples: int,
        sigma: float = 1.0,
        generator: Source = None,
    ) -> Tensor:
        """Noise (B, K, H, A) with standard deviation `sigma`, for `decode`; it was trained on 1."""
        rows = seen.tokens if isinstance(seen, Conditions) else seen
        batch = len(rows) if isinstance(rows, Tensor) else rows.batch
        noise = self.net.out.bias.new_empty(batch, num_samples, self.horizon, self.action_dim)
        return sigma * normal(noise, generator)

    def decode(
        self, latent: Tensor, seen: Conditions | FlowMatchingContext
    ) -> tuple[Tensor, Tensor]:
        """Noise to chunks clipped to [-1, 1]; zeros (B, K) for lack of a likelihood."""
        context, x = self.context(seen), latent
        for step in range(self.steps):
            time = latent.new_full(latent.shape[:2], step / self.steps)
            x = x + self._velocity(x, time, context) / self.steps
        return x.clamp(-1, 1), latent.new_zeros(latent.shape[:2])

    def from_latent(self, latent: Tensor, seen: Conditions | FlowMatchingContext) -> NoReturn:
        """Refused: the stages that improve a policy hold it near the data by its likelihood.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "flow matching has no likelihood here, which stages III and IV need; set "
            "offline_steps=0 and leave stage IV out"
        )

    def _velocity(self, x: Tensor, time: Tensor, context: FlowMatchingContext) -> Tensor:
        """Of noisy chunks (B, K, H, A) at times (B, K), behind clean queued actions."""
        count = x.shape[1]
        queued = context.prefix[:, None].expand(-1, count, -1, -1).to(x.dtype)
        times = time[..., None].expand(-1, -1, self.horizon)
        clean = time.new_ones(*time.shape, self.prefix)
        actions, times = torch.cat([queued, x], dim=2), torch.cat([clean, times], dim=2)
        return self.net(actions, times, context.net)[:, :, self.prefix :]


def training_times(shape: tuple[int, ...], like: Tensor, generator: Source) -> Tensor:
    """Times in [0, s], more of them near the noise at 0: 1 - t / s ~ Beta(1.5, 1), as pi-zero.

    Args:
        shape: Of the result.
        like: Its device and type.
        generator: Source.
    """
    drawn = uniform(like.new_empty(shape), generator)
    return LATEST_TIME * (1 - drawn ** (1 / 1.5))
