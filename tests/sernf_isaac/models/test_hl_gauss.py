"""HL-Gauss at its edges: targets beyond the support teach, and the ends of returns are unbiased."""

import pytest
import torch

from sernf_isaac.models.hl_gauss import HLGauss


def decoded_label(bins: HLGauss, value: float) -> float:
    """What a critic reads after fitting the label of `value` perfectly."""
    labels, _ = bins.project(torch.tensor(value, dtype=torch.float64))
    return bins.decode(labels.log()).item()


@pytest.fixture
def bins() -> HLGauss:
    return HLGauss((0.0, 2.0)).double()


def test_labels_are_distributions(bins: HLGauss) -> None:
    labels, clamped_fraction = bins.project(torch.linspace(-1, 3, 40).double())
    assert (labels >= 0).all() and labels.shape == (40, 101)
    torch.testing.assert_close(labels.sum(dim=-1), torch.ones(40).double())
    assert clamped_fraction == pytest.approx(20 / 40)  # those outside [0, 2]


def test_padding_is_a_share_of_the_length_and_at_least_three_bins() -> None:
    wide = HLGauss((0.0, 2.0), 101).edges
    assert (wide[0].item(), wide[-1].item()) == pytest.approx((-0.1, 2.1))
    coarse = HLGauss((0.0, 2.0), 26).edges
    assert coarse[3].item() == pytest.approx(0, abs=1e-6)
    assert coarse[-4].item() == pytest.approx(2)
    bare = HLGauss((0.0, 2.0), 50, padding=0, padding_bins=0).edges
    assert (bare[0].item(), bare[-1].item()) == (0, 2)


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0, 2.0])
def test_decoding_a_label_returns_the_value(bins: HLGauss, value: float) -> None:
    assert decoded_label(bins, value) == pytest.approx(value, abs=1e-4)


def test_without_padding_values_at_the_ends_would_be_off() -> None:
    bare = HLGauss((0.0, 2.0), padding=0, padding_bins=0).double()
    bin_width = 2 / 101
    assert decoded_label(bare, 0.0) / bin_width == pytest.approx(0.69, abs=0.02)
    assert (decoded_label(bare, 2.0) - 2) / bin_width == pytest.approx(-0.69, abs=0.02)


@pytest.mark.parametrize(("padding", "expected"), [(0.05, 0.0), (0.0, 0.0333)])
def test_bootstrapping_without_rewards_decays_to_zero_only_with_padding(padding, expected) -> None:
    bins = HLGauss((0.0, 2.0), padding=padding, padding_bins=0).double()
    value = 2.0
    for _ in range(1500):
        value = decoded_label(bins, 0.997**6 * value)
    assert value == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("value", [2.3, 1e6, float("inf"), -5.0])
def test_targets_beyond_the_support_still_teach(bins: HLGauss, value: float) -> None:
    logits = torch.zeros(101, dtype=torch.float64, requires_grad=True)
    labels, clamped_fraction = bins.project(torch.tensor(value).double())
    (-(labels * logits.log_softmax(dim=-1)).sum()).backward()
    assert clamped_fraction == 1
    assert logits.grad is not None and logits.grad.abs().max() > 0.1
    assert decoded_label(bins, value) == pytest.approx(2.0 if value > 0 else 0.0, abs=1e-4)


def test_a_target_that_is_not_a_number_stays_visible(bins: HLGauss) -> None:
    assert bins.project(torch.tensor([float("nan")]).double())[0].isnan().all()


def test_low_precision_logits_are_decoded_in_float32() -> None:
    bins = HLGauss((0.0, 2.0))
    logits = torch.randn(5, 101)
    rough = bins.decode(logits.bfloat16())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, bins.decode(logits.bfloat16().float()))
    assert bins.project(torch.ones(3).bfloat16())[0].dtype == torch.float32


@pytest.mark.parametrize("support", [(1.0, 1.0), (2.0, 0.0), (0.0, float("inf"))])
def test_an_empty_or_infinite_support_is_refused(support: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be finite, low end first"):
        HLGauss(support)


def test_too_few_bins_to_pad_are_refused() -> None:
    with pytest.raises(ValueError, match=r"num_bins \(6\)"):
        HLGauss((0.0, 1.0), 6)
