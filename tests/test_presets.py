"""Every task's settings can be asked for by name, and a run can start with them."""

import pytest

from sernf_isaac.learning.offline.run import OfflineRun
from tasks.presets import PRESETS, preset


@pytest.mark.parametrize("task", sorted(PRESETS))
def test_a_run_can_start_with_every_preset(task: str) -> None:
    run = preset(task)
    assert isinstance(run, OfflineRun)
    run.check()
    assert run is not preset(task), "changing one must not change the next"


def test_unknown_tasks_name_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no preset 'duck'.*did you mean 'duck_bowl'"):
        preset("duck")
