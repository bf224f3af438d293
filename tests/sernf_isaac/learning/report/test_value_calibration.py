"""Calibration and candidates of policies whose values and chunks are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.normalizer import Normalizer
from sernf_isaac.learning.report.calibration import calibrate, spread_evenly
from sernf_isaac.learning.report.candidates import draw_candidates
from sernf_isaac.models.actor_critic import Critics

SPEC = ChunkSpec(history=1, prefix=0, horizon=2, discount=0.5, history_keys=())
STEPS = 20
HALF = 2.0
"""Of the range of the actions."""


class Promise(nn.Module):
    """Critics that promise what the observation says, each with an error of its own."""

    def __init__(self, *errors: float, slopes: tuple[float, ...] = (0.0,)) -> None:
        super().__init__()
        self.errors, self.slopes = errors, slopes

    def value(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        return torch.stack([tokens[:, 0] + error for error in self.errors])

    def value_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        liked = chunks.mean(dim=(-2, -1))
        return torch.stack([e + s * liked for e, s in zip(self.errors, self.slopes, strict=True)])


class State(nn.Module):
    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        return observation["promised"]


class Scattered(nn.Module):
    """A policy whose candidates scatter by sigma times this."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def context(self, tokens: Tensor) -> Tensor:
        return tokens

    def draw_latents(self, tokens: Tensor, count: int, sigma: float, generator: object) -> Tensor:
        return sigma * torch.randn(len(tokens), count, 2, 1, generator=generator)

    def decode(self, latents: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale * latents, latents.sum(dim=(-2, -1))


def policy(critic: nn.Module | None, scale: float = 0.1):
    ends = {"promised": (np.array([-1.0]), np.array([1.0]))}
    actions = {"action": (np.array([-HALF]), np.array([HALF]))}
    return SimpleNamespace(
        critics=None if critic is None else Critics(State(), critic),
        actor=SimpleNamespace(eval=lambda: None, encoder=State(), flow=Scattered(scale)),
        normalizer=Normalizer(ends | actions),
        device=torch.device("cpu"),
        sigma=0.5,
    )


def episode(*, ends: bool = True, promise_sign: float = 1.0) -> Episode:
    """Earns 1 with its last step; the observation holds what is then earned from each step on."""
    earned = 0.5 ** np.arange(STEPS - 1, -1, -1.0)
    last = np.arange(STEPS) == STEPS - 1
    return Episode(
        observation={"promised": promise_sign * earned[:, None]},
        final_observation={"promised": np.zeros(1)},
        action=np.zeros((STEPS, 1)),
        reward=last,
        terminated=last & ends,
        outcome="success" if ends else "timeout",
    )


def test_the_numbers_of_a_critic_that_promises_a_quarter_too_much_are_exact() -> None:
    found = calibrate(policy(Promise(0.0, 0.5)), {"a": episode()}, SPEC)
    assert found is not None and len(found.value) == STEPS
    assert found.mean_error == pytest.approx(0.25, abs=1e-7)
    assert found.root_mean_square_error == pytest.approx(0.25, abs=1e-7)
    assert found.rank_correlation == pytest.approx(1.0)
    np.testing.assert_allclose(found.earned, 0.5 ** np.arange(STEPS - 1, -1, -1.0))
    bins = found.bins()
    assert [count for *_, count in bins] == 10 * [2]
    for value, earned, _ in bins:
        assert value - earned == pytest.approx(0.25, abs=1e-7)
    assert bins[-1][1] == pytest.approx(0.75), "the mean of 1 and 1/2"
    assert found.succeeded.all() and not found.cut_off.any()


def test_a_critic_that_has_it_the_wrong_way_round_is_seen() -> None:
    wrong = {"a": episode(promise_sign=-1.0)}
    found = calibrate(policy(Promise(0.0)), wrong, SPEC)
    assert found is not None and found.rank_correlation == pytest.approx(-1.0)
    assert found.mean_error == pytest.approx(-2 * found.earned.mean())


def test_the_end_of_an_episode_that_was_cut_off_counts_as_critics_value_it() -> None:
    cut = {"a": episode(ends=False)}
    found = calibrate(policy(Promise(3.0)), cut, SPEC)
    assert found is not None and found.cut_off.all() and not found.succeeded.any()
    assert found.earned[-1] == found.value[-1]
    assert found.earned[-2] == pytest.approx(0.5 * found.value[-1])


def test_critics_that_promise_the_same_everywhere_have_no_rank_correlation() -> None:
    flat = calibrate(policy(Promise(0.0)), {"a": replace_promise(0.5)}, SPEC)
    assert flat is not None and np.isnan(flat.rank_correlation)


def replace_promise(value: float) -> Episode:
    flat = episode()
    flat.observation["promised"] = np.full((STEPS, 1), value, np.float32)
    return flat


def test_episodes_without_a_whole_decision_are_not_judged() -> None:
    short = Episode({"promised": np.zeros((1, 1))}, np.zeros((1, 1)), np.zeros(1))
    judge = policy(Promise(0.0))
    assert calibrate(judge, {"a": short}, SPEC) is None
    assert draw_candidates(judge, {"a": short}, SPEC, 4) is None


def test_few_decisions_are_taken_from_all_episodes_alike() -> None:
    episodes = {str(number): episode() for number in range(5)}
    chosen = spread_evenly(episodes, SPEC, 10)
    assert {name: len(index) for name, index in chosen.items()} == dict.fromkeys(episodes, 2)
    everything = spread_evenly(episodes, SPEC, 1000)
    assert all(index.tolist() == list(range(STEPS)) for index in everything.values())


def test_the_deviation_of_candidates_is_that_of_the_policy() -> None:
    drawn = draw_candidates(policy(None, 0.3), {"a": episode()}, SPEC, 400)
    assert drawn is not None and drawn.count == 400 and drawn.spread is None
    assert drawn.deviation.shape == (STEPS, 1) and drawn.half_range == [HALF]
    assert drawn.typical == pytest.approx(0.5 * 0.3, rel=0.1)
    again = draw_candidates(policy(None, 0.3), {"a": episode()}, SPEC, 400)
    assert again is not None and (again.deviation == drawn.deviation).all()


@pytest.mark.parametrize(
    ("slopes", "agree"), [((1.0, 1.0), True), ((1.0, 2.0), True), ((1.0, -1.0), False)]
)
def test_a_critics_own_level_is_no_disagreement(slopes: tuple[float, ...], agree: bool) -> None:
    judge = policy(Promise(0.0, 7.0, slopes=slopes))
    drawn = draw_candidates(judge, {"a": episode()}, SPEC, 8)
    assert drawn is not None and drawn.spread is not None
    assert drawn.disagreement is not None and drawn.same_best is not None
    assert (np.median(drawn.disagreement) <= np.median(drawn.spread)) == agree
    assert drawn.same_best.mean() == float(agree)
    if slopes == (1.0, 1.0):
        assert drawn.disagreement.max() == pytest.approx(0.0, abs=1e-6)


def test_one_critic_cannot_disagree() -> None:
    judge = policy(Promise(0.0, slopes=(1.0,)))
    drawn = draw_candidates(judge, {"a": episode()}, SPEC, 8)
    assert drawn is not None and drawn.disagreement is None and drawn.spread is not None
