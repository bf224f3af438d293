"""The four stages of SERNF as data: which updates run, on which rows (paper IV-D, Alg. 3)."""

from dataclasses import dataclass
from enum import StrEnum

from sernf_isaac.data.windows import ChunkBatch
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
