"""The network of single steps runs on the student's environments."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_hand import JOINT_LOWER, JOINT_UPPER

from sernf_isaac.cli import apply_overrides
from sernf_isaac.config import LearnerConfig, PolicyConfig
from sernf_isaac.learning.distill.config import DistillConfig
from tasks.cube_spin.config import EpisodeConfig
from tasks.cube_spin.runs.distill_mlp import distil_mlp, flat_observation, refuse_unused_settings
from tasks.cube_spin.student.policy import student_normalizer
from tasks.cube_spin.student.settings import StudentRun, preset
from tasks.orca.hands import load_hand
from tasks.orca.names import FIRST_HAND


@pytest.fixture
def run() -> StudentRun:
    return StudentRun(
        num_envs=3,
        episode=EpisodeConfig(length_s=1.0, support_s=(0.5, 0.5)),
        distill=DistillConfig(iterations=2, rollout_steps=10, updates_per_iteration=2),
        learner=LearnerConfig(
            policy=PolicyConfig(token_dim=16, width=16, num_couplings=4, num_heads=2)
        ),
    )


def test_the_network_learns_from_labels_and_decides_every_step(
    run: StudentRun, tmp_path: Path
) -> None:
    run = replace(run, distill=replace(run.distill, iterations=6))
    student = distil_mlp(run, tmp_path, threads=1)
    seen = {"history": torch.randn(4, 4, 24), "command": torch.randn(4, 34)}
    seen["goal"] = torch.randn(4, 1)
    actions = [student(seen), student({k: v + 0.1 for k, v in seen.items()})]
    assert not torch.equal(*actions), "it decides anew on every observation"
    assert (actions[0] >= torch.from_numpy(JOINT_LOWER) - 1e-6).all()
    assert (actions[0] <= torch.from_numpy(JOINT_UPPER) + 1e-6).all()
    scale = student_normalizer(load_hand(FIRST_HAND))
    assert flat_observation(seen, scale).shape == (4, 4 * 24 + 34 + 1)


@pytest.mark.parametrize("change", ["spec.horizon=8", "distill.candidates=3", "kind=gaussian"])
def test_what_a_network_of_single_steps_cannot_use_is_refused(change: str) -> None:
    run = apply_overrides(preset("small"), [change])
    with pytest.raises(ValueError, match="would have no effect: RSL-RL's distillation"):
        refuse_unused_settings(run, preset("small"))
    refuse_unused_settings(replace(run, num_envs=5, **_as_preset()), preset("small"))


def _as_preset() -> dict[str, object]:
    small = preset("small")
    return {"spec": small.spec, "distill": small.distill, "kind": small.kind}
