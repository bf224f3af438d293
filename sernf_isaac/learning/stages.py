"""The four stages of SERNF as data: which updates run, on which rows (paper IV-D, Alg. 3)."""

from dataclasses import dataclass
from enum import StrEnum

from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics


class PolicyUpdate(StrEnum):
    """What a stage does to the policy."""

    IMITATE = "imitate"
    FROZEN = "frozen"
    IMPROVE = "improve"


@dataclass(frozen=True)
class Stage:
    """One stage; `update` is all that happens in one of its steps."""

    name: str
    policy: PolicyUpdate
    critic: bool
    """Whether the critics learn."""

    def update(self, learner: Learner, batch: ChunkBatch) -> Metrics:
        """One step: the critics first, then the policy against them."""
        batch = batch.to(learner.device)
        metrics = learner.update_critic(batch) if self.critic else {}
        if self.policy is PolicyUpdate.IMITATE:
            metrics |= learner.update_imitation(batch)
        elif self.policy is PolicyUpdate.IMPROVE:
            metrics |= learner.update_policy(batch)
        return metrics


IMITATION = Stage("imitation", PolicyUpdate.IMITATE, critic=False)
"""I: maximum likelihood on successful demonstrations."""
WARM_UP = Stage("warm_up", PolicyUpdate.FROZEN, critic=True)
"""II: the critics learn the value of the frozen policy."""
OFFLINE = Stage("offline", PolicyUpdate.IMPROVE, critic=True)
"""III: the policy seeks value and stays near all offline data."""
ONLINE = Stage("online", PolicyUpdate.IMPROVE, critic=True)
"""IV: the same on a mix of offline and online data; only offline rows are imitated."""
STAGES = {stage.name: stage for stage in (IMITATION, WARM_UP, OFFLINE, ONLINE)}


@dataclass(frozen=True)
class Unequal(Stage):
    """A stage whose critics take several steps for each one of the policy, on parts of a batch."""

    critic_updates: int = 1

    def update(self, learner: Learner, batch: ChunkBatch) -> Metrics:
        """The policy learns from the last part only."""
        *first, last = (_part(batch, i, self.critic_updates) for i in range(self.critic_updates))
        for part in first:
            learner.update_critic(part)
        return super().update(learner, last)


def unequal(stage: Stage, critic_updates: int) -> Stage:
    """The stage with so many steps of the critics in one of its own."""
    return Unequal(stage.name, stage.policy, stage.critic, critic_updates)


def _part(batch: ChunkBatch, index: int, parts: int) -> ChunkBatch:
    """Every `parts`-th row, from `index` on: offline and online rows are dealt out alike."""
    if parts == 1:
        return batch
    values = {}
    for name, value in vars(batch).items():
        rows = slice(index, None, parts)
        values[name] = (
            {key: group[rows] for key, group in value.items()}
            if isinstance(value, dict)
            else value[rows]
        )
    return ChunkBatch(**values)
