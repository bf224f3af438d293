"""The average of the policy's weights: how it follows, what it does, and that it can be resumed."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sernf_isaac.config import LearnerConfig, OptimizerConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.averaging import WARM_UP, Averaged
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE

MakeLearner = Callable[..., Learner]
MakeBatch = Callable[..., ChunkBatch]


def averaging(decay: float | None = 0.9) -> LearnerConfig:
    return LearnerConfig(optimizer=OptimizerConfig(averaging=decay))


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_without_a_decay_what_learns_is_what_acts(make_learner: MakeLearner) -> None:
    learner = make_learner()
    assert learner.acting is learner.actor and not learner.average.state_dict()


def test_the_average_follows_faster_at_first_and_then_by_its_decay() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average, expected = Averaged(network, 0.5), 0.0
    for step in range(20):
        torch.nn.init.constant_(network.weight, step + 1.0)
        decay = min(0.5, (1 + step) / (WARM_UP + step))
        expected = decay * expected + (1 - decay) * (step + 1.0)
        average.follow()
        assert float(average.network.weight) == pytest.approx(expected)


def test_weights_that_do_not_learn_are_not_stored_twice() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[0].requires_grad_(False)
    average = Averaged(network, 0.9).network
    assert average[0].weight is network[0].weight
    assert average[1].weight is not network[1].weight


def test_imitation_learns_the_same_with_and_without_an_average(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    plain, averaged = make_learner(), make_learner(averaging())
    for learner in (plain, averaged):
        torch.manual_seed(0)
        for seed in range(3):
            IMITATION.update(learner, make_batch(seed=seed))
    assert same(weights(plain.actor), weights(averaged.actor))
    assert not same(weights(averaged.actor), weights(averaged.acting))
    assert not any(parameter.requires_grad for parameter in averaged.acting.parameters())


def test_critics_judge_what_acts(make_learner: MakeLearner, make_batch: MakeBatch) -> None:
    def loss_after(change: Callable[[Learner], torch.nn.Module | None]) -> float:
        learner = make_learner(averaging())
        if (network := change(learner)) is not None:
            for parameter in network.parameters():
                parameter.data += 0.1
        return float(learner.update_critic(make_batch())["critic/loss"])

    untouched = loss_after(lambda _: None)
    assert loss_after(lambda learner: learner.actor) == untouched
    assert loss_after(lambda learner: learner.acting) != untouched


def test_a_resumed_average_goes_on_bit_for_bit(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    learner, other = make_learner(averaging()), make_learner(averaging(), seed=7)
    for stage in (IMITATION, OFFLINE):
        stage.update(learner, make_batch(seed=1))
    state = learner.state_dict()
    other.load_state_dict(torch.load(_saved(state), weights_only=True))
    assert same(weights(learner.acting), weights(other.acting))
    OFFLINE.update(learner, make_batch(seed=2))
    learner_after = weights(learner.actor), weights(learner.acting)
    torch.set_rng_state(state["torch_rng"])
    OFFLINE.update(other, make_batch(seed=2))
    assert same(learner_after[0], weights(other.actor))
    assert same(learner_after[1], weights(other.acting))


def test_a_state_without_an_average_begins_one(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    plain, averaged = make_learner(), make_learner(averaging(), seed=3)
    IMITATION.update(plain, make_batch())
    averaged.load_state_dict(plain.state_dict())
    assert same(weights(averaged.acting), weights(plain.actor))


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_decays_that_average_nothing_are_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"optimizer\.averaging"):
        averaging(decay)


def _saved(state: dict) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file
