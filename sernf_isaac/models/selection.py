"""Which chunk to execute: the one the critics like best (paper Alg. 2), or the likeliest.

Candidates are drawn and judged without gradients. Whoever needs a gradient decodes the winner's
latent again, which costs one chunk instead of K.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sernf_isaac.models.critic import ChunkCritic
from sernf_isaac.models.draws import Source
from sernf_isaac.models.flow import FlowContext, FlowPolicy


@dataclass(frozen=True)
class Choice:
    """One chunk per row, and how it came to be chosen."""

    chunk: Tensor  # (B, H, A) in [-1, 1]
    latent: Tensor  # (B, H, A) that decodes to it
    value: Tensor  # (B,) pessimistic value of the winner
    candidate_values: Tensor  # (B, K)


@torch.no_grad()
def choose_by_value(
    flow: FlowPolicy,
    critic: ChunkCritic,
    context: FlowContext,
    critic_tokens: Tensor,
    *,
    candidates: int,
    sigma: float,
    generator: Source = None,
    members: Tensor | None = None,
) -> Choice:
    """The candidate with the greatest minimum over critics (Alg. 2).

    Args:
        context: The policy's observation-only work for B observations.
        critic_tokens: (B, S, D) observation tokens of the critics.
        candidates: K chunks per observation.
        sigma: Standard deviation of the latent.
        generator: Of the latents.
        members: Numbers of the critics that count; None: all.
    """
    latents = flow.draw_latents(context, candidates, sigma, generator)
    return best_by_value(flow, critic, context, critic_tokens, latents, members=members)


def best_by_value(
    flow: FlowPolicy,
    critic: ChunkCritic,
    context: FlowContext,
    critic_tokens: Tensor,
    latents: Tensor,
    *,
    members: Tensor | None = None,
) -> Choice:
    """The same, of candidates that are given by their latents (B, K, H, A)."""
    chunks, _ = flow.decode(latents, context)  # (B, K, H, A)
    each = critic.value_of_candidates(chunks, critic_tokens)  # (E, B, K)
    each = each if members is None else each[members]
    values = each.amin(dim=0)
    value, winner = values.max(dim=1)
    rows = torch.arange(len(winner), device=winner.device)
    return Choice(chunks[rows, winner], latents[rows, winner], value, values)


def best_by_likelihood(
    flow: FlowPolicy, context: FlowContext, latents: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the candidates with latents (B, K, H, A) the likeliest chunk, (B, H, A) (IV-D-a).

    Returns:
        That chunk, and the log-likelihoods (B, K) of all of them.
    """
    chunks, log_prob = flow.decode(latents, context)
    winner = log_prob.argmax(dim=1)
    return chunks[torch.arange(len(winner), device=winner.device), winner], log_prob


def executed(flow: FlowPolicy, latent: Tensor, context: FlowContext) -> tuple[Tensor, Tensor]:
    """The chunk (B, H, A) of a latent as it is executed, and the clipped share of its numbers.

    Clipping is passed over by the gradient: otherwise the critics could never pull an action back
    from its bound.
    """
    chunk, _ = flow.from_latent(latent, context)
    excess = (chunk.clamp(-1.0, 1.0) - chunk).detach()
    return chunk + excess, (excess != 0.0).float().mean()
