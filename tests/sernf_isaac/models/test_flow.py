"""The flow is an exact density: inverse, Jacobian, normalisation, sampling, refusals."""

import copy
import io
import itertools
import math

import pytest
import torch
from torch import Tensor

from sernf_isaac.models.attention import SelfAttention, rotary_table
from sernf_isaac.models.coupling import Coupling, draw_partitions
from sernf_isaac.models.flow import FlowPolicy

A, H, B, K, S, D = 2, 4, 3, 5, 4, 8
LAYERS = [
    {"base": base, "scale_limit": limit, "mixing": mixing}
    for base, limit, mixing in itertools.product(("standard", "affine"), (1.0, 4.0), (False, True))
]
"""Every combination of what may stand beside the couplings; the first is the paper's."""


def make_flow(action_dim: int = A, horizon: int = H, **options: object) -> FlowPolicy:
    settings = {"token_dim": D, "width": 16, "num_couplings": 4, "num_heads": 2, "zero_init": False}
    flow = FlowPolicy(action_dim, horizon, **settings | options)
    for parameter in flow.mixing.parameters():  # it starts as the identity in any case
        torch.nn.init.normal_(parameter, std=0.1)
    return flow


def layers_of(options: dict) -> str:
    return "-".join(str(value) for value in options.values())


@pytest.fixture(params=LAYERS, ids=layers_of)
def flow(request: pytest.FixtureRequest) -> FlowPolicy:
    """Small, random, without dropout, float64."""
    return make_flow(**request.param).double().eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(B, S, D, dtype=torch.float64)


@pytest.fixture
def chunk() -> Tensor:
    return torch.rand(B, H, A, dtype=torch.float64) * 1.9 - 0.95


@pytest.mark.parametrize(
    ("action_dim", "horizon", "expected"), [(17, 6, 52_891_168), (24, 10, 53_034_752)]
)
def test_the_actor_has_the_papers_number_of_parameters(action_dim, horizon, expected) -> None:
    with torch.device("meta"):
        flow = FlowPolicy(action_dim, horizon)
    assert sum(p.numel() for p in flow.parameters()) == expected
    per_coupling = sum(p.numel() for p in flow.couplings[0].parameters())
    assert per_coupling == 3_283_904 + 1_282 * action_dim  # paper App. G


def test_inverse_undoes_forward(flow: FlowPolicy, chunk: Tensor, tokens: Tensor) -> None:
    latent, log_det = flow.to_latent(chunk, tokens)
    back, inverse_log_det = flow.from_latent(latent, tokens)
    torch.testing.assert_close(back, chunk, rtol=0, atol=1e-12)
    torch.testing.assert_close(inverse_log_det, -log_det)


def test_log_det_matches_the_autograd_jacobian(flow: FlowPolicy, chunk, tokens) -> None:
    one, of_one = chunk[:1], tokens[:1]
    jacobian = torch.autograd.functional.jacobian(lambda x: flow.to_latent(x, of_one)[0], one)
    expected = torch.linalg.slogdet(jacobian.reshape(H * A, H * A)).logabsdet
    torch.testing.assert_close(flow.to_latent(one, of_one)[1][0], expected)


@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
@pytest.mark.parametrize("bound_margin", [0.0, 0.2])
def test_a_samples_log_probability_is_that_of_the_sample(tokens, bound_margin, layers) -> None:
    flow = make_flow(bound_margin=bound_margin, clamp=1e-9, **layers).double().eval()
    chunks, log_prob = flow.sample(tokens, 20, sigma=0.7)
    inside = (chunks.abs() < 1 - 1e-6).all(dim=-1).all(dim=-1)  # the others were clipped
    assert inside.sum() >= 3
    torch.testing.assert_close(log_prob[inside], flow.log_prob(chunks, tokens)[inside])
    assert chunks.shape == (B, 20, H, A)


@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
def test_the_density_integrates_to_one(layers: dict) -> None:
    options = {"action_dim": 1, "horizon": 2, "bound_margin": 0.1, "clamp": 1e-12}
    flow = make_flow(**options, **layers).double().eval()
    squashed = torch.linspace(-10, 10, 101, dtype=torch.float64)  # even steps where tails are long
    nodes, weights = squashed.tanh() / 0.9, 0.2 / squashed.cosh().square() / 0.9
    chunks = torch.cartesian_prod(nodes, nodes)[None, :, :, None]  # (1, K, 2, 1)
    density = flow.log_prob(chunks, torch.randn(1, S, D).double()).exp().view(101, 101)
    assert (weights @ density @ weights).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
