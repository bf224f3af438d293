"""A student that knows nothing, small enough for tests of what goes on around it."""

from dataclasses import replace
from pathlib import Path

import torch
from first_hand import V1

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.build import build_actor, build_critics
from sernf_isaac.policy import ChunkPolicy
from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.student.environment import StudentObservationConfig
from tasks.cube_spin.student.policy import save_student, student_layout, student_normalizer
from tasks.orca.description import Hand

POLICY = PolicyConfig(token_dim=16, width=16, num_couplings=2, num_heads=2)
CRITIC = CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16)


def save_tiny_student(
    path: Path,
    *,
    with_critics: bool = True,
    hand: Hand = V1,
    held: HeldObject | None = None,
    camera: bool = True,
    history: int = 4,
) -> Path:
    """Write it."""
    spec = ChunkSpec(history=history)
    layout = student_layout(hand, spec, POLICY, CRITIC, 0, camera=camera)
    torch.manual_seed(0)
    actor = build_actor(layout)
    critics = build_critics(layout) if with_critics else None
    tiny = ChunkPolicy(layout, actor, critics, student_normalizer(hand, camera=camera))
    task = replace(tuned_task(), hand=hand.key, object=held or HeldObject())
    save_student(path, tiny, task, StudentObservationConfig(camera=camera), {})
    return path
