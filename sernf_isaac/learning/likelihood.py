"""How likely the policy finds data during a training: imitated chunks, and those nobody imitates.

The loss of imitation does not tell, because dropout is in it. Both are measured alike here.
"""

import torch

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.leash import has_likelihood, nats_per_number
from sernf_isaac.models.draws import normal

IMITATED = "imitated/nats_per_number"
"""Name of a metric; of held-out data it is `leash.HELD_OUT`."""


class Likelihood:
    """Measures a learner's policy; draws no random numbers and changes nothing.

    Args:
        learner: Knows the rows that are held out, if there are any.
        rows: That are imitated, scaled; None: there are none.
    """

    def __init__(self, learner: Learner, rows: ChunkBatch | None) -> None:
        self._learner, self._rows = learner, None
        if rows is not None and has_likelihood(learner.actor):
            self._rows = rows.to(learner.device)
            draw = torch.Generator(learner.device).manual_seed(0)
            self._noise = normal(torch.empty_like(self._rows.chunk), draw)

    def measure(self) -> dict[str, float]:
        """Nats per number; nothing for policies without a likelihood."""
        learner, rows = self._learner, self._rows
        if rows is None:
            return {}
        imitated = nats_per_number(learner.acting, rows, self._noise).mean()
        return {IMITATED: float(imitated)} | learner.leash.likelihood(learner.acting)
