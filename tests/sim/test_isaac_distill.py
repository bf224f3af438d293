"""Two iterations of the distillation in Isaac Lab, with 16 environments on the CPU."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sernf_isaac.config import LearnerConfig, PolicyConfig
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.metrics import read_metrics
from tasks.cube_spin.physics import DISTILLATION
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.student.policy import load_student
from tasks.cube_spin.student.settings import LATENCY_STEPS, StudentRun

pytestmark = pytest.mark.sim


def test_isaac_lab_distils_a_student(tmp_path: Path) -> None:
    run = StudentRun(
        num_envs=16,
        eval_every=0,
        batch_size=16,
        distill=DistillConfig(
            iterations=2,
            rollout_steps=12,
            updates_per_iteration=4,
            teacher_decay=0.5,
            save_every=1,
        ),
        learner=LearnerConfig(
            policy=PolicyConfig(token_dim=32, width=32, num_couplings=4, num_heads=4)
        ),
    )
    path = distil(run, tmp_path, sim="isaac")
    assert path is not None
    losses = [value for _, value in read_metrics(path.parent, "actor/bc")]
    assert len(losses) == 2 and all(map(torch.isfinite, torch.tensor(losses)))
    windows = read_metrics(path.parent, "distill/windows")
    assert 0 < windows[-1][1] <= 16 * (12 - 8 + 1)
    trained_in = load_physics(str(path.parent / "physics.yaml"))
    assert trained_in == replace(DISTILLATION, action_delay_steps=(0.0, float(LATENCY_STEPS)))
    assert load_student(path).task.action.smoothing == 0.5
