"""A policy at work in N environments: one episode of each, chunk by chunk.

Environments are handed in; whatever has `reset`, `step` and `succeeded` will do.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from sernf_isaac.chunk_queue import ChunkActor, Correct
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.learning.acting import Decide
from sernf_isaac.learning.online.record import Record
from sernf_isaac.models.actor_critic import Observation


class Environment(Protocol):
    """N environments that start together; one whose episode is over waits for the next reset."""

    num_envs: int
    succeeded: Tensor
    """(N,) bool: this episode reached what it was for."""

    def reset(self) -> Observation:
        """Start N episodes; groups are (N, F)."""
        ...

    def step(self, action: Tensor) -> tuple[Observation, Tensor, Tensor, Tensor]:
        """Actions (N, A) to observation, reward, terminated and truncated, the latter three (N,).

        An episode's end is reported once.
        """
        ...

    def state_dict(self) -> dict:
        """What the next `reset` depends on: tensors and plain values."""
        ...

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        ...


def collect(
    env: Environment,
    decide: Decide,
    spec: ChunkSpec,
    *,
    hold: Tensor | Callable[[], Tensor],
    name: str = "",
    is_offline: bool = False,
    max_steps: int | None = None,
    correct: Correct | None = None,
) -> list[Episode]:
    """One episode of each environment, acted chunk by chunk with `spec.prefix` actions queued.

    Args:
        env: Is reset first.
        decide: The policy.
        spec: How decisions fall in time.
        hold: (A,) or (N, A) actions that keep still, queued before the first decision; or what
            tells them once the episodes have begun.
        name: Of the policy, for the episodes.
        is_offline: Whether the episodes become offline data.
        max_steps: Stop episodes that are longer; None: never.
        correct: As of `ChunkActor`; what it makes of an action is executed and recorded.
    """
    observation = env.reset()
    record, act = Record(env.num_envs, max_steps), ChunkActor(decide, spec, correct)
    still = (hold if isinstance(hold, Tensor) else hold()).expand(env.num_envs, -1)
    fresh = torch.ones(env.num_envs, dtype=torch.bool)
    recent = {key: [observation[key]] * spec.history for key in spec.history_keys}
    while record.running.any():
        seen = observation | {key: torch.stack(steps, dim=1) for key, steps in recent.items()}
        now, action = observation, act(seen, still, fresh)
        observation, *outcome = env.step(action)
        record.add(now, action, outcome, decision=bool(act.decided.any()))
        record.close(observation, outcome, env.succeeded, act.planned)
        recent = {key: [*steps[1:], observation[key]] for key, steps in recent.items()}
        fresh = torch.zeros_like(fresh)
    return [record.episode(env_id, name, is_offline) for env_id in range(env.num_envs)]
