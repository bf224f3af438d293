"""Observation terms: one per group, the whole vector of `terms.py` at once."""

import torch
from isaaclab.envs import ManagerBasedRLEnv
from torch import Tensor

from tasks.cube_spin import observations
from tasks.cube_spin.isaac.mdp.state import TaskTracker, tracker
from tasks.cube_spin.terms import TaskState


def teacher(env: ManagerBasedRLEnv, sensed: bool = True) -> Tensor:
    """Teacher observations (N, 83 or more); `sensed` reads them through the sensor model."""
    shared = tracker(env)
    parts = observations.teacher_observations(
        _view(shared, sensed), shared.constants, shared.task.observation
    )
    return torch.cat(list(parts.values()), dim=1)


def student_history(env: ManagerBasedRLEnv, sensed: bool = True) -> Tensor:
    """Newest row (N, 24) of the student's history; the manager stacks four of them."""
    shared = tracker(env)
    return observations.student_observations(_view(shared, sensed), shared.constants)[0]


def student_current(env: ManagerBasedRLEnv, sensed: bool = True) -> Tensor:
    """What the student sees of the current step only (N, 35)."""
    shared = tracker(env)
    return observations.student_observations(_view(shared, sensed), shared.constants)[1]


def _view(shared: TaskTracker, sensed: bool) -> TaskState:
    return shared.seen if sensed else shared.state
