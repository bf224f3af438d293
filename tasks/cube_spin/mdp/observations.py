"""Observation terms: one per group, the whole vector of `terms.py` at once."""

from typing import Any

import torch
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.mdp.state import TaskTracker, tracker
from tasks.cube_spin.terms import TaskState


def teacher(env: Any, sensed: bool = False) -> Tensor:
    """Teacher observations (N, 83 or more); `sensed` reads them through the sensor model."""
    shared = tracker(env)
    parts = terms.teacher_observations(
        _view(shared, sensed), shared.constants, shared.task.observation
    )
    return torch.cat(list(parts.values()), dim=1)


def student_history(env: Any, sensed: bool = True) -> Tensor:
    """Newest row (N, 24) of the student's history; the manager stacks four of them."""
    shared = tracker(env)
    return terms.student_observations(_view(shared, sensed), shared.constants)[0]


def student_current(env: Any, sensed: bool = True) -> Tensor:
    """What the student sees of the current step only (N, 35)."""
    shared = tracker(env)
    return terms.student_observations(_view(shared, sensed), shared.constants)[1]


def _view(shared: TaskTracker, sensed: bool) -> TaskState:
    return shared.seen if sensed else shared.state