def test_candidates_share_an_observation_without_changing_a_result(
    dtype, tolerance, layers
) -> None:
    flow, tokens = make_flow(**layers).to(dtype).eval(), torch.randn(B, S, D, dtype=dtype)
    latent = flow.draw_latents(tokens, K)
    context = flow.context(tokens)
    chunks, log_prob = flow.decode(latent, context)
    for k in range(K):  # plain: observation work repeated for each candidate
        alone, alone_log_prob = flow.decode(latent[:, k], tokens)
        torch.testing.assert_close(chunks[:, k], alone, rtol=0, atol=tolerance)
        torch.testing.assert_close(log_prob[:, k], alone_log_prob, rtol=tolerance, atol=tolerance)
    densities = torch.stack([flow.log_prob(chunks[:, k], tokens) for k in range(K)], dim=1)
    torch.testing.assert_close(flow.log_prob(chunks, context), densities, rtol=tolerance, atol=1e-4)


@pytest.mark.parametrize("direction", ["likelihood", "sampling"])
def test_every_parameter_and_the_tokens_get_a_gradient(flow, chunk, tokens, direction) -> None:
    tokens.requires_grad_()
    if direction == "likelihood":
        flow.log_prob(chunk, tokens).sum().backward()
    else:
        chunks, _ = flow.sample(tokens, 2)
        (chunks * torch.randn_like(chunks)).sum().backward()
    without = [n for n, p in flow.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert tokens.grad is not None and tokens.grad.any()


@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
def test_zero_initialisation_starts_at_the_squash(chunk: Tensor, tokens: Tensor, layers) -> None:
    sizes = {"token_dim": D, "width": 16, "num_couplings": 4, "num_heads": 2}
    flow = FlowPolicy(A, H, bound_margin=0, **sizes, **layers).double()
    torch.testing.assert_close(flow.to_latent(chunk, tokens)[0], chunk.atanh())


@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
def test_a_zero_initialised_flow_trains_all_its_parameters(chunk, tokens, layers) -> None:
    flow = make_flow(zero_init=True, **layers).double()
    optimizer = torch.optim.SGD(flow.parameters(), lr=1e-2)
    for _ in range(3):  # the heads open first, then the gates
        optimizer.zero_grad()
        (-flow.log_prob(chunk, tokens).mean()).backward()
        optimizer.step()
    assert [n for n, p in flow.named_parameters() if not p.grad.any()] == []


def test_causal_attention_hides_later_kept_steps(flow: FlowPolicy, chunk, tokens) -> None:
    coupling = flow.couplings[0]
    context = coupling.net.condition(tokens)
    kept = chunk[:, None, coupling.kept]
    rotation = flow.rotation[:, coupling.kept]
    changed = kept.clone()
    changed[..., -1, :] += 1
    before, after = (coupling.net(x, context, rotation)[0] for x in (kept, changed))
    assert torch.equal(before[..., :-1, :], after[..., :-1, :])
    assert not torch.equal(before[..., -1, :], after[..., -1, :])


def test_self_attention_knows_distances_in_time_only() -> None:
    attention, x = SelfAttention(16, 2).double(), torch.randn(B, K, 3, 16).double()
    table = rotary_table(8, 8).double()
    early, late, apart = (
        attention(x, table[:, times]) for times in ([0, 1, 2], [5, 6, 7], [0, 1, 6])
    )
    torch.testing.assert_close(early, late, rtol=0, atol=1e-6)
    assert not torch.allclose(early, apart)


def test_a_coupling_knows_the_time_of_its_kept_steps(flow: FlowPolicy, tokens: Tensor) -> None:
    net = flow.couplings[0].net
    chunk = torch.randn(B, 1, 1, A).double().expand(B, 1, H, A).clone()
    chunk[:, :, 0] += 1  # else equal kept steps would hide where they are
    near, far = (
        Coupling(torch.tensor(kept), torch.tensor(moved), net)(
            chunk, net.condition(tokens), flow.rotation
        )[0]
        for kept, moved in (([0, 1], [2, 3]), ([0, 2], [1, 3]))
    )
    torch.testing.assert_close(near[:, :, 2], far[:, :, 1])  # moved by step 0, which sees itself
    assert not torch.allclose(near[:, :, 3], far[:, :, 3])


def test_the_observation_is_read_by_token_not_only_by_its_mean(flow, chunk, tokens) -> None:
    opposite = torch.randn_like(tokens[:, :1])
    same_mean = tokens + torch.cat([opposite, -opposite, 0 * opposite, 0 * opposite], dim=1)
    log_prob = flow.log_prob(chunk, tokens)
    assert not torch.allclose(flow.log_prob(chunk, same_mean), log_prob)
    torch.testing.assert_close(flow.log_prob(chunk, tokens.flip(1)), log_prob)


def test_saving_keeps_log_probabilities_bit_for_bit(chunk: Tensor, tokens: Tensor) -> None:
    flow, other = make_flow(seed=3).eval(), make_flow(seed=4).eval()
    chunk, tokens = chunk.float(), tokens.float()
    file = io.BytesIO()
    torch.save(flow.state_dict(), file)
    file.seek(0)
    assert not torch.equal(flow.log_prob(chunk, tokens), other.log_prob(chunk, tokens))
    other.load_state_dict(torch.load(file, weights_only=True))  # partitions are part of it
    assert torch.equal(flow.log_prob(chunk, tokens), other.log_prob(chunk, tokens))


def test_data_at_the_bounds_keep_density_and_gradient_finite(flow, tokens) -> None:
    chunk = torch.ones(B, H, A, dtype=torch.float64, requires_grad=True)
    log_prob = flow.log_prob(chunk, tokens, add_noise=True)
    log_prob.sum().backward()
    assert log_prob.isfinite().all() and chunk.grad is not None and chunk.grad.isfinite().all()
    assert make_flow(bound_margin=0).eval().log_prob(chunk.float(), tokens.float()).isfinite().all()


@pytest.mark.parametrize("layers", LAYERS, ids=layers_of)
def test_far_latents_decode_to_finite_numbers(tokens: Tensor, layers: dict) -> None:
    flow = make_flow(**layers).eval()
    chunks, log_prob = flow.decode(torch.full((B, K, H, A), 40.0), tokens.float())
    assert chunks.abs().max() <= 1 and log_prob.isfinite().all()


def with_last_layers(flow: FlowPolicy, log_scale: float) -> FlowPolicy:
    """Every coupling asks for this log-scale, far beyond its limit, whatever it sees."""
    for coupling in flow.couplings:
        torch.nn.init.zeros_(coupling.net.log_scale.weight)
        torch.nn.init.constant_(coupling.net.log_scale.bias, log_scale)
    return flow


@pytest.mark.parametrize("limit", [1.0, 4.0])
def test_the_limit_bounds_what_a_coupling_scales(tokens: Tensor, limit: float) -> None:
    flow = with_last_layers(make_flow(scale_limit=limit, num_couplings=2, bound_margin=0), 50.0)
    latent, tokens = torch.zeros(B, H, A), tokens.float()
    log_det = flow.eval().decode(latent, tokens)[1] + 0.5 * math.log(2 * math.pi) * H * A
    squash = flow.from_latent(latent, tokens)[0].square().neg().log1p().sum(dim=(-2, -1))
    torch.testing.assert_close(log_det, limit * H * A - squash, rtol=0, atol=1e-3)


def test_in_single_precision_strong_scales_keep_the_round_trip(tokens: Tensor) -> None:
    flow = with_last_layers(make_flow(base="affine", scale_limit=4.0, mixing=True), 1.5).eval()
    latent, tokens = torch.randn(B, K, H, A), tokens.float()
    chunk, log_det = flow.from_latent(latent, tokens)
    back, of_inverse = flow.to_latent(chunk.clamp(-0.99, 0.99), tokens)
    kept = (chunk.abs() < 0.99).all(dim=-1).all(dim=-1)
    assert kept.sum() >= 3
    torch.testing.assert_close(back[kept], latent[kept], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(of_inverse[kept], -log_det[kept], rtol=1e-3, atol=1e-3)


def test_with_an_affine_base_the_flow_can_be_any_gaussian_of_the_squashed_chunk(
    chunk: Tensor, tokens: Tensor
) -> None:
    sizes = {"token_dim": D, "width": 16, "num_couplings": 4, "num_heads": 2}
    flow = FlowPolicy(A, H, base="affine", bound_margin=0, **sizes).double().eval()
    for parameter in flow.base.moments.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    mean, log_width = (part[:, 0] for part in flow.base.condition(tokens))
    assert (mean[0] - mean[1]).abs().max() > 1e-3, "it must depend on what is seen"
    squashed = torch.distributions.Normal(mean, log_width.exp()).log_prob(chunk.atanh())
    expected = (squashed - (1 - chunk.square()).log()).sum(dim=(-2, -1))
    torch.testing.assert_close(flow.log_prob(chunk, tokens), expected)


def test_noise_comes_from_the_generator(flow: FlowPolicy, chunk: Tensor, tokens: Tensor) -> None:
    first, again, other = (
        flow.log_prob(chunk, tokens, add_noise=True, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first, flow.log_prob(chunk, tokens))


def test_noise_has_the_given_deviation_in_units_of_the_actions(flow, chunk, tokens) -> None:
    noisy = flow.log_prob(
        chunk / 2, tokens, add_noise=True, generator=torch.Generator().manual_seed(1)
    )
    noise = torch.empty_like(chunk).normal_(generator=torch.Generator().manual_seed(1))
    expected = flow.log_prob(chunk / 2 + 0.05 * noise, tokens)
    torch.testing.assert_close(noisy, expected)


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_under_autocast_couplings_stay_in_float32(chunk: Tensor, tokens: Tensor) -> None:
    flow = make_flow().eval()
    chunk, tokens = chunk.float(), tokens.float()
    exact = flow.log_prob(chunk, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        latent, _ = flow.to_latent(chunk, tokens)
        rough = flow.log_prob(chunk, tokens)
        back, _ = flow.from_latent(latent, tokens)
    assert latent.dtype == rough.dtype == torch.float32
    torch.testing.assert_close(back, chunk, rtol=0, atol=1e-4)  # the same rough nets both ways
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.5)


def test_a_copy_is_independent(flow: FlowPolicy, chunk: Tensor, tokens: Tensor) -> None:
    target = copy.deepcopy(flow)
    before = target.log_prob(chunk, tokens)
    with torch.no_grad():
        next(flow.parameters()).add_(1)
    assert torch.equal(target.log_prob(chunk, tokens), before)


@pytest.mark.parametrize("horizon", [2, 4, 6, 10, 14])
@pytest.mark.parametrize("couplings", [2, 3, 4, 6, 7, 8, 16])
@pytest.mark.parametrize("seed", range(3))
def test_every_step_is_moved_and_kept_often(horizon: int, couplings: int, seed: int) -> None:
    halves = draw_partitions(horizon, couplings, seed)
    for kept, moved in halves:
        assert sorted([*kept.tolist(), *moved.tolist()]) == list(range(horizon))
        assert kept.tolist() == sorted(kept.tolist()) and len(kept) == len(moved)
    for half in zip(*halves, strict=True):
        times = torch.cat(half).bincount(minlength=horizon)
        assert len(times) == horizon and times.min() >= couplings // 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 5}, r"horizon \(5\) must be even"),
        ({"num_couplings": 1}, r"num_couplings \(1\) is too small"),
        ({"width": 18}, r"width \(18\) must be a multiple of 2 x num_heads"),
        ({"noise_std": 0.3}, r"bound_margin \(1.2\)"),
        ({"clamp": 0.0}, r"clamp \(0.0\)"),
        ({"base": "afine"}, r"base \('afine'\) must be one of"),
        ({"scale_limit": 0.0}, r"scale_limit \(0.0\) must be positive"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_flow(**options)


def test_shapes_that_do_not_fit_are_refused(flow, chunk, tokens) -> None:
    with pytest.raises(ValueError, match=r"not of shape \(3, 2, 2\)"):
        flow.log_prob(chunk[:, :2], tokens)
    with pytest.raises(ValueError, match="B = 2 as the tokens"):
        flow.log_prob(chunk, tokens[:2])
    with pytest.raises(ValueError, match=r"tokens must be \(B, S, D\)"):
        flow.sample(tokens[0], 2)
