"""The one place that cuts time: episodes become the decisions the learner trains on (paper Fig. 7).

At a decision at step t the policy sees o_t (and the history before it) and the prefix
a_t .. a_{t+P-1} that is already queued, and predicts the chunk a_{t+P} .. a_{t+P+H-1}. The next
decision falls on step t+H, and its prefix is the last P actions of the chunk. So a decision earns
r_t .. r_{t+H-1}, discounted from the first on (paper eq. 1, Alg. 3; eq. 2 starts one step later),
and the next one is worth discount^H.

The last P actions of a chunk are executed after the window. Rewards and the next observation do not
depend on them, so whatever stands there gives an exact transition as long as the next prefix is the
same: that is why an episode's end may be padded for the critic, but never for imitation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.pose_frame import pose_in, relative_to


@dataclass
class Windows:
    """W windows, as rows of padded arrays of R rows; `gather` turns them into a batch."""

    observation: dict[str, Tensor]
    """(R, ...) by group."""
    action: Tensor
    """(R, A)"""
    row: Tensor
    """(W,) row of each window's decision."""
    reward: Tensor
    discount: Tensor
    imitate: Tensor
    is_offline: Tensor
    succeeded: Tensor

    def __len__(self) -> int:
        return len(self.row)


def find_starts(episode: Episode, spec: ChunkSpec) -> Array:
    """(W,) steps at which a window may start.

    | in steps t .. t+H-1       | window                                                        |
    |---------------------------|---------------------------------------------------------------|
    | nothing happens           | kept; the next decision counts discount^H                     |
    | terminates                | kept (see `drop_early_terminals`); the next counts 0          |
    | stopped before t+H        | dropped: nobody saw what the rest was worth                   |
    | stopped exactly at t+H    | kept if the final observation is known: bootstraps from there |
    | an action is overridden   | dropped; this counts as a stop before that action             |

    No window reaches into another episode, because episodes are cut one by one. The first decision
    of an episode needs no rule of its own: the actions executed while it was computed (holding
    still) are its prefix. Late decisions need none either: prefixes are executed actions.
    """
    steps, horizon = len(episode), spec.horizon
    start = np.arange(steps)
    length, terminates = _lengths(episode, spec)
    last_end = steps if episode.final_observation else steps - 1
    complete = start + horizon <= last_end
    in_time = length == horizon if spec.drop_early_terminals else np.ones(steps, bool)
    valid = np.where(terminates, in_time, complete)
    valid &= _next_true(episode.overridden) >= start + length
    if spec.align_to_decisions:
        valid &= episode.decision
    return np.flatnonzero(valid)


def cut(episode: Episode, spec: ChunkSpec) -> Windows:
    """All windows of an episode.

    Raises:
        ValueError: If `spec.history_keys` or `spec.pose_frame` name a group that the episode does
            not have, or that holds no poses.
    """
    if unknown := [key for key in spec.history_keys if key not in episode.observation]:
        raise ValueError(
            f"history_keys {unknown} are no observation groups; the episode has "
            f"{sorted(episode.observation)}"
        )
    _check_pose_frame(episode, spec)
    start = find_starts(episode, spec)
    length, terminates = (values[start] for values in _lengths(episode, spec))
    offsets = np.arange(spec.horizon)
    steps = np.minimum(start[:, None] + offsets, len(episode) - 1)  # (W, H)
    weights = spec.discount**offsets * (offsets < length[:, None])
    reward = (episode.reward[steps].astype(np.float64) * weights).sum(axis=1)
    observation, action = _padded(episode, spec)
    return Windows(
        observation=observation,
        action=action,
        row=torch.from_numpy(start + spec.history - 1),
        reward=torch.from_numpy(reward.astype(np.float32)),
        discount=torch.from_numpy(
            np.where(terminates, 0.0, spec.discount**spec.horizon).astype(np.float32)
        ),
        imitate=torch.from_numpy(_may_be_imitated(episode, spec, start)),
        is_offline=torch.full((len(start),), episode.is_offline),
        succeeded=torch.full((len(start),), episode.outcome == "success"),
    )


def gather(windows: Windows, index: Tensor, spec: ChunkSpec) -> ChunkBatch:
    """The batch of the windows with these numbers.

    Args:
        windows: From `cut` with the same `spec`, or several of them joined.
        index: (B,) long, in 0..W-1.
    """
    row = windows.row[index]
    prefix, horizon = spec.prefix, spec.horizon
    actions = windows.action[steps_of(row, spec)]  # (B, P+H, A)
    observation = _observe(windows, row, spec)
    next_observation = _observe(windows, row + horizon, spec)
    next_prefix = actions[:, horizon:]
    if spec.pose_frame is not None:  # each in the frame of its own decision
        actions = relative_to(pose_in(observation, spec.pose_frame), actions)
        next_prefix = relative_to(pose_in(next_observation, spec.pose_frame), next_prefix)
    return ChunkBatch(
        observation=observation,
        prefix=actions[:, :prefix],
        chunk=actions[:, prefix:],
        reward=windows.reward[index],
        discount=windows.discount[index],
        next_observation=next_observation,
        next_prefix=next_prefix,
        imitate=windows.imitate[index],
        is_offline=windows.is_offline[index],
        succeeded=windows.succeeded[index],
    )


