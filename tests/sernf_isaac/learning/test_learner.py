"""The learner: each update changes what it should, from the rows it should, and can resume."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sernf_isaac.config import ImprovementConfig, LearnerConfig, OptimizerConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning import losses
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE, ONLINE, STAGES, WARM_UP, Stage
from sernf_isaac.models.actor_critic import seen
from sernf_isaac.models.selection import choose_by_value, executed

MakeLearner = Callable[..., Learner]
MakeBatch = Callable[..., ChunkBatch]
PARTS = ("actor", "critics", "target")


def weights(learner: Learner) -> dict[str, dict[str, Tensor]]:
    """Copies of all parameters, by network."""
    return {
        part: {k: v.clone() for k, v in getattr(learner, part).named_parameters()} for part in PARTS
    }


def changed(before: dict[str, dict[str, Tensor]], learner: Learner) -> set[str]:
    after = weights(learner)
    return {
        part
        for part in PARTS
        if any(not torch.equal(before[part][k], after[part][k]) for k in before[part])
    }


# Losses -------------------------------------------------------------------------------------------


def test_only_chosen_rows_are_imitated() -> None:
    log_prob = torch.tensor([1.0, 5.0, -3.0], requires_grad=True)
    loss, metrics = losses.imitation_loss(log_prob, torch.tensor([True, False, True]))
    loss.backward()
    assert loss == 1.0 and metrics["actor/bc_rows"] == 2.0
    assert log_prob.grad is not None and log_prob.grad.tolist() == [-0.5, 0.0, -0.5]


def test_nothing_to_imitate_costs_nothing_and_teaches_nothing() -> None:
    log_prob = torch.tensor([1.0, float("-inf")], requires_grad=True)
    loss, _ = losses.imitation_loss(log_prob, torch.zeros(2, dtype=torch.bool))
    loss.backward()
    assert loss == 0.0 and log_prob.grad is not None and log_prob.grad.tolist() == [0.0, 0.0]


def test_the_target_is_rewards_plus_the_next_value_unless_terminated() -> None:
    target = losses.bootstrap_target(
        torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0]), torch.tensor([4.0, 7.0])
    )
    assert target.tolist() == [3.0, 2.0]


def test_the_policy_seeks_value_and_likelihood() -> None:
    value = torch.tensor([[1.0, 4.0], [3.0, 2.0]], requires_grad=True)
    imitation = torch.tensor(10.0, requires_grad=True)
    loss, _ = losses.improvement_loss(value, imitation, imitation_weight=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(-1.5 + 1.0)
    assert value.grad is not None and value.grad.tolist() == [[-0.5, 0.0], [0.0, -0.5]]
    assert imitation.grad == pytest.approx(0.1)


# Selection ----------------------------------------------------------------------------------------


def test_the_chosen_candidate_has_the_greatest_minimum_over_critics(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner, batch = make_learner(), make_batch()
    learner.actor.eval(), learner.critics.eval()
    context = learner.actor.flow.context(
        learner.actor.encoder(seen(batch.observation, batch.prefix))
    )
    tokens = learner.critics.encoder(seen(batch.observation, batch.prefix))
    flow, critic = learner.actor.flow, learner.critics.critic

    def draw(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    choice = choose_by_value(
        flow, critic, context, tokens, candidates=16, sigma=0.7, generator=draw(3)
    )
    chunks, _ = flow.sample(context, 16, 0.7, draw(3))
    one_by_one = torch.stack([critic.value(chunks[:, k], tokens) for k in range(16)], dim=-1)
    pessimistic = one_by_one.amin(dim=0)
    torch.testing.assert_close(choice.candidate_values, pessimistic)
    rows, best = torch.arange(len(batch)), pessimistic.argmax(dim=1)
    torch.testing.assert_close(choice.chunk, chunks[rows, best])
    torch.testing.assert_close(flow.decode(choice.latent, context)[0], choice.chunk)
    assert (best > 0).any(), "a choice that is always the first proves nothing"


# Updates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (IMITATION, {"actor"}),
        (WARM_UP, {"critics", "target"}),
        (OFFLINE, {"actor", "critics", "target"}),
        (ONLINE, {"actor", "critics", "target"}),
    ],
    ids=list(STAGES),
)
def test_a_stage_changes_its_networks_and_no_other(
    make_learner: MakeLearner, make_batch: MakeBatch, stage: object, expected: set[str]
) -> None:
    learner = make_learner()
    before = weights(learner)
    metrics = stage.update(learner, make_batch())
    assert changed(before, learner) == expected
    assert all(torch.isfinite(torch.as_tensor(value)) for value in metrics.values())


def test_the_policy_update_leaves_no_trace_in_the_critics(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner = make_learner()
    before = weights(learner)
    learner.update_policy(make_batch())
    assert changed(before, learner) == {"actor"}
    assert all(p.grad is None and p.requires_grad for p in learner.critics.parameters())


def test_only_offline_rows_are_imitated_online(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    results = []
    for chunk_seed in (0, 1):
        learner, batch = make_learner(), make_batch()
        batch.is_offline[4:] = False
        batch.chunk[4:] = make_batch(seed=chunk_seed).chunk[4:]
        learner.update_policy(batch)
        results.append(weights(learner)["actor"])
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


def test_negative_control_offline_rows_are_imitated(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    results = []
    for chunk_seed in (0, 1):
        learner, batch = make_learner(), make_batch()
        batch.chunk[4:] = make_batch(seed=chunk_seed).chunk[4:]
        learner.update_policy(batch)
        results.append(weights(learner)["actor"])
    assert any(not torch.equal(results[0][k], results[1][k]) for k in results[0])


def test_of_successes_rows_are_imitated_whoever_recorded_them(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    def actor_after(seed: int, part: slice) -> dict[str, Tensor]:
        learner = make_learner(
            LearnerConfig(improvement=ImprovementConfig(likelihood_rows="successes"))
        )
        batch = make_batch()
        batch.succeeded = torch.arange(8) % 2 == 0
        batch.is_offline = torch.arange(8) < 4
        batch.chunk[part] = make_batch(seed=seed).chunk[part]
        learner.update_policy(batch)
        return weights(learner)["actor"]

    def same(part: slice) -> bool:
        one, other = (actor_after(seed, part) for seed in (0, 1))
        return all(torch.equal(one[name], other[name]) for name in one)

    assert same(slice(1, None, 2)), "failures do not count"
    assert not same(slice(0, 4, 2)) and not same(slice(4, None, 2)), "successes do, also online"


def test_scaled_values_do_not_depend_on_the_rewards_unit() -> None:
    gradients = []
    for unit in (1.0, 100.0):
        value = (unit * torch.tensor([[1.0, 4.0], [3.0, 2.0]])).requires_grad_()
        imitation = torch.tensor(10.0)
        loss, _ = losses.improvement_loss(value, imitation, imitation_weight=0.1, scaled=True)
        loss.backward()
        gradients.append(unit * value.grad)  # per relative change of the value
        assert loss.item() == pytest.approx(-1.0 + 1.0)
    torch.testing.assert_close(*gradients)


def test_targets_may_take_the_least_of_some_critics_only(
    make_learner: MakeLearner, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = torch.tensor([1.0, 2.0])

    def judged(chunks: Tensor, tokens: Tensor) -> Tensor:
        return values[:, None, None].expand(2, *chunks.shape[:2])

    found = set()
    learner = make_learner(LearnerConfig(improvement=ImprovementConfig(target_critics=1)))
    monkeypatch.setattr(learner.target.critic, "value_of_candidates", judged)
    batch = make_batch()
    for _ in range(12):
        target = learner._bootstrap(batch)
        (value,) = {round(float(v), 4) for v in (target - batch.reward) / batch.discount}
        found.add(value)
    assert found == {1.0, 2.0}, "one critic counts for all rows of an update, then another"


def test_imitation_raises_the_likelihood(make_learner: MakeLearner, make_batch: MakeBatch) -> None:
    learner, batch = make_learner(), make_batch(64)
    batch.chunk = 0.3 * batch.observation["state"][:, None, :2].expand(-1, 4, -1)
    first = learner.update_imitation(batch)["actor/bc"]
    for _ in range(150):
        last = learner.update_imitation(batch)["actor/bc"]
    assert last < first - 2.0


def test_targets_follow_by_the_polyak_step(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner = make_learner(LearnerConfig(improvement=ImprovementConfig(polyak=0.25)))
    before = weights(learner)["target"]
    learner.update_critic(make_batch())
    after = weights(learner)
    for name, old in before.items():
        expected = old + 0.25 * (after["critics"][name] - old)
        torch.testing.assert_close(after["target"][name], expected)


def test_terminated_rows_do_not_look_ahead(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    results = []
    for seed in (0, 1):
        learner, batch = make_learner(), make_batch()
        batch.discount[:] = 0.0
        other = make_batch(seed=seed)
        batch.next_observation, batch.next_prefix = other.next_observation, other.next_prefix
        learner.update_critic(batch)
        results.append(weights(learner)["critics"])
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


def test_a_loss_that_is_not_finite_stops_before_anything_changes(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner, batch = make_learner(), make_batch()
    batch.reward[3] = float("nan")
    before = weights(learner)
    learner.update_critic(batch)
    with pytest.raises(FloatingPointError, match="critic: 1 steps"):
        learner.check()
    assert changed(before, learner) == set()


class Readings(TorchDispatchMode):
    """Counts how often a number of a tensor is read: on a GPU, each time is a wait."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_an_update_waits_for_no_gpu(
    make_learner: MakeLearner, make_batch: MakeBatch, stage: Stage
) -> None:
    learner = make_learner()
    stage.update(learner, make_batch())  # the optimisers make their state in the first
    with Readings() as readings:
        stage.update(learner, make_batch())
    assert readings.count == 0
    with Readings() as readings:
        learner.check()
    assert readings.count > 0  # the counter counts


