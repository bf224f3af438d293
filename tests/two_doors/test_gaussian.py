"""The Gaussian chunk policy: a density like any other, behind the flow's interface."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.models.architecture import Architecture
from sernf_isaac.models.baselines.gaussian import GaussianPolicy, width_for
from sernf_isaac.models.build import build_actor
from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.selection import best_by_likelihood, choose_by_value

ACTION, HORIZON, WIDTH, BATCH, COUNT = 2, 4, 16, 3, 5


@pytest.fixture
def policy() -> GaussianPolicy:
    return GaussianPolicy(ACTION, HORIZON, WIDTH, 24).double().eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(BATCH, 2, WIDTH, dtype=torch.float64)


def test_the_density_is_that_of_independent_normals(policy, tokens) -> None:
    context = policy.context(tokens)
    chunk = torch.rand(BATCH, HORIZON, ACTION, dtype=torch.float64)
    normal = torch.distributions.Normal(context.mean, context.log_std.exp())
    expected = normal.log_prob(chunk).sum(dim=(1, 2))
    torch.testing.assert_close(policy.log_prob(chunk, tokens), expected)
    torch.testing.assert_close(policy.log_prob(chunk[:, None], context)[:, 0], expected)


def test_samples_bring_their_own_density(policy, tokens) -> None:
    latent = policy.draw_latents(tokens, COUNT, sigma=0.1)
    chunks, log_prob = policy.decode(latent, tokens)
    assert chunks.shape == (BATCH, COUNT, HORIZON, ACTION) and chunks.abs().max() < 1
    torch.testing.assert_close(policy.log_prob(chunks, tokens), log_prob)


def test_the_most_likely_of_many_is_near_the_mean(policy, tokens) -> None:
    context = policy.context(tokens)
    latents = policy.draw_latents(tokens, 2000, 0.7, torch.Generator().manual_seed(0))
    best, _ = best_by_likelihood(policy, context, latents)
    one, _ = best_by_likelihood(policy, context, latents[:, :1])
    assert (best - context.mean).norm() < 0.6 * (one - context.mean).norm()


def test_chunks_may_pass_the_bounds_before_clipping(policy, tokens) -> None:
    latent = 100 * policy.draw_latents(tokens, 1, 1.0)
    chunk, log_det = policy.from_latent(latent, tokens)
    assert chunk.abs().max() > 1
    torch.testing.assert_close(policy.decode(latent, tokens)[0], chunk.clamp(-1, 1))
    torch.testing.assert_close(log_det[:, 0], policy.context(tokens).log_std.sum(dim=(1, 2)))


def test_every_parameter_receives_a_gradient(policy, tokens) -> None:
    chunk = torch.rand(BATCH, HORIZON, ACTION, dtype=torch.float64)
    policy.log_prob(chunk, tokens, add_noise=True).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in policy.parameters())


def test_it_takes_the_place_of_a_flow_of_the_same_size_in_selection() -> None:
    config = PolicyConfig(token_dim=WIDTH, width=WIDTH, num_couplings=4, num_heads=2)
    spec = ChunkSpec(history=1, prefix=0, horizon=HORIZON, history_keys=())
    layout = PolicyLayout({"state": 3}, ACTION, spec, config, CriticConfig(), 0)
    wanted = sum(p.numel() for p in build_actor(layout).flow.parameters())
    actor = build_actor(replace(layout, architecture=Architecture("gaussian")))
    assert sum(p.numel() for p in actor.flow.parameters()) == pytest.approx(wanted, rel=0.02)
    critic = ChunkCritic(ACTION, HORIZON, support=(0, 1), token_dim=WIDTH, num_heads=2)
    tokens = actor.eval().encoder({"state": torch.randn(BATCH, 3)})
    choice = choose_by_value(
        actor.flow, critic.eval(), actor.flow.context(tokens), tokens, candidates=COUNT, sigma=0.7
    )
    assert choice.chunk.shape == (BATCH, HORIZON, ACTION)
    assert torch.equal(choice.value, choice.candidate_values.amax(dim=1))


@pytest.mark.parametrize("parameters", [10, 10_000, 50_000_000])
def test_the_width_gives_the_number_of_parameters(parameters: int) -> None:
    width = width_for(parameters, 512, 204)
    found = sum(p.numel() for p in GaussianPolicy(17, 6, 512, width).parameters())
    assert width == 1 or found == pytest.approx(parameters, rel=0.05)


def test_the_order_of_a_history_is_seen() -> None:
    spec = ChunkSpec(history=4, prefix=0, horizon=2, history_keys=("history",))
    config = PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
    sizes = ({"history": 3}, 2, spec, config, CriticConfig(), 0, Architecture("gaussian"))
    actor = build_actor(PolicyLayout(*sizes)).eval()
    history = torch.rand(BATCH, 4, 3)
    queued = torch.zeros(BATCH, 0, 2)
    there, back = (
        actor.flow.context(actor.encoder(seen({"history": order}, queued)))
        for order in (history, history.flip(1))
    )
    assert (there.mean - back.mean).abs().max() > 1e-5  # rounding is 1e-8