def actions_as_learned(episode: Episode, spec: ChunkSpec) -> Array:
    """(N, A) all actions of an episode as prefixes and chunks hold them: what a scale is fitted to.

    Raises:
        ValueError: As for `cut`.
    """
    if spec.pose_frame is None:
        return episode.action
    batch = make_batch(episode, spec)
    parts = (batch.prefix, batch.chunk, batch.next_prefix)
    return torch.cat([part.flatten(0, 1) for part in parts]).numpy()


def make_batch(episode: Episode, spec: ChunkSpec) -> ChunkBatch:
    """All windows of one episode as one batch, in order of time.

    Raises:
        ValueError: As for `cut`.
    """
    windows = cut(episode, spec)
    return gather(windows, torch.arange(len(windows)), spec)


def steps_of(row: Tensor, spec: ChunkSpec, stride: int = 1) -> Tensor:
    """(B, P + H) rows of the actions of windows: those queued at the decision, then the chunk.

    Args:
        row: (B,) rows of the decisions.
        spec: P and H.
        stride: Rows from one step to the next: N where N environments lie side by side.
    """
    return row[:, None] + stride * torch.arange(spec.prefix + spec.horizon, device=row.device)


def unbroken(done: Tensor, spec: ChunkSpec) -> Tensor:
    """Where all P + H actions of a window are of one episode, (T - P - H + 1, N) bool.

    Args:
        done: (T, N) bool: an episode ended with this step.
        spec: P and H.
    """
    length = spec.prefix + spec.horizon
    if length == 1:
        return torch.ones_like(done)
    starts = len(done) - length + 1
    return ~torch.stack([done[step : step + starts] for step in range(length - 1)]).any(dim=0)


def _check_pose_frame(episode: Episode, spec: ChunkSpec) -> None:
    if spec.pose_frame is not None:
        seen = {name: torch.from_numpy(value) for name, value in episode.observation.items()}
        poses = pose_in(seen, spec.pose_frame)
        relative_to(poses, torch.from_numpy(episode.action)[:, None])  # raises unless all are


def _observe(windows: Windows, row: Tensor, spec: ChunkSpec) -> dict[str, Tensor]:
    past = row[:, None] + torch.arange(1 - spec.history, 1)  # (B, O)
    return {
        name: value[past if name in spec.history_keys else row]
        for name, value in windows.observation.items()
    }


def _lengths(episode: Episode, spec: ChunkSpec) -> tuple[Array, Array]:
    """(T,) steps a window from here lasts, and (T,) whether it terminates."""
    to_end = _next_true(episode.terminated) - np.arange(len(episode)) + 1
    return np.minimum(to_end, spec.horizon), to_end <= spec.horizon


def _next_true(flag: Array) -> Array:
    """(T,) first step from here on at which `flag` is true; far beyond the end if never."""
    steps = np.where(flag, np.arange(len(flag)), np.iinfo(np.int32).max)
    return np.minimum.accumulate(steps[::-1])[::-1]


def _may_be_imitated(episode: Episode, spec: ChunkSpec, start: Array) -> Array:
    """(W,) bool: the chunk was executed to its end, and safety replaced none of it."""
    end = start + spec.prefix + spec.horizon
    first_override = _next_true(episode.overridden)[start]
    return (end <= len(episode)) & (first_override >= end)


def _padded(episode: Episode, spec: ChunkSpec) -> tuple[dict[str, Tensor], Tensor]:
    """Observations and actions with rows added so that every window's indices exist.

    Before the start the first observation is repeated. After the end comes the final observation
    (or the last one), again and again; and the planned actions, then the last of them.
    """
    before, after = spec.history - 1, spec.prefix + spec.horizon
    observation = {}
    for name, value in episode.observation.items():
        final = episode.final_observation.get(name, value[-1])
        rows = (
            np.repeat(value[:1], before, 0),
            value,
            np.repeat(np.asarray(final)[None], after, 0),
        )
        observation[name] = torch.from_numpy(np.concatenate(rows))
    planned = episode.planned[:after]
    known = np.concatenate([np.repeat(episode.action[:1], before, 0), episode.action, planned])
    missing = before + len(episode) + after - len(known)
    action = np.concatenate([known, np.repeat(known[-1:], missing, 0)])
    return observation, torch.from_numpy(action)