def test_a_bad_step_is_as_if_it_had_not_been(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    one, other, bad = make_learner(), make_learner(), make_batch()
    bad.chunk[0, 0, 0] = float("nan")
    one.update_imitation(bad)
    for learner in (one, other):
        learner.generator.manual_seed(1)
        torch.manual_seed(1)
        learner.update_imitation(make_batch())
    for name, value in one.actor.state_dict().items():
        torch.testing.assert_close(value, other.actor.state_dict()[name], rtol=0, atol=0)


class Spy:
    """Notes in what state the networks are whenever the flow or the critics are asked."""

    def __init__(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict]] = []
        for owner, name in (
            (learner.actor.flow, "log_prob"),
            (learner.actor.flow, "draw_latents"),
            (learner.actor.flow, "from_latent"),
            (learner.critics.critic, "value_of_candidates"),
            (learner.target.critic, "value_of_candidates"),
            (learner.critics.critic, "loss"),
        ):
            self._watch(learner, owner, name, monkeypatch)

    def _watch(
        self, learner: Learner, owner: object, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = getattr(owner, name)
        who = "target." if owner is learner.target.critic else ""

        def noted(*args: object, **kwargs: object) -> object:
            rates = {p.p for p in learner.actor.flow.modules() if isinstance(p, torch.nn.Dropout)}
            state = {
                "actor": learner.actor.training,
                "critics": learner.critics.training,
                "dropout": rates,
                "lr": learner.actor_optimizer.param_groups[0]["lr"],
                "args": args,
                "kwargs": kwargs,
            }
            self.calls.append((who + name, state))
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, noted)

    def of(self, name: str) -> dict:
        (state,) = [state for called, state in self.calls if called == name]
        return state


