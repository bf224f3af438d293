"""Learning with critics of single actions: their batches come from transitions, not chunks."""

from collections.abc import Callable

import torch

from sernf_isaac.config import LearnerConfig
from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.replay import Mixing, Replay
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.models.actor_critic import Actor, Critics
from sernf_isaac.models.baselines.per_step import single_steps


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

    def add(self, episode: Episode, name: str, *, imitable: bool = True) -> int:
        """As `Replay.add`."""
        self.transitions.add(episode, name, imitable=imitable)
        return super().add(episode, name, imitable=imitable)


class PerStepLearner(Learner):
    """A learner whose critics take their batches from transitions instead of chunks.

    Args:
        actor: The policy over chunks.
        critics: From `critics_of_first_actions`.
        config: Hyperparameters.
        draw_steps: So many single steps, scaled for the networks.
        seed: As for `Learner`.
        device: As for `Learner`.
    """

    def __init__(
        self,
        actor: Actor,
        critics: Critics,
        config: LearnerConfig,
        draw_steps: Callable[[int], ChunkBatch],
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(actor, critics, config, seed=seed, device=device)
        self._draw_steps = draw_steps

    def update_critic(self, batch: ChunkBatch) -> Metrics:
        """One step of the critics on as many single steps as the batch has rows."""
        return super().update_critic(self._draw_steps(len(batch)).to(self.device))
