"""Updates in bfloat16 go where those in single precision go, and touch every weight they touch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sernf_isaac.config import ImprovementConfig, LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.stages import IMITATION, OFFLINE, Stage

MakeLearner = Callable[..., Learner]
MakeBatch = Callable[..., ChunkBatch]


def config_with(bf16: bool) -> LearnerConfig:
    return LearnerConfig(
        policy=PolicyConfig(imitation_dropout=0.0, rl_dropout=0.0),
        optimizer=OptimizerConfig(bf16=bf16, max_grad_norm=None),
        improvement=ImprovementConfig(candidates=1),  # the best of several might be another
    )


def gradients_of(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


def leave_the_start(learner: Learner) -> None:
    """Fresh couplings are the identity, in any precision."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in learner.actor.flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("stage", [IMITATION, OFFLINE], ids=lambda stage: stage.name)
def test_every_gradient_points_the_same_way(
    stage: Stage, make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    found = []
    for bf16 in (False, True):
        learner = make_learner(config_with(bf16))
        leave_the_start(learner)
        torch.manual_seed(2)
        stage.update(learner, make_batch())
        found.append((gradients_of(learner.actor), gradients_of(learner.critics)))
    for exact, rounded in zip(*found, strict=True):
        assert exact.keys() == rounded.keys()
        assert all(value.dtype == torch.float32 for value in rounded.values())
        zero = {name for name, value in exact.items() if not value.any()}
        assert zero == {name for name, value in rounded.items() if not value.any()}
        if exact:  # imitation leaves the critics alone
            flat = [torch.cat([g.flatten() for g in part.values()]) for part in (exact, rounded)]
            assert torch.nn.functional.cosine_similarity(*flat, dim=0) > 0.98


def test_products_are_rounded_and_weights_are_not(
    make_learner: MakeLearner, make_batch: MakeBatch
) -> None:
    exact, rounded = (make_learner(config_with(bf16)) for bf16 in (False, True))
    for learner in (exact, rounded):
        leave_the_start(learner)
    losses = [learner.update_imitation(make_batch())["actor/bc"] for learner in (exact, rounded)]
    assert losses[0] != losses[1] and losses[1].dtype == torch.float32
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0.5)
    assert {p.dtype for p in rounded.actor.parameters()} == {torch.float32}
