"""The two networks everything else passes around: the policy, and the critics that judge it."""

from torch import Tensor, nn

from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.flow import FlowPolicy

Observation = dict[str, Tensor]
PREFIX = "prefix"
"""Name under which encoders see the queued actions."""


class Actor(nn.Module):
    """The policy: what is seen becomes tokens, tokens become a distribution over chunks."""

    def __init__(self, encoder: nn.Module, flow: FlowPolicy) -> None:
        super().__init__()
        self.encoder, self.flow = encoder, flow


class Critics(nn.Module):
    """The critics with an encoder of their own, which the policy's loss cannot move."""

    def __init__(self, encoder: nn.Module, critic: ChunkCritic) -> None:
        super().__init__()
        self.encoder, self.critic = encoder, critic


def seen(observation: Observation, prefix: Tensor) -> Observation:
    """All that a decision depends on: what was observed, and what is already queued (B, P, A)."""
    return observation | {PREFIX: prefix}
