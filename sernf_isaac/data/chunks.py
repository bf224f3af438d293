"""What a decision is made of: the layout of its time, and many of them as a batch to learn from.

`windows.py` cuts episodes into such decisions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sernf_isaac.devices import sent_to


@dataclass
class ChunkSpec:
    """How one control decision is cut out of time; the defaults are the paper's in-hand task."""

    history: int = 4
    """O: observation steps the policy sees, repeating the first at an episode's start."""
    prefix: int = 2
    """P: queued actions the policy is conditioned on; never predicted. 0: no latency to cover.
    At most H, unless H is 1: then each step adds one action to the queue."""
    horizon: int = 6
    """H: actions predicted per decision."""
    discount: float = 0.997
    """Per control step (gamma)."""
    history_keys: tuple[str, ...] = ("history",)
    """Observation groups given as history; all others as of the decision only."""
    align_to_decisions: bool = False
    """Cut only where the policy decided, instead of at every step."""
    drop_early_terminals: bool = False
    """Drop windows that terminate before their last step, as Q-chunking does; the paper is silent.
    Kept by default: a drop is the only failure signal, and its target is exact."""
    pose_frame: str | None = None
    """Observation group with the hand's pose (x y z, xyzw). Where given, the first seven numbers of
    stored actions are a pose too, and prefixes and chunks hold it relative to the one observed at
    their own decision (paper E.3); see `pose_frame.py`. Null: actions as they are."""

    def __post_init__(self) -> None:
        if self.history < 1 or self.horizon < 1:
            raise ValueError(f"history ({self.history}) and horizon ({self.horizon}) must be >= 1")
        if self.history > 1 and not self.history_keys:
            raise ValueError(f"history ({self.history}) needs history_keys: which groups have one?")
        if self.prefix < 0 or self.prefix > self.horizon > 1:
            raise ValueError(f"prefix ({self.prefix}) must be in 0..horizon ({self.horizon})")
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount ({self.discount}) must be in 0..1")


@dataclass
class ChunkBatch:
    """B decisions, what they were worth until the next one, and that next one."""

    observation: dict[str, Tensor]
    """History groups (B, O, F), oldest first; other groups (B, F)."""
    prefix: Tensor
    """(B, P, A)"""
    chunk: Tensor
    """(B, H, A)"""
    reward: Tensor
    """(B,) discounted sum of the rewards inside the window; the first is not discounted."""
    discount: Tensor
    """(B,) discount^H, or 0 when the window terminated."""
    next_observation: dict[str, Tensor]
    """As `observation`, at the next decision; arbitrary where `discount` is 0."""
    next_prefix: Tensor
    """(B, P, A), the last P actions of `prefix` and `chunk`; relative to `next_observation` where
    poses are relative."""
    imitate: Tensor
    """(B,) bool: all of the chunk was executed by choice, so that imitation may use it."""
    is_offline: Tensor
    """(B,) bool"""
    succeeded: Tensor
    """(B,) bool: the episode's outcome was "success"."""

    def __len__(self) -> int:
        return len(self.reward)

    def to(self, device: torch.device | str) -> "ChunkBatch":
        """The same batch on another device; a GPU gets it while the program goes on."""
        sent: dict[str, Any] = {
            name: {key: sent_to(group, device) for key, group in value.items()}
            if isinstance(value, dict)
            else sent_to(value, device)
            for name, value in vars(self).items()
        }
        return ChunkBatch(**sent)

    @classmethod
    def for_imitation(
        cls, observation: dict[str, Tensor], actions: Tensor, spec: ChunkSpec
    ) -> "ChunkBatch":
        """Decisions that are for imitation only: nobody rewarded them, nothing follows.

        Args:
            observation: As in the batch.
            actions: (B, P + H, A) the queued ones, then the chunk to imitate.
            spec: P and H.
        """
        count, device = len(actions), actions.device
        nothing = torch.zeros(count, device=device)
        everything = torch.ones(count, dtype=torch.bool, device=device)
        prefix = actions[:, : spec.prefix]
        return cls(
            observation=observation,
            prefix=prefix,
            chunk=actions[:, spec.prefix :],
            reward=nothing,
            discount=nothing,
            next_observation={},
            next_prefix=torch.zeros_like(prefix),
            imitate=everything,
            is_offline=everything,
            succeeded=everything,
        )
