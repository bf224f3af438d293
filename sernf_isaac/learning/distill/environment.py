"""What a distillation needs: environments that go on by themselves, and a teacher that labels."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

HOLD, FRESH = "hold", "fresh"
"""Observation groups every environment gives besides the student's: see `DistillationEnv`."""


class DistillationEnv(Protocol):
    """N environments that begin the next episode within the step that ends one.

    Observations are groups (N, ...): what the student sees, in the units of its data; whatever the
    teacher needs; `HOLD` (N, A), actions that keep still; and `FRESH` (N,) bool, where an episode
    has just begun.
    """

    num_envs: int

    def get_observations(self) -> Mapping[str, Tensor]:
        """What is observed now."""
        ...

    def step(self, actions: Tensor) -> tuple[Mapping[str, Tensor], Tensor, Tensor, dict]:
        """Actions (N, A) in the units of the data to observations, rewards, dones (N,), extras."""
        ...

    def state_dict(self) -> dict:
        """What later steps depend on; empty where a simulator cannot tell."""
        ...

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`; what it lacks begins anew."""
        ...


Label = Callable[[Mapping[str, Tensor]], Tensor]
"""The teacher: all observation groups to actions (N, A), in the units of the data."""
