"""The policy: a conditional normalizing flow over action chunks (paper §IV-B, Alg. 1, Eq. 5)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sernf_isaac.models.affine_base import AffineBase, Moments
from sernf_isaac.models.attention import rotary_table
from sernf_isaac.models.coupling import Coupling, CouplingContext, CouplingNet, draw_partitions
from sernf_isaac.models.draws import Source, normal
from sernf_isaac.models.mixing import ChannelMixing

BASES = ("standard", "affine")


@dataclass(frozen=True)
class FlowContext:
    """What all candidates of an observation share; `FlowPolicy.context` makes it."""

    couplings: tuple[CouplingContext, ...]
    """adaLN signals, keys and values of every block of every coupling."""
    batch: int
    """Observations it was made from."""
    base: Moments | None = None
    """Of the affine base, if there is one."""


class FlowPolicy(nn.Module):
    """Density and sampler of action chunks given observation tokens (paper §IV-B, Alg. 1).

    A chunk is squashed (`atanh`) and passed through couplings to a standard normal latent. Chunks
    are `(B, H, A)` or, for K candidates of each observation, `(B, K, H, A)`, in [-1, 1]; wherever
    `tokens` are asked for, observation tokens `(B, S, D)` or their `context` will do.
    Dropout is drawn anew in each call, so the flow is a bijection only in `eval()` mode.

    Args:
        action_dim: A.
        horizon: H, even.
        token_dim: D.
        width: Of the couplings' transformers.
        num_couplings: Paper: 16.
        num_heads: Must divide the width into even parts.
        dropout: Paper: 0.5 and 0.2 in imitation (simulated, real), 0.1 in RL.
        noise_std: Noise on chunks under `log_prob(add_noise=True)`, paper: 0.05 simulated, 0.01
            real.
        bound_margin: Part of the squashed range that stays free between data at +-1 and its ends,
            so that noisy data do not pile up there. Default: 4 x `noise_std`; paper: 0.
        clamp: Squashed actions are kept this far from +-1 before `atanh`.
        zero_init: Start with identity couplings; False: the layers' own initialisation.
        base: What the latent is next to: "standard" is the paper's N(0, I); "affine" shifts and
            scales it by the observation, see `AffineBase`.
        scale_limit: Largest log-scale of a coupling, softly; paper: 1.
        mixing: Mix the channels of actions before every coupling, see `ChannelMixing`; paper: no.
        seed: Of the partitions only; weights come from torch's global generator.

    Raises:
        ValueError: If the numbers do not fit together.
    """

    rotation: Tensor

    def __init__(
        self,
        action_dim: int,
        horizon: int,
        token_dim: int = 512,
        width: int = 256,
        *,
        num_couplings: int = 16,
        num_heads: int = 8,
        dropout: float = 0.1,
        noise_std: float = 0.05,
        bound_margin: float | None = None,
        clamp: float = 1e-3,
        zero_init: bool = True,
        base: str = "standard",
        scale_limit: float = 1.0,
        mixing: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        bound_margin = 4 * noise_std if bound_margin is None else bound_margin
        if width % (2 * num_heads):
            raise ValueError(f"width ({width}) must be a multiple of 2 x num_heads ({num_heads})")
        if not 0 <= bound_margin < 1:
            raise ValueError(f"bound_margin ({bound_margin}) must be in [0, 1)")
        if not 0 < clamp < 1:
            raise ValueError(f"clamp ({clamp}) must be in (0, 1)")
        if base not in BASES:
            raise ValueError(f"base ({base!r}) must be one of {BASES}")
        if scale_limit <= 0:
            raise ValueError(f"scale_limit ({scale_limit}) must be positive")
        self.action_dim, self.horizon = action_dim, horizon
        self.noise_std, self.clamp = noise_std, clamp
        self.range = 1 - bound_margin
        self.couplings = nn.ModuleList(
            Coupling(
                kept,
                moved,
                CouplingNet(
                    action_dim,
                    token_dim,
                    width,
                    num_heads,
                    dropout=dropout,
                    zero_init=zero_init,
                    scale_limit=scale_limit,
                ),
            )
            for kept, moved in draw_partitions(horizon, num_couplings, seed)
        )
        mixers = num_couplings if mixing else 0
        self.mixing = nn.ModuleList(ChannelMixing(action_dim) for _ in range(mixers))
        options = {"dropout": dropout, "zero_init": zero_init}
        affine = base == "affine"
        self.base = AffineBase(action_dim, horizon, token_dim, width, **options) if affine else None
        table = rotary_table(horizon, width // num_heads)
        self.register_buffer("rotation", table, persistent=False)

    @property
    def _couplings(self) -> Iterable[Coupling]:
        return cast("Iterable[Coupling]", self.couplings)

    def context(self, tokens: Tensor | FlowContext) -> FlowContext:
        """Do the observation-only work once, for any number of candidates and calls."""
        if isinstance(tokens, FlowContext):
            return tokens
        if tokens.ndim != 3:
            raise ValueError(f"tokens must be (B, S, D), not of shape {tuple(tokens.shape)}")
        couplings = tuple(coupling.net.condition(tokens) for coupling in self._couplings)
        base = self.base.condition(tokens) if self.base else None
        return FlowContext(couplings, len(tokens), base)

    def log_prob(
        self,
        chunk: Tensor,
        tokens: Tensor | FlowContext,
        *,
        add_noise: bool = False,
        generator: Source = None,
    ) -> Tensor:
        """Exact log density of chunks in nats (Eq. 6), (B,) or (B, K); `add_noise` for training."""
        if add_noise:
            noise = normal(torch.empty_like(chunk), generator)
            chunk = chunk + self.noise_std * noise
        latent, log_det = self._encode(self.range * chunk, self.context(tokens))
        return _standard_normal(latent) + log_det

    def to_latent(self, chunk: Tensor, tokens: Tensor | FlowContext) -> tuple[Tensor, Tensor]:
        """The bijection without noise: chunks to latents of their shape and log|det J| (B[, K])."""
        return self._encode(self.range * chunk, self.context(tokens))

    def from_latent(self, latent: Tensor, tokens: Tensor | FlowContext) -> tuple[Tensor, Tensor]:
        """The inverse: chunks, which may pass +-1 by the bound margin, and log|det J|."""
        squashed, log_det = self._decode(latent, self.context(tokens))
        return squashed.tanh() / self.range, log_det - self._unsquash_log_det(squashed)

    def draw_latents(
        self,
        tokens: Tensor | FlowContext,
        num_samples: int,
        sigma: float = 0.7,
        generator: Source = None,
    ) -> Tensor:
        """Latents (B, K, H, A) with standard deviation `sigma`, for `decode`."""
        batch = tokens.batch if isinstance(tokens, FlowContext) else len(tokens)
        latent = self.rotation.new_empty(batch, num_samples, self.horizon, self.action_dim)
        return sigma * normal(latent, generator)

    def decode(self, latent: Tensor, tokens: Tensor | FlowContext) -> tuple[Tensor, Tensor]:
        """Latents to chunks clipped to [-1, 1] and log-probabilities under the unit-variance base.

        The log-probability is that of the chunk before clipping.
        """
        squashed, log_det = self._decode(latent, self.context(tokens))
        log_prob = _standard_normal(latent) - log_det + self._unsquash_log_det(squashed)
        return (squashed.tanh() / self.range).clamp(-1, 1), log_prob

    def sample(
        self,
        tokens: Tensor | FlowContext,
        num_samples: int,
        sigma: float = 0.7,
        generator: Source = None,
    ) -> tuple[Tensor, Tensor]:
        """K chunks (B, K, H, A) per observation and their log-probabilities (B, K), see `decode`.

        Differentiable with respect to weights and tokens (pathwise).
        """
        return self.decode(self.draw_latents(tokens, num_samples, sigma, generator), tokens)

    def _encode(self, scaled: Tensor, context: FlowContext) -> tuple[Tensor, Tensor]:
        limit = 1 - self.clamp
        squashed = scaled.clamp(-limit, limit).atanh()
        x = self._with_candidates(squashed, context)
        log_det = x.new_zeros(x.shape[:2])
        for coupling, mixing, coupling_context in self._steps(context):
            if mixing:
                x, change = mixing(x)
                log_det = log_det + change
            x, change = coupling(x, coupling_context, self.rotation)
            log_det = log_det + change
        if self.base and context.base:
            x, change = self.base(x, context.base)
            log_det = log_det + change
        return x.view_as(scaled), log_det.view(scaled.shape[:-2]) + self._unsquash_log_det(squashed)

    def _decode(self, latent: Tensor, context: FlowContext) -> tuple[Tensor, Tensor]:
        """Latents to actions before the final tanh; log|det J| of the couplings."""
        z = self._with_candidates(latent, context)
        log_det = z.new_zeros(z.shape[:2])
        if self.base and context.base:
            z, change = self.base.inverse(z, context.base)
            log_det = log_det + change
        for coupling, mixing, coupling_context in reversed(self._steps(context)):
            z, change = coupling.inverse(z, coupling_context, self.rotation)
            log_det = log_det + change
            if mixing:
                z, change = mixing.inverse(z)
                log_det = log_det + change
        return z.view_as(latent), log_det.view(latent.shape[:-2])

    def _steps(
        self, context: FlowContext
    ) -> list[tuple[Coupling, ChannelMixing | None, CouplingContext]]:
        """From the action side on."""
        mixing = cast("Iterable[ChannelMixing]", self.mixing) if len(self.mixing) else repeat(None)
        return list(zip(self._couplings, mixing, context.couplings))  # noqa: B905  # repeat is endless

    def _unsquash_log_det(self, squashed: Tensor) -> Tensor:
        """log|det| of chunk -> u = atanh(range x chunk): -log(1 - tanh(u)^2) loses no digits."""
        log_slope = 2 * (math.log(2) - squashed - functional.softplus(-2 * squashed))
        return (math.log(self.range) - log_slope).sum(dim=(-2, -1))

    def _with_candidates(self, x: Tensor, context: FlowContext) -> Tensor:
        """(B, H, A) or (B, K, H, A) -> (B, K, H, A)."""
        shape = (self.horizon, self.action_dim)
        if x.ndim not in (3, 4) or x.shape[-2:] != shape or len(x) != context.batch:
            raise ValueError(
                f"chunks must be (B, H, A) or (B, K, H, A) with B = {context.batch} as the tokens "
                f"and (H, A) = {shape}, not of shape {tuple(x.shape)}"
            )
        return x if x.ndim == 4 else x[:, None]


def _standard_normal(latent: Tensor) -> Tensor:
    """Log density of N(0, I) in (..., H, A), also where samples were drawn more narrowly."""
    return (-0.5 * latent.square() - 0.5 * math.log(2 * math.pi)).sum(dim=(-2, -1))
