"""ACT: its loss is what it says, nothing looks ahead, and it acts with the mean of its plans."""

import math

import pytest
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.learning.acting import TemporalAggregation, aggregation_weights, every_step
from sernf_isaac.models.baselines.act import ActPolicy, divergence

ACTION, HORIZON, WIDTH, STATE, IMAGE, STYLE = 2, 4, 16, 3, 5, 6


@pytest.fixture
def policy() -> ActPolicy:
    sizes = {"num_heads": 2, "num_layers": 2, "feedforward": 24, "style_dim": STYLE}
    return ActPolicy(ACTION, HORIZON, WIDTH, state_tokens=STATE, **sizes).double().eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(3, STATE + IMAGE, WIDTH, dtype=torch.float64)


@pytest.fixture
def chunk() -> Tensor:
    return 2 * torch.rand(3, HORIZON, ACTION, dtype=torch.float64) - 1


def test_the_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(2, 5, STYLE, dtype=torch.float64)
    ours = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(ours, standard).sum(dim=1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    assert divergence(torch.zeros(1, STYLE), torch.zeros(1, STYLE)).item() == 0.0


def test_the_loss_is_the_absolute_error_and_ten_times_the_divergence(policy, tokens, chunk) -> None:
    context = policy.context(tokens)
    mean, log_variance = policy.posterior(chunk, context)
    error = (policy._decode(mean, context) - chunk).abs().mean(dim=(1, 2))
    expected = error + 10 * divergence(mean, log_variance)
    torch.testing.assert_close(-policy.log_prob(chunk, tokens), expected)
    as_candidates = policy.log_prob(chunk[:, None].expand(-1, 2, -1, -1), tokens)
    torch.testing.assert_close(-as_candidates, expected[:, None].expand(-1, 2))


def test_in_training_styles_are_drawn_from_their_posterior(policy, tokens, chunk) -> None:
    def loss(seed: int) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        return policy.log_prob(chunk, tokens, add_noise=True, generator=draw)

    assert torch.equal(loss(1), loss(1)) and not torch.equal(loss(1), loss(2))


def test_styles_come_from_numbers_alone_and_chunks_from_images_too(policy, tokens, chunk) -> None:
    other = tokens.clone()
    other[:, STATE:] += 1.0
    before, after = (policy.posterior(chunk, policy.context(t)) for t in (tokens, other))
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    latent = policy.draw_latents(tokens, 1)
    assert not torch.allclose(policy.decode(latent, tokens)[0], policy.decode(latent, other)[0])


def test_no_action_depends_on_a_later_one(policy, tokens) -> None:
    latent = policy.draw_latents(tokens, 1)
    before, _ = policy.decode(latent, tokens)
    with torch.no_grad():
        policy.queries[2:] += 1.0
    after, _ = policy.decode(latent, tokens)
    torch.testing.assert_close(before[:, :, :2], after[:, :, :2])
    assert not torch.allclose(before[:, :, 2:], after[:, :, 2:])


def test_the_summary_sees_every_action(policy, tokens, chunk) -> None:
    for step in range(HORIZON):
        moved = chunk.clone()
        moved[:, step] += 0.5
        context = policy.context(tokens)
        first, second = (policy.posterior(c, context)[0] for c in (chunk, moved))
        assert not torch.allclose(first, second)


def test_it_acts_with_one_style_however_many_are_asked_for(policy, tokens) -> None:
    latent = policy.draw_latents(tokens, 64, 0.7)
    chunks, values = policy.decode(latent, tokens)
    assert latent.shape == (3, 1, STYLE) and not latent.any()
    assert chunks.shape == (3, 1, HORIZON, ACTION) and values.shape == (3, 1)


def test_many_styles_of_an_observation_are_decoded_one_by_one(policy, tokens) -> None:
    styles = torch.randn(3, 4, STYLE, dtype=torch.float64)
    together, _ = policy.decode(styles, tokens)
    for index in range(4):
        alone, _ = policy.decode(styles[:, index : index + 1], tokens)
        torch.testing.assert_close(together[:, index], alone[:, 0])


def test_every_parameter_receives_a_gradient(policy, tokens, chunk) -> None:
    policy.log_prob(chunk, tokens, add_noise=True).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in policy.parameters())


def test_stages_that_need_a_likelihood_are_refused(policy, tokens) -> None:
    with pytest.raises(ValueError, match=r"ACT has no likelihood.*offline_steps=0"):
        policy.from_latent(policy.draw_latents(tokens, 1), tokens)


def test_the_papers_size_is_the_sum_of_its_layers() -> None:
    width, inner, style, horizon, action = 512, 2048, 32, 20, 24
    attention = 4 * width**2 + 4 * width
    mlp, norm = 2 * width * inner + inner + width, 2 * width
    encoder, decoder = attention + mlp + 2 * norm, 2 * attention + mlp + 3 * norm
    ends = (action + 1) * width + (width + 1) * 2 * style + (style + 1) * width
    expected = 3 * (encoder + decoder) + ends + (width + 1) * action + (1 + horizon) * width
    with torch.device("meta"):
        policy = ActPolicy(action, horizon, state_tokens=1)
    assert sum(p.numel() for p in policy.parameters()) == expected == 22_154_840


def test_weights_of_plans_fall_with_the_rate_from_the_oldest_on() -> None:
    e = [math.exp(-0.01 * i) for i in range(3)]  # 1, 0.990050, 0.980199
    torch.testing.assert_close(
        aggregation_weights(3), torch.tensor([value / sum(e) for value in e]).double()
    )
    by_hand = torch.tensor([0.336672, 0.333322, 0.330006]).double()
    torch.testing.assert_close(aggregation_weights(3), by_hand, atol=1e-6, rtol=0)


def test_actions_are_weighted_means_of_all_plans_for_their_step() -> None:
    plans = [torch.tensor([[10.0 * made + step] for step in range(3)])[None] for made in range(5)]
    made = iter(plans)  # the plan of time m says 10 m + s for step m + s
    aggregate = TemporalAggregation(lambda _, __: next(made), rate=1.0)
    queue = torch.zeros(1, 0, 1)
    executed = [aggregate({}, queue).item() for _ in plans]
    w = [1.0, math.exp(-1), math.exp(-2)]
    assert executed[0] == pytest.approx(0.0)
    assert executed[1] == pytest.approx((w[0] * 1 + w[1] * 10) / sum(w[:2]))
    assert executed[2] == pytest.approx((w[0] * 2 + w[1] * 11 + w[2] * 20) / sum(w))
    assert executed[4] == pytest.approx((w[0] * 22 + w[1] * 31 + w[2] * 40) / sum(w))


def test_plans_that_agree_are_executed_as_they_are() -> None:
    path = torch.linspace(-1, 1, 12)
    now = iter(range(8))

    def decide(_: dict, __: Tensor) -> Tensor:
        start = next(now)
        return path[start : start + 4, None].expand(2, 4, 1)

    aggregate = TemporalAggregation(decide)
    executed = torch.cat([aggregate({}, torch.zeros(2, 0, 1))[0] for _ in range(8)])
    torch.testing.assert_close(executed[:, 0], path[:8])


def test_aggregation_decides_at_every_step() -> None:
    spec = ChunkSpec(history=1, prefix=0, horizon=20, history_keys=())
    assert every_step(spec).horizon == 1
    with pytest.raises(ValueError, match="at most one action can be queued, not prefix = 3"):
        every_step(ChunkSpec(history=1, prefix=3, horizon=20, history_keys=()))
