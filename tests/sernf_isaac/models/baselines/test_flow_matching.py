"""Flow matching: it keeps both modes, its queued actions stay clean, and only the chunk counts."""

import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.models.baselines.dit import VelocityNet
from sernf_isaac.models.baselines.flow_matching import (
    LATEST_TIME,
    Conditions,
    FlowMatchingPolicy,
    PrefixApart,
    training_times,
)
from sernf_isaac.models.baselines.gaussian import GaussianPolicy

ACTION, HORIZON, PREFIX, WIDTH = 2, 4, 3, 16
SIZES = {"num_heads": 2, "num_layers": 2, "feedforward": 32, "dropout": 0.0}


def stir(module: nn.Module) -> None:
    """Away from the start, where blocks are closed."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))


@pytest.fixture
def policy() -> FlowMatchingPolicy:
    policy = FlowMatchingPolicy(ACTION, HORIZON, PREFIX, WIDTH, **SIZES).double().eval()
    stir(policy)
    return policy


@pytest.fixture
def seen() -> Conditions:
    tokens = torch.randn(3, 5, WIDTH, dtype=torch.float64)
    return Conditions(tokens, 2 * torch.rand(3, PREFIX, ACTION, dtype=torch.float64) - 1)


def fit(policy: nn.Module, chunks: Tensor, seen: object, steps: int) -> None:
    """Imitate, each chunk four times per step."""
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    copies = chunks[:, None].expand(-1, 4, -1, -1)
    for _ in range(steps):
        loss = -policy.log_prob(copies, seen, add_noise=True).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


LEVEL, AWAY = 0.3, 0.5
"""Queued actions are at a level of at most so much; chunks go on so far above or below it."""


def either_way(count: int) -> tuple[Conditions, Tensor]:
    """Queued actions, and chunks that leave them one way or the other."""
    level = LEVEL * (2 * torch.rand(count, 1, 1) - 1)
    side = AWAY * torch.tensor([-1.0, 1.0])[torch.arange(count) % 2][:, None, None]
    seen = Conditions(torch.ones(count, 1, WIDTH), level.expand(-1, 2, 1))
    return seen, (level + side).expand(-1, 2, 1).contiguous()


def off_the_modes(chunks: Tensor, seen: Conditions) -> Tensor:
    """(B,) largest distance over the steps of a chunk (B, 1, 2, 1) from the nearer mode."""
    away = chunks[:, 0, :, 0] - seen.prefix[:, :1, 0]
    return torch.stack([(away - side).abs().amax(dim=1) for side in (-AWAY, AWAY)]).amin(dim=0)


@pytest.fixture(scope="module")
def trained() -> FlowMatchingPolicy:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = FlowMatchingPolicy(1, 2, 2, WIDTH, **SIZES)
    seen, chunks = either_way(64)
    fit(policy, chunks, seen, 350)
    torch.set_num_threads(threads)
    return policy.eval()


@torch.no_grad()
def test_it_keeps_two_modes_where_a_gaussian_keeps_their_mean(trained) -> None:
    seen, chunks = either_way(400)
    tokens = torch.cat([seen.tokens, seen.prefix[:, :1].expand(-1, 1, WIDTH)], dim=1)
    gaussian = GaussianPolicy(1, 2, WIDTH, 32, dropout=0.0)
    with torch.enable_grad():
        fit(gaussian, chunks, tokens, 100)
    drawn, _ = trained.decode(trained.draw_latents(seen, 1), seen)
    plain, _ = gaussian.decode(gaussian.draw_latents(tokens, 1, 1.0), tokens)
    above = (drawn[:, 0, 0] > seen.prefix[:, 0]).float().mean().item()
    share, share_plain = ((off_the_modes(c, seen) < 0.2).float().mean() for c in (drawn, plain))
    assert share > 0.65 and 0.3 < above < 0.7
    assert share_plain < 0.3


@torch.no_grad()
def test_chunks_go_on_from_what_is_queued(trained) -> None:
    seen, _ = either_way(400)
    other = Conditions(seen.tokens, seen.prefix.roll(1, 0))
    noise = trained.draw_latents(seen, 1)
    here, there = (trained.decode(noise, conditions)[0] for conditions in (seen, other))
    assert off_the_modes(there, seen).mean() > 1.3 * off_the_modes(here, seen).mean()
    assert off_the_modes(there, other).mean() < 1.1 * off_the_modes(here, seen).mean()


def test_queued_actions_enter_clean_and_only_the_chunk_counts(policy, seen, monkeypatch) -> None:
    met = {}

    def net(actions: Tensor, time: Tensor, _: object) -> Tensor:
        met["actions"], met["time"] = actions, time
        target = torch.full_like(actions, 1e6)  # whatever is said of queued actions
        target[:, :, PREFIX:] = chunk[:, None] - noise
        return target

    chunk = torch.rand(3, HORIZON, ACTION, dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    time = training_times((3, 1), chunk, draw)
    noise = torch.empty(3, 1, HORIZON, ACTION, dtype=torch.float64).normal_(generator=draw)
    context = policy.context(seen)
    monkeypatch.setattr(policy.net, "forward", net)
    loss = policy.log_prob(chunk, context, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loss, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(met["actions"][:, 0, :PREFIX], seen.prefix)
    assert torch.equal(met["time"][:, 0, :PREFIX], torch.ones(3, PREFIX, dtype=torch.float64))
    torch.testing.assert_close(met["time"][:, :, PREFIX:], time[..., None].expand(-1, -1, HORIZON))
    part = time[..., None, None]
    between = part * chunk[:, None] + (1 - part) * noise
    torch.testing.assert_close(met["actions"][:, :, PREFIX:], between)


def test_following_a_constant_velocity_adds_it_once(policy, seen, monkeypatch) -> None:
    context = policy.context(seen)
    times = []

    def net(actions: Tensor, time: Tensor, _: object) -> Tensor:
        times.append(time[0, 0, -1].item())
        return torch.full_like(actions, 0.25)

    monkeypatch.setattr(policy.net, "forward", net)
    latent = 0.1 * policy.draw_latents(seen, 2)
    chunks, _ = policy.decode(latent, context)
    torch.testing.assert_close(chunks, (latent + 0.25).clamp(-1, 1))
    assert times == [step / 8 for step in range(8)]


def test_no_velocity_depends_on_a_later_action(policy, seen) -> None:
    context = policy.context(seen)
    actions = torch.randn(3, 2, PREFIX + HORIZON, ACTION, dtype=torch.float64)
    time = torch.rand(3, 2, PREFIX + HORIZON, dtype=torch.float64)
    before = policy.net(actions, time, context.net)
    later = actions.clone()
    later[:, :, 4:] += 1.0
    after = policy.net(later, time, context.net)
    torch.testing.assert_close(before[:, :, :4], after[:, :, :4])
    assert not torch.allclose(before[:, :, 4:], after[:, :, 4:])


def test_candidates_do_not_see_each_other(policy, seen) -> None:
    noise = policy.draw_latents(seen, 4)
    together, _ = policy.decode(noise, seen)
    for index in range(4):
        alone, _ = policy.decode(noise[:, index : index + 1], seen)
        torch.testing.assert_close(together[:, index], alone[:, 0])


def test_every_parameter_receives_a_gradient(policy, seen) -> None:
    chunk = torch.rand(3, HORIZON, ACTION, dtype=torch.float64)
    policy.log_prob(chunk, seen).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in policy.parameters())


def test_blocks_start_closed() -> None:
    net = VelocityNet(ACTION, HORIZON, WIDTH, num_heads=2, num_layers=2, feedforward=32)
    context = net.condition(torch.randn(1, 2, WIDTH))
    assert not net(torch.randn(1, 1, HORIZON, ACTION), torch.rand(1, 1, HORIZON), context).any()


def test_times_are_mostly_noisy() -> None:
    times = training_times((20_000,), torch.zeros(0), torch.Generator().manual_seed(0))
    assert times.min() >= 0 and times.max() <= LATEST_TIME
    assert times.mean().item() == pytest.approx(LATEST_TIME * (1 - 0.6), abs=0.01)  # Beta(1.5, 1)


def test_the_encoder_leaves_queued_actions_alone() -> None:
    class Encoder(nn.Module):
        def forward(self, observation: dict[str, Tensor]) -> Tensor:
            return observation["state"]

    state, prefix = torch.rand(2, 1, WIDTH), torch.rand(2, PREFIX, ACTION)
    seen = PrefixApart(Encoder())({"state": state, "prefix": prefix})
    assert torch.equal(seen.tokens, state) and torch.equal(seen.prefix, prefix)


def test_what_cannot_be_is_refused(policy, seen) -> None:
    with pytest.raises(ValueError, match=r"prefix must be \(B, 3, 2\), not of shape \(3, 1, 2\)"):
        policy.context(Conditions(seen.tokens, seen.prefix[:, :1]))
    with pytest.raises(ValueError, match=r"flow matching has no likelihood.*offline_steps=0"):
        policy.from_latent(policy.draw_latents(seen, 1), seen)
    with pytest.raises(ValueError, match=r"steps \(0\) must be at least 1"):
        FlowMatchingPolicy(ACTION, HORIZON, PREFIX, WIDTH, steps=0)
    with pytest.raises(ValueError, match=r"width \(18\) must be a multiple"):
        FlowMatchingPolicy(ACTION, HORIZON, PREFIX, 18)


def test_the_papers_size_is_the_sum_of_its_layers() -> None:
    width, inner, action = 512, 2048, 24
    attention = 4 * width**2 + 2 * (width // 8)  # without biases, queries and keys normalised
    mlp, modulation = 2 * width * inner + inner + width, (width + 1) * 6 * width
    block = 2 * attention + 2 * width + mlp + modulation
    ends = (action + 1) * width + 3 * (width + 1) * width + (width + 1) * (2 * width + action)
    with torch.device("meta"):
        policy = FlowMatchingPolicy(action, 10, 3)
    assert sum(p.numel() for p in policy.parameters()) == 4 * block + ends == 24_434_712
