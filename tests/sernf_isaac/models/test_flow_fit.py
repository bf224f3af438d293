"""A conditional distribution with two modes: a chunk goes left or right, how far the context tells.

The flow comes close to its entropy; a Gaussian cannot.
"""

import math

import pytest
import torch
from torch import Tensor

from sernf_isaac.models.flow import FlowPolicy

SPREAD = 0.08


def two_doors(size: int) -> tuple[Tensor, Tensor]:
    """Chunks (size, 2, 1) and their context (size, 1, 1)."""
    context = torch.rand(size, 1, 1)
    side = torch.randint(2, (size, 1, 1)) * 2 - 1
    centre = side * (0.3 + 0.3 * context)
    return centre + SPREAD * torch.randn(size, 2, 1), context


def two_doors_log_prob(chunk: Tensor, context: Tensor) -> Tensor:
    centres = (0.3 + 0.3 * context) * torch.tensor([-1.0, 1.0])  # (B, 1, 2)
    per_step = torch.distributions.Normal(centres, SPREAD).log_prob(chunk)
    return per_step.sum(dim=1).logsumexp(dim=-1) - math.log(2)


def gaussian_entropy(samples: int = 4000) -> float:
    """Cross-entropy in nats of the best Gaussian whose moments follow the context exactly."""
    context = torch.rand(samples)
    variance = (0.3 + 0.3 * context) ** 2
    covariance = variance[:, None, None] * torch.ones(2, 2) + SPREAD**2 * torch.eye(2)
    return (1 + math.log(2 * math.pi) + 0.5 * torch.logdet(covariance)).mean().item()


@pytest.mark.slow
def test_a_flow_fits_two_modes_and_a_gaussian_does_not() -> None:
    flow = FlowPolicy(
        1, 2, token_dim=1, width=16, num_couplings=6, num_heads=2, dropout=0, noise_std=0
    )
    optimizer = torch.optim.AdamW(flow.parameters())
    steps = 300
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (-flow.log_prob(*two_doors(128)).mean()).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    chunk, context = two_doors(4000)
    entropy = -two_doors_log_prob(chunk, context).mean().item()
    with torch.no_grad():
        assert -flow.eval().log_prob(chunk, context).mean().item() < entropy + 0.1
    assert gaussian_entropy() > entropy + 0.5
