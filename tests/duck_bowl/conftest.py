"""What tests of the duck task share: demonstrations, and the experiment at a size for seconds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.models.architecture import ActConfig, FlowMatchingConfig
from tasks.duck_bowl import environment
from tasks.duck_bowl.comparison import Variant
from tasks.duck_bowl.demonstrations import record_demonstrations
from tasks.duck_bowl.experiment import Experiment

Tiny = Callable[..., FourStageRun]
SHORT_STEPS = 20


@pytest.fixture(scope="session")
def two_demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two demonstrations."""
    return record_demonstrations(tmp_path_factory.mktemp("duck") / "run", 2, seed=0)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Settings of a variant, with networks and numbers of steps for tests."""

    def make(variant: Variant | None = None) -> FourStageRun:
        run = (variant or Variant()).settings(0)
        learner = run.learner
        policy = replace(learner.policy, token_dim=16, width=16, num_couplings=4, num_heads=2)
        critic = replace(learner.critic, token_dim=16, num_heads=2, num_layers=1, feedforward=16)
        act = ActConfig(num_heads=2, num_layers=1, feedforward=16, style_dim=4)
        matching = FlowMatchingConfig(num_heads=2, num_layers=1, feedforward=16)
        return replace(
            run,
            learner=replace(learner, policy=policy, critic=critic),
            architecture=replace(run.architecture, act=act, flow_matching=matching),
            batch_size=8,
            rl_batch_size=8,
            imitation_steps=3,
            warm_up_steps=min(2, run.warm_up_steps),
            offline_steps=min(2, run.offline_steps),
            log_every=1,
            save_every=1,
            successes_only=False,
            online=replace(run.online, updates_per_step=0.002, candidates=2),
        )

    return make


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes are cut off early, since nothing tiny gets anywhere."""
    monkeypatch.setattr(environment, "MAX_STEPS", SHORT_STEPS)


@pytest.fixture(scope="session")
def finished_run(
    two_demonstrations: Path, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a tiny run through all stages, with short episodes."""
    folder = tmp_path_factory.mktemp("finished") / "seed_0"
    shown = load_episodes([str(two_demonstrations)], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "MAX_STEPS", SHORT_STEPS)
        Experiment(tiny(), shown, folder, rollouts=5, episodes=2).go()
    return folder
