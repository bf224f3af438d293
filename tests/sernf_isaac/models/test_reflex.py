"""The reflex: nothing at first, bounded always, and part of the policy's file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.deploy.policy.reflex import load_reflex
from sernf_isaac.models.build import build_actor, build_reflex
from sernf_isaac.models.layout import PolicyLayout
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import KIND, ChunkPolicy, load_policy
from sernf_isaac.spec import Contract

FEATURES = {"state": 3, "goal": 1}
SPEC = ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("state",))
BOUND = 0.1


def policy_with(reflex: ReflexConfig) -> ChunkPolicy:
    small = PolicyConfig(token_dim=8, width=8, num_couplings=2, num_heads=2)
    layout = PolicyLayout(FEATURES, 2, SPEC, small, CriticConfig(), 0, reflex=reflex)
    ranges = {name: (-np.ones(n), 3 * np.ones(n)) for name, n in FEATURES.items()}
    scale = Normalizer(ranges | {ACTION: (-2 * np.ones(2), np.ones(2))})
    torch.manual_seed(0)
    return ChunkPolicy(layout, build_actor(layout), None, scale, reflex=build_reflex(layout))


def inputs(count: int = 5) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    seen = {"state": torch.randn(count, 2, 3), "goal": torch.randn(count, 1)}
    return seen, torch.randn(count, 2)


def stirred(policy: ChunkPolicy, size: float) -> ChunkPolicy:
    """With a reflex that does something."""
    assert policy.reflex is not None
    torch.manual_seed(1)
    for parameter in policy.reflex.parameters():
        torch.nn.init.normal_(parameter, std=size)
    return policy


def test_a_fresh_reflex_corrects_nothing_and_none_is_none() -> None:
    seen, action = inputs()
    fresh, none = policy_with(ReflexConfig(BOUND)), policy_with(ReflexConfig())
    assert fresh.reflex is not None and none.reflex is None
    assert torch.equal(fresh.correct(seen, action), action)
    assert torch.equal(none.correct(seen, action), action)


def test_corrections_stay_within_the_bound_whatever_the_weights() -> None:
    seen, action = inputs(200)
    moved = stirred(policy_with(ReflexConfig(BOUND)), 5.0).correct(seen, action) - action
    assert moved.abs().max() <= BOUND + 1e-6
    assert moved.abs().max() > 0.9 * BOUND
    for name in seen:  # it looks at all that is observed
        other = {**seen, name: seen[name] + 0.5}
        mild = stirred(policy_with(ReflexConfig(BOUND)), 0.3)
        assert not torch.equal(mild.correct(other, action), mild.correct(seen, action))


def test_it_travels_in_the_policys_file(tmp_path: Path) -> None:
    contract = Contract(KIND, "test", ("a", "b"), (-2, -2), (1, 1), 20.0, "xyzw", FEATURES, {})
    policy = stirred(policy_with(ReflexConfig(BOUND, width=16)), 0.5)
    policy.save(tmp_path / "with.pt", contract, {})
    read, _ = load_policy(tmp_path / "with.pt")
    seen, action = inputs()
    assert torch.equal(read.correct(seen, action), policy.correct(seen, action))
    assert "corrects each action by up to 0.1" in read.describe()
    on_robot = load_reflex(tmp_path / "with.pt")
    assert on_robot is not None
    one = {name: value[0].numpy() for name, value in seen.items()}
    found = on_robot(one, action[0].double().numpy())
    np.testing.assert_allclose(found, policy.correct(seen, action)[0], atol=1e-6)
    policy_with(ReflexConfig()).save(tmp_path / "without.pt", contract, {})
    assert load_reflex(tmp_path / "without.pt") is None


def test_new_networks_keep_the_reflex() -> None:
    policy = policy_with(ReflexConfig(BOUND))
    other = replace(policy.layout, critic=CriticConfig(ensemble=3))
    grown = policy.with_networks(other, policy.actor, None, 0.4)
    assert grown.reflex is policy.reflex and grown.layout.reflex == policy.layout.reflex
    assert grown.sigma == 0.4 and grown.layout.critic.ensemble == 3


def test_what_it_cannot_be_for_is_refused() -> None:
    layout = policy_with(ReflexConfig(BOUND)).layout
    posed = replace(layout, spec=replace(SPEC, pose_frame="state"))
    with pytest.raises(ValueError, match="actions without poses"):
        build_reflex(posed)
    with pytest.raises(ValueError, match=r"reflex\.bound \(-1\.0\) must be 0 or more"):
        ReflexConfig(-1.0)
