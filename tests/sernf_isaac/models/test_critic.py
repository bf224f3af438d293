"""The critics: sizes, independence, shortcuts that change nothing, losses that learn."""

import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.models.critic import ChunkCritic, EncoderLayer
from sernf_isaac.models.hl_gauss import HLGauss

A, H, B, K, S, D = 2, 4, 3, 5, 6, 16


def make_critic(**options: object) -> ChunkCritic:
    settings = {"support": (0.0, 1.0), "token_dim": D, "num_heads": 2, "feedforward": 8}
    return ChunkCritic(A, H, **settings | options)


@pytest.fixture
def critic() -> ChunkCritic:
    return make_critic().double().eval()


@pytest.fixture
def chunks() -> Tensor:
    return torch.rand(B, K, H, A, dtype=torch.float64) * 2 - 1


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(B, S, D, dtype=torch.float64)


@pytest.mark.parametrize(
    ("action_dim", "horizon", "expected"), [(17, 6, 4_011_365), (24, 10, 4_016_997)]
)
def test_a_critic_has_the_papers_number_of_parameters(action_dim, horizon, expected) -> None:
    with torch.device("meta"):
        critic = ChunkCritic(action_dim, horizon, support=(0.0, 1.0), ensemble=3)
    assert sum(p.numel() for p in critic.parameters()) == 3 * expected


def test_a_layer_is_torchs_encoder_layer_with_positions_on_queries_and_keys() -> None:
    layer = EncoderLayer(1, D, 2, 8, dropout=0.1).double().eval()
    torchs = nn.TransformerEncoderLayer(D, 2, 8, 0.1, "gelu", batch_first=True).double().eval()
    attention = torchs.self_attn
    projections = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) / 4)
        assert attention.in_proj_weight is not None
        attention.in_proj_weight.copy_(torch.cat([p.weight[0].T for p in projections]))
        attention.in_proj_bias.copy_(torch.cat([p.bias[0] for p in projections]))
        for mine, theirs in [
            (layer.out, attention.out_proj),
            (layer.expand, torchs.linear1),
            (layer.contract, torchs.linear2),
        ]:
            theirs.weight.copy_(mine.weight[0].T)
            theirs.bias.copy_(mine.bias[0])
        for mine, theirs in [
            (layer.attention_norm, torchs.norm1),
            (layer.mlp_norm, torchs.norm2),
        ]:
            theirs.weight.copy_(mine.weight[0])
            theirs.bias.copy_(mine.bias[0])
    x, positions = torch.randn(B, S, D).double(), torch.randn(S, D).double()
    placed = x + positions
    mixed = attention(placed, placed, x, need_weights=False)[0]
    x1 = torchs.norm1(x + mixed)
    expected = torchs.norm2(x1 + torchs.linear2(nn.functional.gelu(torchs.linear1(x1))))
    out = layer.mix(x[None], *layer.project(x[None], positions))
    torch.testing.assert_close(out[0], expected)
    first = layer.read(x[None], positions.expand(1, 1, S, D))
    torch.testing.assert_close(first[0], expected[:, 0])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_shared_and_pruned_work_changes_no_value(num_layers, dtype, tolerance) -> None:
    critic = make_critic(num_layers=num_layers).to(dtype).eval()
    chunks, tokens = torch.rand(B, K, H, A, dtype=dtype), torch.randn(B, S, D, dtype=dtype)
    fast = critic.value_of_candidates(chunks, tokens)
    critic.prune = False
    plain = torch.stack([critic.value(chunks[:, k], tokens) for k in range(K)], dim=-1)
    assert fast.shape == (2, B, K)
    torch.testing.assert_close(fast, plain, rtol=0, atol=tolerance)


def test_critics_of_an_ensemble_differ_and_are_independent(critic, chunks, tokens) -> None:
    before = critic.value(chunks[:, 0], tokens)
    assert not torch.allclose(before[0], before[1])
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter[0] += 0.1 * torch.randn_like(parameter[0])
    after = critic.value(chunks[:, 0], tokens)
    assert torch.equal(after[1], before[1]) and not torch.equal(after[0], before[0])


