"""What tests of the duck task share: demonstrations, and the experiment at a size for seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_table import shrunk

from sernf_isaac.data.sources import load_episodes
from sernf_isaac.learning.online.in_memory import FourStageRun
from tasks.duck_bowl import environment
from tasks.duck_bowl.table_task import DUCK_BOWL
from tasks.table.comparison import Variant
from tasks.table.demonstrations import record_demonstrations
from tasks.table.experiment import Experiment

Tiny = Callable[..., FourStageRun]
SHORT_STEPS = 20


@pytest.fixture(scope="session")
def two_demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two demonstrations."""
    return record_demonstrations(DUCK_BOWL, tmp_path_factory.mktemp("duck") / "run", 2, seed=0)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Settings of a variant, with networks and numbers of steps for tests."""

    def make(variant: Variant | None = None) -> FourStageRun:
        return shrunk((variant or Variant(DUCK_BOWL)).settings(0))

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
        Experiment(DUCK_BOWL, tiny(), shown, folder, rollouts=5, episodes=2).go()
    return folder
