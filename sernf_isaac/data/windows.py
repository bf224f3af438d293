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

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.pose_frame import pose_in, relative_to


@dataclass
class ChunkSpec:
    """How one control decision is cut out of time; the defaults are the paper's in-hand task."""

    history: int = 4
    """O: observation steps the policy sees, repeating the first at an episode's start."""
    prefix: int = 2
    """P: queued actions the policy is conditioned on; never predicted. 0: no latency to cover.
    At most H, unless H is 1: then each step adds one action to the queue."""
    horizon: int = 6
    """H: actions predicted per decision."""
    discount: float = 0.997
    """Per control step (gamma)."""
    history_keys: tuple[str, ...] = ("history",)
    """Observation groups given as history; all others as of the decision only."""
    align_to_decisions: bool = False
    """Cut only where the policy decided, instead of at every step."""
    drop_early_terminals: bool = False
    """Drop windows that terminate before their last step, as Q-chunking does; the paper is silent.
    Kept by default: a drop is the only failure signal, and its target is exact."""
    pad_with_plan: bool = True
    """After a termination continue the chunk with what was still queued; False repeats the last
    action."""
    pose_frame: str | None = None
    """Observation group with the hand's pose (x y z, xyzw). Where given, the first seven numbers of
    stored actions are a pose too, and prefixes and chunks hold it relative to the one observed at
    their own decision (paper E.3); see `pose_frame.py`. Null: actions as they are."""

    def __post_init__(self) -> None:
        if self.history < 1 or self.horizon < 1:
            raise ValueError(f"history ({self.history}) and horizon ({self.horizon}) must be >= 1")
        if self.history > 1 and not self.history_keys:
            raise ValueError(f"history ({self.history}) needs history_keys: which groups have one?")
        if self.prefix < 0 or self.prefix > self.horizon > 1:
            raise ValueError(f"prefix ({self.prefix}) must be in 0..horizon ({self.horizon})")
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount ({self.discount}) must be in 0..1")


@dataclass
class ChunkBatch:
    """B decisions, what they were worth until the next one, and that next one."""

    observation: dict[str, Tensor]
    """History groups (B, O, F), oldest first; other groups (B, F)."""
    prefix: Tensor
    """(B, P, A)"""
    chunk: Tensor
    """(B, H, A)"""
    reward: Tensor
    """(B,) discounted sum of the rewards inside the window; the first is not discounted."""
    discount: Tensor
    """(B,) discount^H, or 0 when the window terminated."""
    next_observation: dict[str, Tensor]
    """As `observation`, at the next decision; arbitrary where `discount` is 0."""
    next_prefix: Tensor
    """(B, P, A), the last P actions of `prefix` and `chunk`; relative to `next_observation` where
    poses are relative."""
    imitate: Tensor
    """(B,) bool: all of the chunk was executed by choice, so that imitation may use it."""
    is_offline: Tensor
    """(B,) bool"""

    def __len__(self) -> int:
        return len(self.reward)

    def to(self, device: torch.device | str) -> "ChunkBatch":
        """The same batch on another device."""
        return ChunkBatch(
            observation={name: value.to(device) for name, value in self.observation.items()},
            prefix=self.prefix.to(device),
            chunk=self.chunk.to(device),
            reward=self.reward.to(device),
            discount=self.discount.to(device),
            next_observation={k: value.to(device) for k, value in self.next_observation.items()},
            next_prefix=self.next_prefix.to(device),
            imitate=self.imitate.to(device),
            is_offline=self.is_offline.to(device),
        )


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
    | safety replaces an action | dropped; this counts as a stop before that action             |

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
    )


def gather(windows: Windows, index: Tensor, spec: ChunkSpec) -> ChunkBatch:
    """The batch of the windows with these numbers.

    Args:
        windows: From `cut` with the same `spec`, or several of them joined.
        index: (B,) long, in 0..W-1.
    """
    row = windows.row[index]
    prefix, horizon = spec.prefix, spec.horizon
    actions = windows.action[row[:, None] + torch.arange(prefix + horizon)]  # (B, P+H, A)
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


def hold_prefix(hold: Tensor, spec: ChunkSpec) -> Tensor:
    """What to queue before the first decision of an episode: stay there, (..., A) -> (..., P, A).

    Executed and logged like any other action, it becomes the first decision's prefix in training.
    """
    return hold.unsqueeze(-2).expand(*hold.shape[:-1], spec.prefix, hold.shape[-1])


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
    plan = episode.planned if spec.pad_with_plan else episode.planned[:0]
    known = np.concatenate([np.repeat(episode.action[:1], before, 0), episode.action, plan[:after]])
    missing = before + len(episode) + after - len(known)
    action = np.concatenate([known, np.repeat(known[-1:], missing, 0)])
    return observation, torch.from_numpy(action)