def test_values_depend_on_every_action_its_place_and_every_token(critic, chunks, tokens) -> None:
    chunk = chunks[:, 0].requires_grad_()
    tokens.requires_grad_()
    critic.value(chunk, tokens).sum().backward()
    assert chunk.grad is not None and chunk.grad.abs().gt(0).all()
    assert tokens.grad is not None and tokens.grad.abs().gt(0).all()
    flipped = critic.value(chunk.flip(1), tokens)
    assert not torch.allclose(flipped, critic.value(chunk, tokens))


@pytest.mark.parametrize("head", ["hl_gauss", "mse"])
@pytest.mark.parametrize("prune", [True, False])
def test_every_parameter_gets_a_gradient(head: str, prune: bool, chunks, tokens) -> None:
    critic = make_critic(head=head, prune=prune).double()
    loss, _ = critic.loss(chunks[:, 0], tokens, torch.rand(B).double())
    loss.backward()
    without = {n for n, p in critic.named_parameters() if p.grad is None or not p.grad.any()}
    # A bias of all keys cancels in the softmax; the pruned layer does not even compute it.
    assert without <= {f"layers.{i}.key.bias" for i in range(3)}


def test_the_loss_sums_the_cross_entropies_of_the_critics(critic, chunks, tokens) -> None:
    chunk, target = chunks[:, 0], torch.rand(B).double()
    labels, _ = HLGauss((0.0, 1.0)).double().project(target)
    entropies = -(labels * critic.logits(chunk, tokens).log_softmax(dim=-1)).sum(dim=-1)
    torch.testing.assert_close(critic.loss(chunk, tokens, target)[0], entropies.sum() / B)


def test_metrics_tell_values_and_clamped_targets(critic, chunks, tokens) -> None:
    target = torch.tensor([0.5, 3.0, -3.0]).double()
    loss, metrics = critic.loss(chunks[:, 0], tokens, target)
    assert metrics["critic/clamped_fraction"] == pytest.approx(2 / 3)
    assert metrics["critic/loss"] == loss and not any(m.requires_grad for m in metrics.values())
    value = critic.value(chunks[:, 0], tokens)
    torch.testing.assert_close(metrics["critic/value"], value.mean())
    torch.testing.assert_close(metrics["critic/td"], (value - target).abs().mean())


@pytest.mark.parametrize("head", ["hl_gauss", "mse"])
def test_a_critic_fits_returns_of_chunks(head: str) -> None:
    critic = make_critic(support=(-1.0, 1.0), head=head, num_layers=2, dropout=0)
    optimizer = torch.optim.AdamW(critic.parameters(), lr=3e-3)
    chunk, tokens = torch.rand(64, H, A) * 2 - 1, torch.randn(64, S, D)
    target = (chunk[:, 0, 0] - chunk[:, -1, 1]) / 2
    for _ in range(150):
        optimizer.zero_grad()
        loss, _ = critic.loss(chunk, tokens, target)
        loss.backward()
        optimizer.step()
    assert (critic.value(chunk, tokens) - target).abs().mean() < 0.06


def test_dropout_acts_only_in_training(critic, chunks, tokens) -> None:
    chunk = chunks[:, 0]
    assert torch.equal(critic.value(chunk, tokens), critic.value(chunk, tokens))
    critic.train()
    assert not torch.equal(critic.value(chunk, tokens), critic.value(chunk, tokens))


def test_under_autocast_losses_stay_in_float32(chunks: Tensor, tokens: Tensor) -> None:
    critic = make_critic().eval()
    chunk, tokens, target = chunks[:, 0].float(), tokens.float(), torch.rand(B)
    exact = critic.value(chunk, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = critic.value(chunk, tokens)
        loss, _ = critic.loss(chunk, tokens, target)
    assert rough.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "huber"}, "head must be"),
        ({"token_dim": 15}, r"token_dim \(15\)"),
        ({"support": (1.0, 0.0)}, "low end first"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_critic(**options)


def test_shapes_that_do_not_fit_are_refused(critic, chunks, tokens) -> None:
    with pytest.raises(ValueError, match=r"\(H, A\) = \(4, 2\)"):
        critic.value(chunks[:, 0, :3], tokens)
    with pytest.raises(ValueError, match="3 chunks do not belong to 2 observations"):
        critic.value_of_candidates(chunks, tokens[:2])
    with pytest.raises(ValueError, match="has no bins"):
        make_critic(head="mse").logits(chunks[:, 0], tokens)
