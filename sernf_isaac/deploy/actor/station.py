"""What episodes are run with: hand, policy, eyes, task, operator and clock of one machine."""

from dataclasses import dataclass, field

from sernf_isaac.deploy.actor.witness import Nobody, Witness
from sernf_isaac.deploy.loop.messages import HandLink
from sernf_isaac.deploy.policy.local import PolicyLink
from sernf_isaac.deploy.protocols import Clock, HandDescription, Operator, PoseSource, Task


@dataclass(frozen=True)
class Station:
    """A machine that can run episodes."""

    hand: HandLink
    description: HandDescription
    policy: PolicyLink
    pose_source: PoseSource
    task: Task
    operator: Operator
    clock: Clock
    """Shared with the hand."""
    witness: Witness = field(default_factory=Nobody)
    """Who looks on; must not make anybody wait."""
