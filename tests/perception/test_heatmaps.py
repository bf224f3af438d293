"""Heatmaps to pixels: finer than bins, honest about spread, in torchvision's own coordinates."""

import pytest
import torch
from torchvision.models.detection.roi_heads import keypoints_to_heatmap

from perception.detector.heatmaps import MIN_VARIANCE_BINS, measure_corners

SIZE = 56
BOXES = torch.tensor([[10.0, 20.0, 66.0, 132.0]])  # bins of 1 px across and 2 px down


def bump(x, y, sigma):
    """Log-probabilities of a Gaussian about a place in bins."""
    place = torch.arange(SIZE) + 0.5
    return -((place[None, :] - x) ** 2 + (place[:, None] - y) ** 2) / (2 * sigma**2)


def test_places_between_bins_are_found():
    places = 10.0 + 30.0 * torch.rand(8, 2)
    logits = torch.stack([bump(x, y, 1.2) for x, y in places])[None]
    measured = measure_corners(logits, BOXES)
    expected = BOXES[0, :2] + places * torch.tensor([1.0, 2.0])
    torch.testing.assert_close(measured.uv[0, :, 0], expected, atol=0.02, rtol=0.0)


def test_the_covariance_is_the_spread_in_pixels():
    logits = bump(25.0, 30.0, 1.5)[None, None]
    covariance = measure_corners(logits, BOXES).covariance[0, 0, 0]
    variance = 1.5**2 + MIN_VARIANCE_BINS
    expected = torch.diag(torch.tensor([variance, 4.0 * variance]))
    torch.testing.assert_close(covariance, expected, atol=0.03, rtol=0.01)


def test_a_slanted_belief_has_a_slanted_covariance():
    place = torch.arange(SIZE) + 0.5
    along = (place[None, :] - 28.0) + (place[:, None] - 28.0)
    across = (place[None, :] - 28.0) - (place[:, None] - 28.0)
    logits = (-(along**2) / 8.0 - across**2 / 1.0)[None, None]
    covariance = measure_corners(logits, BOXES).covariance[0, 0, 0]
    assert covariance[0, 1] > 0.5
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_a_second_place_costs_mass_but_does_not_pull():
    one, two = bump(15.0, 15.0, 1.0), bump(40.0, 40.0, 1.0)
    logits = torch.logaddexp(one, two - 1.0)[None, None]
    measured = measure_corners(logits, BOXES)
    expected = torch.tensor([[25.0, 50.0], [50.0, 100.0]])  # of the box at (10, 20)
    torch.testing.assert_close(measured.uv[0, 0, :2], expected, atol=0.05, rtol=0.0)
    share = torch.sigmoid(torch.tensor(1.0)).item()
    assert measured.mass[0, 0, :2].tolist() == pytest.approx([share, 1.0 - share], abs=0.02)
    assert measured.mass[0, 0, 2] < 0.01  # there is no third one


def test_places_do_not_share_probability():
    logits = 3.0 * torch.randn(2, 8, SIZE, SIZE)
    mass = measure_corners(logits, BOXES.repeat(2, 1)).mass
    assert (mass.sum(dim=2) <= 1.0 + 1e-5).all() and (mass > 0.0).all()


def test_the_training_target_is_decoded_to_its_own_bin():
    """torchvision decides which bin a corner is in; decoding that bin must lead back."""
    corners = torch.rand(1, 8, 2) * torch.tensor([54.0, 110.0]) + BOXES[0, :2] + 1.0
    with_flag = torch.cat([corners, torch.ones(1, 8, 1)], dim=-1)
    bins, valid = keypoints_to_heatmap(with_flag, BOXES, SIZE)
    assert valid.all()
    logits = torch.full((1, 8, SIZE * SIZE), -30.0).scatter(2, bins[..., None], 30.0)
    measured = measure_corners(logits.view(1, 8, SIZE, SIZE), BOXES)
    off = (measured.uv[:, :, 0] - corners).abs()
    assert (off[..., 0] <= 0.5 + 1e-4).all() and (off[..., 1] <= 1.0 + 1e-4).all()
    assert (measured.uv[:, :, 0] - corners).mean(dim=1).abs().max() < 0.5  # no shift to one side
