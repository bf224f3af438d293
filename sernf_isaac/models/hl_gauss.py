"""Values as categorical distributions: HL-Gauss targets and decoding (paper §IV-C).

A scalar becomes the bin masses of a Gaussian around it, cut off at the ends of the support
(Farebrother et al., arXiv:2403.03950; settings of Tarasov et al., as the paper). Computed in at
least float32, also under autocast.
"""

import math

import torch
from torch import Tensor, nn


class HLGauss(nn.Module):
    """Projects scalars on Z bins and back.

    Cutting the Gaussian off shifts values near the ends by up to 0.7 bins, so the support is padded
    on each side by `padding` of its length and at least `padding_bins` bins; both 0: no padding.

    Args:
        support: Lowest and highest return that can occur.
        num_bins: Z, of the padded support.
        sigma_bins: Standard deviation of the Gaussian in bin widths.
        padding: Part of the support's length.
        padding_bins: Number of bins.

    Raises:
        ValueError: If the support is empty, or there are too few bins to pad.
    """

    edges: Tensor

    def __init__(
        self,
        support: tuple[float, float],
        num_bins: int = 101,
        *,
        sigma_bins: float = 0.75,
        padding: float = 0.05,
        padding_bins: int = 3,
    ) -> None:
        super().__init__()
        low, high = support
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"support ({low}, {high}) must be finite, low end first")
        if num_bins <= 2 * padding_bins or num_bins < 2:
            raise ValueError(f"num_bins ({num_bins}) leaves nothing between 2 x {padding_bins}")
        # The padded support has num_bins bins, so its bins grow with the padding.
        share = max(padding, padding_bins / (num_bins - 2 * padding_bins))
        margin = share * (high - low)
        edges = torch.linspace(low - margin, high + margin, num_bins + 1, dtype=torch.float64)
        self.register_buffer("edges", edges.float())  # (Z + 1,)
        self.support, self.sigma_bins = (low, high), sigma_bins

    def project(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars (...) to probabilities (..., Z), and the part of them that had to be clamped.

        Scalars outside the support are moved to its end: without that their label would be all
        zeros and teach nothing. What is not a number stays so and reaches the loss.
        """
        value = value.to(torch.promote_types(value.dtype, self.edges.dtype))
        inside = value.clamp(*self.support)
        clamped_fraction = (inside != value).to(inside.dtype).mean()
        sigma = self.sigma_bins * (self.edges[-1] - self.edges[0]) / (len(self.edges) - 1)
        cdf = torch.erf((self.edges - inside[..., None]) / (math.sqrt(2) * sigma))
        mass = cdf[..., -1:] - cdf[..., :1]
        return cdf.diff(dim=-1) / mass, clamped_fraction

    def decode(self, logits: Tensor) -> Tensor:
        """Expected value of distributions (..., Z) -> (...)."""
        logits = logits.to(torch.promote_types(logits.dtype, self.edges.dtype))
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        return (logits.softmax(dim=-1) * centres).sum(dim=-1)
