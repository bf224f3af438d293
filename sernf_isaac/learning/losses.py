"""The learner's losses: pure functions that return `(loss, metrics)` (paper eqs. 7 and 8, Alg. 3).

They take what networks have computed and know no networks.
"""

import torch
from torch import Tensor

Metrics = dict[str, Tensor]
"""Detached scalars by name; tensors, so that a GPU is not waited for."""


def imitation_loss(
    log_prob: Tensor, rows: Tensor, per_number: int = 1, count: Tensor | None = None
) -> tuple[Tensor, Metrics]:
    """Negative log-likelihood of data chunks (eq. 8), over the rows that may be imitated.

    Args:
        log_prob: (B,) exact log-likelihood of each row's chunk.
        rows: (B,) bool; the mean is taken over these. None of them: the loss is 0.
        per_number: Divide by this; H·A gives nats per number instead of per chunk.
        count: How many rows to divide by; None: those of this batch. Processes that share a batch
            give their mean, so that the mean of their losses is that of the whole.
    """
    count = rows.sum().float() if count is None else count
    some = count.where(count > 0, 1.0)
    loss = -torch.where(rows, log_prob, 0.0).sum() / some / per_number
    return loss, {"actor/bc": loss.detach(), "actor/bc_rows": count}


def bootstrap_target(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """What a decision was worth (eq. 7): its rewards, and the pessimistic value of the next one.

    Args:
        reward: (B,) discounted sum of the rewards until the next decision.
        discount: (B,) weight of the next decision; 0 where the episode terminated.
        next_value: (B,) the least of the target critics' values of the policy's next chunk.

    Returns:
        (B,)
    """
    return reward + discount * next_value


def improvement_loss(
    value: Tensor,
    imitation: Tensor,
    *,
    imitation_weight: Tensor | float,
    value_weight: Tensor | float = 1.0,
    scaled: bool = False,
) -> tuple[Tensor, Metrics]:
    """The policy's loss in stages III and IV: seek value, stay near the data (eq. 4, Alg. 3, IV-D).

    Algorithm 3 prints the value term with the other sign; the text of IV-D maximises it.

    Args:
        value: (E, B) of the policy's own chunks, differentiable in the policy.
        imitation: Scalar `imitation_loss`.
        imitation_weight: λ.
        value_weight: Of the value; the paper has 1.
        scaled: Divide the value by its mean size in the batch; the paper does not.
    """
    pessimistic = value.min(dim=0).values
    sought = pessimistic.mean()
    if scaled:
        sought = sought / pessimistic.detach().abs().mean().clamp(min=1e-6)
    loss = -value_weight * sought + imitation_weight * imitation
    disagreement = value.detach().amax(dim=0) - value.detach().amin(dim=0)
    return loss, {
        "actor/loss": loss.detach(),
        "actor/value": pessimistic.detach().mean(),
        "actor/disagreement": disagreement.mean(),
    }
