"""Three rounds of RL in Isaac Lab, with eight environments on the CPU."""

from dataclasses import replace
from pathlib import Path

import pytest

from sernf_isaac.metrics import read_metrics
from sernf_isaac.policy import load_policy
from tasks.cube_spin.runs.polish import polish
from tasks.cube_spin.student.polish_settings import preset

pytestmark = pytest.mark.sim


def test_a_student_is_polished_in_isaac_lab(tmp_path: Path) -> None:
    small = preset("small")
    plan = replace(
        small.plan, warm_up_rounds=1, online_rounds=1, updates_per_round=2, episode_steps=30
    )
    run = replace(small, num_envs=8, plan=plan, eval_every=0)
    path = polish(run, tmp_path, sim="isaac", device="cpu")
    assert path is not None
    policy, _ = load_policy(path)
    assert policy.critics is not None
    rows = read_metrics(path.parent, "rollout/reward")
    assert len(rows) == 2
    steps = [value for _, value in read_metrics(path.parent, "rollout/steps")]
    assert all(8 * 10 < value <= 8 * 30 for value in steps)
