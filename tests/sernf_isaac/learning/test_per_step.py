"""Critics of single actions: what they learn from, and that they can only tell the first one."""

import numpy as np
import pytest
import torch

from sernf_isaac.config import CriticConfig, LearnerConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing
from sernf_isaac.data.windows import make_batch
from sernf_isaac.learning.build import build_learner
from sernf_isaac.learning.per_step import PerStepReplay
from sernf_isaac.models.baselines.per_step import single_steps
from sernf_isaac.models.layout import PolicyLayout

STEPS = 20
SPEC = ChunkSpec(history=1, prefix=2, horizon=6, history_keys=(), align_to_decisions=True)


@pytest.fixture
def episode() -> Episode:
    """Observation, action and reward of step t are t; it ends with a termination."""
    count = np.arange(STEPS, dtype=np.float32)
    return Episode(
        observation={"state": count[:, None]},
        action=count[:, None],
        reward=count,
        terminated=np.arange(STEPS) == STEPS - 1,
        decision=np.arange(STEPS) % 6 == 0,
    )


def test_a_step_appends_one_action_to_the_queue(episode: Episode) -> None:
    steps = make_batch(episode, single_steps(SPEC))
    assert len(steps) == STEPS, "also where the robot did not decide"
    now = steps.observation["state"][:-3]
    assert torch.equal(steps.prefix[:-3, :, 0], now + torch.tensor([0.0, 1.0]))
    assert torch.equal(steps.chunk[:-3, :, 0], now + 2)
    assert torch.equal(steps.next_prefix[:-3, :, 0], now + torch.tensor([1.0, 2.0]))
    assert torch.equal(steps.next_observation["state"][:-3], now + 1)
    assert torch.equal(steps.reward[:, None], steps.observation["state"])
    assert steps.discount[-1] == 0 and (steps.discount[:-1] == np.float32(0.997)).all()


def test_its_replay_cuts_chunks_where_the_robot_decided_and_steps_everywhere(
    episode: Episode,
) -> None:
    replay = PerStepReplay(SPEC, torch.Generator().manual_seed(0), Mixing("uniform"))
    replay.add(episode, "a")
    assert (len(replay), len(replay.transitions)) == (4, STEPS)
    assert replay.sample(3).chunk.shape == (3, 6, 1)
    assert replay.transitions.sample(3).chunk.shape == (3, 1, 1)


def test_more_may_be_queued_than_a_decision_adds_only_if_it_adds_one() -> None:
    with pytest.raises(ValueError, match=r"prefix \(3\) must be in 0..horizon \(2\)"):
        ChunkSpec(prefix=3, horizon=2)
    with pytest.raises(ValueError, match=r"prefix \(-1\)"):
        ChunkSpec(prefix=-1, horizon=1)


def test_an_unknown_kind_and_a_source_without_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'step'.*must be one of.*per_step"):
        CriticConfig(kind="step")
    config = LearnerConfig(critic=CriticConfig(kind="per_step", token_dim=16))
    with pytest.raises(ValueError, match="single steps, which this data source does not offer"):
        build_learner(PolicyLayout({"state": 1}, 1, SPEC, config.policy, config.critic, 0), config)
