"""From corner heatmaps to pixels with a covariance, finer than the heatmap's bins.

A heatmap's softmax is the network's belief where the corner is: it was trained as one. Its mean
around the peak is the measurement and its spread the covariance. Taking the peak alone would cost
0.3 px even with a perfect network, as much as half a degree of the cube's rotation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

WINDOW_BINS = 5
"""Bins to each side of the peak that belong to it; the rest are other hypotheses."""
MIN_VARIANCE_BINS = 1.0 / 12.0
"""Of a uniform distribution over one bin: the network was told the bin, not the place in it."""


@dataclass(frozen=True)
class CornerMeasurement:
    """Corners of B boxes in pixels."""

    uv: Tensor
    """(B, K, 2)."""
    covariance: Tensor
    """(B, K, 2, 2) in px²."""
    mass: Tensor
    """(B, K) probability near the peak: low if the network hesitates between places."""


def measure_corners(logits: Tensor, boxes: Tensor) -> CornerMeasurement:
    """Decode heatmaps.

    Args:
        logits: (B, K, S, S), one heatmap per corner over the box.
        boxes: (B, 4) x0, y0, x1, y1 in continuous pixels.
    """
    belief = logits.float().flatten(2).softmax(dim=2).view(logits.shape)  # (B, K, S, S)
    size = logits.shape[-1]
    place = torch.arange(size, device=logits.device, dtype=torch.float32) + 0.5
    window = _window(belief, place)
    mass = (belief * window).sum(dim=(2, 3))
    near = belief * window / mass[..., None, None]
    by_column, by_row = near.sum(dim=2), near.sum(dim=3)  # (B, K, S)
    mean = torch.stack([by_column @ place, by_row @ place], dim=-1)  # (B, K, 2)
    x = place - mean[..., :1]  # (B, K, S)
    y = place - mean[..., 1:]
    xx = (by_column * x**2).sum(dim=-1) + MIN_VARIANCE_BINS
    yy = (by_row * y**2).sum(dim=-1) + MIN_VARIANCE_BINS
    xy = torch.einsum("bkij,bki,bkj->bk", near, y, x)
    covariance = torch.stack([xx, xy, xy, yy], dim=-1).unflatten(-1, (2, 2))
    bin_px = ((boxes[:, 2:] - boxes[:, :2]) / size)[:, None]  # (B, 1, 2)
    uv = boxes[:, None, :2] + mean * bin_px
    return CornerMeasurement(uv, covariance * bin_px[..., :, None] * bin_px[..., None, :], mass)


def _window(belief: Tensor, place: Tensor) -> Tensor:
    """(B, K, S, S) 1 around the place with the most probability in its neighbourhood."""
    size = belief.shape[-1]
    smooth = F.avg_pool2d(belief, 5, stride=1, padding=2, count_include_pad=True)
    peak = smooth.flatten(2).argmax(dim=2)
    row, column = peak // size + 0.5, peak % size + 0.5
    near_row = (place - row[..., None]).abs() <= WINDOW_BINS
    near_column = (place - column[..., None]).abs() <= WINDOW_BINS
    return (near_row[..., :, None] & near_column[..., None, :]).float()
