"""How the reflex behind a student's chunks learns: what the teacher would do now, minus the chunk.

It learns in the same rollouts as the chunks, at every step: the student may have decided before the
object slipped, the teacher has seen it. A part of the gap that nobody could see averages out.
"""

import torch
from torch import Tensor

from sernf_isaac.data.normalizer import ACTION
from sernf_isaac.devices import sent_to
from sernf_isaac.learning.distill.memory import RolloutMemory
from sernf_isaac.learning.workers import Workers
from sernf_isaac.policy import ChunkPolicy

LEARNING_RATE = 1e-3


class ReflexLearner:
    """AdamW on the squared gap between a policy's reflex and what would make it the teacher.

    Args:
        policy: Has a reflex, which is changed.
        workers: The processes that learn together.
    """

    def __init__(self, policy: ChunkPolicy, workers: Workers) -> None:
        assert policy.reflex is not None, "there is a reflex to learn"
        self._policy, self._reflex, self._workers = policy, policy.reflex, workers
        self._optimizer = torch.optim.AdamW(self._reflex.parameters(), LEARNING_RATE, fused=True)
        workers.share_weights(self._reflex)

    def update(
        self, memory: RolloutMemory, batch_size: int, draw: torch.Generator, rate_share: float
    ) -> dict[str, Tensor]:
        """One step on `batch_size` steps of the memory; gaps count in parts of the bound.

        Returns:
            `reflex/loss`, and `reflex/explained`: the part of the gaps' square that it takes away;
            gaps beyond the bound count as the bound.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate_share * LEARNING_RATE
        observation, queued, label = memory.sample_steps(batch_size, draw)
        policy, device = self._policy, self._policy.device
        scaled = {
            name: policy.normalizer.normalize(name, sent_to(value, device).float())
            for name, value in observation.items()
        }
        queued, label = sent_to(queued, device).float(), sent_to(label, device).float()
        bound = self._reflex.bound
        gap = (label - queued).clamp(-bound, bound) / bound
        moved = self._reflex(scaled, policy.normalizer.normalize(ACTION, queued)) / bound
        loss = (moved - gap).square().mean()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._workers.average_gradients(self._reflex)
        self._optimizer.step()
        before = gap.square().mean()
        explained = 1.0 - loss.detach() / before.clamp(min=1e-12)
        return {"reflex/loss": loss.detach(), "reflex/explained": explained}

    def state_dict(self) -> dict:
        """Weights and optimiser."""
        return {"reflex": self._reflex.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`.

        Raises:
            ValueError: If the reflex has another size.
        """
        try:
            self._reflex.load_state_dict(state["reflex"])
        except RuntimeError as error:
            raise ValueError(f"this state has another reflex: {error}") from error
        self._optimizer.load_state_dict(state["optimizer"])
