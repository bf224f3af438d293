"""A critic of single actions where the method has one of chunks: the ablation "H = 1 backup".

It learns from one-step transitions and judges a chunk by its first action, which is all that such a
critic can know of it; the policy still predicts and executes chunks.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing, Replay
from sernf_isaac.data.windows import ChunkBatch, ChunkSpec
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.models.actor_critic import Actor, Judge
from sernf_isaac.models.critic import ChunkCritic


class FirstActionCritic(nn.Module):
    """Passes the first action of every chunk to a critic of single actions.

    Args:
        critic: Of chunks of one action.
    """

    def __init__(self, critic: ChunkCritic) -> None:
        super().__init__()
        self.critic = critic

    def value(self, chunk: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, H, A), (E, B)."""
        return self.critic.value(chunk[..., :1, :], tokens)

    def value_of_candidates(self, chunks: Tensor, tokens: Tensor) -> Tensor:
        """Expected returns of (B, K, H, A), (E, B, K)."""
        return self.critic.value_of_candidates(chunks[..., :1, :], tokens)

    def loss(self, chunk: Tensor, tokens: Tensor, target: Tensor) -> tuple[Tensor, dict]:
        """As `ChunkCritic.loss`, for the first actions."""
        return self.critic.loss(chunk[..., :1, :], tokens, target)


def judge_first_actions(judge: Judge) -> Judge:
    """Critics of single actions, to be used where those of chunks are."""
    wrapped = FirstActionCritic(judge.critic)
    return Judge(judge.encoder, cast("ChunkCritic", wrapped))  # it has all that is used


class PerStepReplay(Replay):
    """A replay of chunks that also keeps `transitions`, all single steps of the same episodes.

    Args:
        spec: As for `Replay`.
        generator: As for `Replay`.
        mixing: As for `Replay`.
    """

    def __init__(
        self, spec: ChunkSpec, generator: torch.Generator, mixing: Mixing | None = None
    ) -> None:
        super().__init__(spec, generator, mixing)
        self.transitions = Replay(single_steps(spec), generator, mixing)

    def add(self, episode: Episode, name: str) -> int:
        """As `Replay.add`."""
        self.transitions.add(episode, name)
        return super().add(episode, name)


class PerStepLearner(Learner):
    """A learner whose critics take their batches from transitions instead of chunks.

    Args:
        actor: The policy over chunks.
        judge: From `judge_first_actions`.
        config: Hyperparameters.
        draw_steps: So many single steps, scaled for the networks.
        seed: As for `Learner`.
        device: As for `Learner`.
    """

    def __init__(
        self,
        actor: Actor,
        judge: Judge,
        config: LearnerConfig,
        draw_steps: Callable[[int], ChunkBatch],
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(actor, judge, config, seed=seed, device=device)
        self._draw_steps = draw_steps

    def update_critic(self, batch: ChunkBatch) -> Metrics:
        """One step of the critics on as many single steps as the batch has rows."""
        return super().update_critic(self._draw_steps(len(batch)).to(self.device))


def single_steps(spec: ChunkSpec) -> ChunkSpec:
    """A decision at every step, on one action behind the same queue."""
    return replace(spec, horizon=1, align_to_decisions=False)
