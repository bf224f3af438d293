"""One optimiser step that changes nothing if loss or gradient are not finite."""

import torch
from torch import Tensor, nn

from sernf_isaac.config import OptimizerConfig
from sernf_isaac.learning.workers import Workers


class GuardedAdamW(torch.optim.AdamW):
    """AdamW over a network's trained weights, with a bound on the gradient (paper App. G).

    Args:
        network: Weights without gradients stay as they are.
        learning_rate: To begin with.
        config: Decay, and the bound.
    """

    def __init__(self, network: nn.Module, learning_rate: float, config: OptimizerConfig) -> None:
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        super().__init__(trained, lr=learning_rate, weight_decay=config.weight_decay, fused=True)
        self._network, self._bound = network, config.max_grad_norm
        self._skipped: Tensor | float = 0.0

    def descend(self, loss: Tensor, workers: Workers) -> Tensor:
        """One step, unless loss or gradient of any process are not finite.

        Nobody waits for a GPU here: the optimiser looks at a flag on the device, `skipped` later.

        Returns:
            The gradient's norm.
        """
        self.zero_grad(set_to_none=True)
        loss.backward()
        workers.average_gradients(self._network)
        weights = list(self._network.parameters())
        norm = nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
        broken = 1.0 - (torch.isfinite(loss) & torch.isfinite(norm)).float()
        broken = workers.average(broken).ceil()  # of one is of all
        if self._bound is not None:
            nn.utils.clip_grads_with_norm_(weights, self._bound, norm)
        self.found_inf = broken  # fused optimisers look for it
        self.step()
        self._skipped = self._skipped + broken
        return norm

    def skipped(self) -> int:
        """Steps since the last call that changed nothing; a GPU is waited for."""
        count, self._skipped = int(self._skipped), 0.0
        return count