def test_imitation_uses_noise_dropout_and_rate_of_its_stage(
    make_learner: MakeLearner, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner()
    learner.update_policy(make_batch())  # leaves the settings of another stage behind
    spy = Spy(learner, monkeypatch)
    learner.update_imitation(make_batch())
    state = spy.of("log_prob")
    assert state["kwargs"] == {"add_noise": True, "generator": learner.generator}
    assert state["actor"] and state["dropout"] == {0.2} and state["lr"] == 1e-4


def test_the_policy_is_improved_with_the_modes_of_the_paper(
    make_learner: MakeLearner, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner()
    learner.update_imitation(make_batch())
    learner.update_critic(make_batch())
    spy = Spy(learner, monkeypatch)
    learner.update_policy(make_batch())
    drawn = spy.of("draw_latents")
    assert not drawn["actor"], "candidates are drawn without dropout"
    assert drawn["args"][1:3] == (24, 0.7)
    decoded = spy.of("from_latent")
    assert decoded["actor"] and decoded["dropout"] == {0.1} and decoded["lr"] == 2e-4
    assert spy.of("log_prob")["kwargs"]["add_noise"] is True
    judged = [state for name, state in spy.calls if name == "value_of_candidates"]
    assert judged and not any(state["critics"] for state in judged), "critics judge without dropout"


def test_critics_learn_with_dropout_from_targets_without(
    make_learner: MakeLearner, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner()
    learner.update_imitation(make_batch())
    spy = Spy(learner, monkeypatch)
    learner.update_critic(make_batch())
    assert not spy.of("draw_latents")["actor"] and spy.of("draw_latents")["args"][1:3] == (1, 0.7)
    assert not learner.target.training and spy.of("target.value_of_candidates")
    assert spy.of("loss")["critics"]


@pytest.mark.parametrize("bound", [0.01, None])
def test_gradients_are_clipped_where_asked(
    make_learner: MakeLearner, make_batch: MakeBatch, bound: float | None
) -> None:
    learner = make_learner(LearnerConfig(optimizer=OptimizerConfig(max_grad_norm=bound)))
    reported = learner.update_imitation(make_batch())["actor/grad_norm"]
    applied = torch.nn.utils.get_total_norm(
        [p.grad for p in learner.actor.parameters() if p.grad is not None]
    )
    assert reported > 0.1
    torch.testing.assert_close(applied, reported if bound is None else torch.tensor(bound))


def test_likelihoods_are_summed_or_averaged(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    found = {
        kind: make_learner(
            LearnerConfig(improvement=ImprovementConfig(likelihood=kind))
        ).update_imitation(make_batch())["actor/bc"]
        for kind in ("sum", "mean")
    }
    torch.testing.assert_close(found["sum"], found["mean"] * 8)  # H A = 8


def test_the_policy_moves_to_where_the_critics_see_value(
    make_learner: MakeLearner, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through latent, flow and clipping, also for actions that start beyond their bound."""
    config = LearnerConfig(
        improvement=ImprovementConfig(imitation_weight=0.0, candidates=1),
        optimizer=OptimizerConfig(rl_learning_rate=3e-3),
    )
    learner, batch, wanted = make_learner(config), make_batch(64), 0.4

    def value_of(chunks: Tensor, _: Tensor) -> Tensor:
        return -(chunks - wanted).square().mean(dim=(-2, -1)).expand(2, *chunks.shape[:2])

    critic = learner.critics.critic
    monkeypatch.setattr(critic, "value_of_candidates", value_of)
    monkeypatch.setattr(critic, "value", lambda c, t: value_of(c[:, None], t).squeeze(-1))
    first = learner.update_policy(batch)["actor/value"]
    for _ in range(60):
        last = learner.update_policy(batch)["actor/value"]
    assert first < -0.2 and last > -0.05


def test_clipping_does_not_stop_the_gradient(make_learner: MakeLearner) -> None:
    flow = make_learner().actor.flow
    tokens = torch.zeros(3, 2, 16)
    latent = torch.full((3, 4, 2), 9.0, requires_grad=True)  # decodes to beyond the bound
    chunk, clipped = executed(flow, latent, flow.context(tokens))
    chunk.sum().backward()
    assert clipped == 1.0 and (chunk == 1.0).all()
    assert latent.grad is not None


def test_a_gradient_that_is_not_finite_changes_no_weight(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner = make_learner()
    before = weights(learner)
    parameter = next(learner.actor.flow.parameters())
    parameter.register_hook(lambda grad: grad * float("inf"))
    learner.update_imitation(make_batch())
    with pytest.raises(FloatingPointError, match=r"its gradient is not finite \(actor: 1 steps"):
        learner.check()
    assert changed(before, learner) == set()


def test_critics_go_on_learning_after_a_bad_batch_for_the_policy(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner, bad = make_learner(), make_batch()
    bad.chunk[0, 0, 0] = float("nan")
    learner.update_policy(bad)
    with pytest.raises(FloatingPointError, match="actor: 1 steps"):
        learner.check()
    before = weights(learner)
    learner.update_critic(make_batch())
    assert changed(before, learner) == {"critics", "target"}


# Resume -------------------------------------------------------------------------------------------


def test_a_resumed_learner_goes_on_bit_for_bit(
    make_learner: MakeLearner, make_batch: MakeBatch, tmp_path
) -> None:
    learner = make_learner()
    OFFLINE.update(learner, make_batch(seed=1))
    torch.save(learner.state_dict(), tmp_path / "state.pt")
    expected = {k: float(v) for k, v in OFFLINE.update(learner, make_batch(seed=2)).items()}
    other = make_learner(seed=7)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert {k: float(v) for k, v in OFFLINE.update(other, make_batch(seed=2)).items()} == expected
    ours, theirs = weights(learner), weights(other)
    assert all(torch.equal(ours[p][k], theirs[p][k]) for p in PARTS for k in ours[p])


def test_a_state_of_other_networks_is_refused(make_learner: MakeLearner) -> None:
    learner = make_learner()
    state = learner.state_dict()
    weights = state["critics"]
    for wrong in (dict(list(weights.items())[1:]), dict(reversed(weights.items()))):
        with pytest.raises(ValueError, match="other networks: parts of 'critics' or their order"):
            learner.load_state_dict(state | {"critics": wrong})
    first = next(iter(weights))
    with pytest.raises(ValueError, match=r"(?s)another 'critics': .*size mismatch"):
        learner.load_state_dict(state | {"critics": weights | {first: torch.zeros(1)}})
    with pytest.raises(ValueError, match="lacks 'critics': it is of another version"):
        learner.load_state_dict({n: v for n, v in state.items() if n != "critics"})


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("improvement", "candidates", 0),
        ("improvement", "polyak", 0.0),
        ("improvement", "likelihood", "median"),
        ("critic", "support", (1.0, 1.0)),
        ("critic", "head", "huber"),
    ],
)
def test_impossible_settings_are_refused(group: str, field: str, value: object) -> None:
    part = replace(getattr(LearnerConfig(), group), **{field: value})
    with pytest.raises(ValueError, match=rf"{group}\.{field} = "):
        LearnerConfig(**{group: part})
