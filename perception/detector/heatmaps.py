"""From corner heatmaps to pixels with a covariance, finer than the heatmap's bins.

A heatmap's softmax is the network's belief where the corner is: it was trained as one. Its mean
around a peak is a measurement and its spread the covariance. Taking the peak alone would cost
0.3 px even with a perfect network, as much as half a degree of the cube's rotation. A network that
hesitates between faces has several peaks; all corners together tell which ones are right.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

PLACES = 3
"""Peaks that are read off per corner."""
WINDOW_BINS = 5
"""Bins to each side of a peak that belong to it; the rest are other places."""
SMOOTH_BINS = 2
"""Bins to each side over which probability is added up to find a peak."""
MIN_VARIANCE_BINS = 1.0 / 12.0
"""Of a uniform distribution over one bin: the network was told the bin, not the place in it."""


@dataclass(frozen=True)
class CornerMeasurement:
    """Corners of B boxes in pixels, M places each, the highest peak first."""

    uv: Tensor
    """(B, K, M, 2)."""
    covariance: Tensor
    """(B, K, M, 2, 2) in px²."""
    mass: Tensor
    """(B, K, M) probability near the peak."""


def measure_corners(logits: Tensor, boxes: Tensor, places: int = PLACES) -> CornerMeasurement:
    """Decode heatmaps.

    Args:
        logits: (B, K, S, S), one heatmap per corner over the box.
        boxes: (B, 4) x0, y0, x1, y1 in continuous pixels.
        places: Peaks per corner (M).
    """
    belief = logits.float().flatten(2).softmax(dim=2).view(logits.shape)  # (B, K, S, S)
    bins = torch.arange(logits.shape[-1], device=logits.device, dtype=torch.float32) + 0.5
    found = []
    for _ in range(places):
        column, row = _windows(belief, bins)
        near = belief * row[..., None] * column[..., None, :]
        found.append(_moments(near, bins))
        belief = belief - near
    mean, covariance, mass = (torch.stack(values, dim=2) for values in zip(*found, strict=True))
    bin_px = ((boxes[:, 2:] - boxes[:, :2]) / len(bins))[:, None, None]  # (B, 1, 1, 2)
    uv = boxes[:, None, None, :2] + mean * bin_px
    return CornerMeasurement(uv, covariance * bin_px[..., :, None] * bin_px[..., None, :], mass)


def _moments(near: Tensor, bins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (B, K, 2), covariance (B, K, 2, 2) in bins, and mass (B, K) of what is left of heatmaps
    (B, K, S, S) around a peak."""
    mass = near.sum(dim=(2, 3))
    near = near / mass.clamp_min(1e-12)[..., None, None]
    by_column, by_row = near.sum(dim=2), near.sum(dim=3)  # (B, K, S)
    # Sums rather than matrix products, which a GPU may round to three decimals.
    mean = torch.stack([(by_column * bins).sum(dim=-1), (by_row * bins).sum(dim=-1)], dim=-1)
    x = bins - mean[..., :1]  # (B, K, S)
    y = bins - mean[..., 1:]
    xx = (by_column * x**2).sum(dim=-1) + MIN_VARIANCE_BINS
    yy = (by_row * y**2).sum(dim=-1) + MIN_VARIANCE_BINS
    xy = ((near * x[..., None, :]).sum(dim=-1) * y).sum(dim=-1)
    return mean, torch.stack([xx, xy, xy, yy], dim=-1).unflatten(-1, (2, 2)), mass


def _windows(belief: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, S) columns and rows, 1 around the place with the most probability nearby, else 0."""
    apart = (bins - bins[:, None]).abs()
    nearby = (apart <= SMOOTH_BINS).float()  # as a product it is ten times faster than pooling
    peak = (nearby @ belief @ nearby).flatten(2).argmax(dim=2)
    window = (apart <= WINDOW_BINS).float()
    return window[peak % len(bins)], window[peak // len(bins)]
