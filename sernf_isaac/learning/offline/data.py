"""Stored episodes as batches for stages I to III: sizes, scales, cameras, and what may change."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.group_names import is_learnable, learnable
from sernf_isaac.data.images.bank import ImageBank, cameras_of
from sernf_isaac.data.normalizer import ACTION, Normalizer
from sernf_isaac.data.replay import Replay
from sernf_isaac.data.windows import actions_as_learned
from sernf_isaac.learning.offline.config import OfflineStages
from sernf_isaac.learning.stages import IMITATION, Stage
from sernf_isaac.learning.workers import Workers

MEASURED_ROWS = 256
"""Most rows on which the likelihood of data is measured."""


@dataclass(frozen=True)
class Sizes:
    """What the data hold, by name since files do not keep groups in order."""

    features: dict[str, int]
    """F of each observation group of numbers."""
    cameras: dict[str, list[int]]
    """(3, h, w) of each group of images."""
    action_dim: int


class OfflineSampler:
    """Batches for stages I to III, scaled for the networks; demonstrations only where asked for.

    Args:
        run: Settings.
        episodes: By name; cameras are groups (T, 3, h, w) of bytes.
        normalizer: Of actions and all groups of numbers.
        bank: Where images go; None: into a new one, as they are.
        workers: Processes among which batches are dealt out; each gets as many rows as `run` says.
        held_out: Names of the episodes that nobody imitates; None: as `held_out_names` chooses.

    Raises:
        ValueError: If there is nothing to imitate.
    """

    def __init__(
        self,
        run: OfflineStages,
        episodes: dict[str, Episode],
        normalizer: Normalizer,
        bank: ImageBank | None = None,
        workers: Workers | None = None,
        held_out: Collection[str] | None = None,
    ) -> None:
        self._run, self._normalizer, self._workers = run, normalizer, workers or Workers()
        self._bank = bank or ImageBank({c: None for e in episodes.values() for c in cameras_of(e)})
        draw = torch.Generator().manual_seed(run.seed)
        self._all = Replay(run.spec, draw)
        self._demonstrations = Replay(run.spec, draw) if run.successes_only else self._all
        self._held_out = Replay(run.spec, draw)
        held_out = held_out_names(run, episodes) if held_out is None else held_out
        self._data = {"normalizer": normalizer.state_dict(), "episodes": digest(episodes)}
        for name, stored in episodes.items():
            taken = self._bank.take(stored)
            episode = replace(taken, is_offline=True)  # whoever recorded it, it is here before us
            kept = name in held_out
            self._all.add(episode, name, imitable=not kept)
            if kept:
                self._held_out.add(episode, name)
            elif run.successes_only and episode.outcome == "success":
                self._demonstrations.add(episode, name)
        if not self._demonstrations.num_imitable:
            what = "successful episodes" if run.successes_only else "episodes"
            needed = run.spec.prefix + run.spec.horizon
            raise ValueError(f"the data hold no {what} of at least {needed} steps to imitate")

    def held_out(self) -> ChunkBatch | None:
        """Rows that nobody imitates, scaled for the networks; None: there are none."""
        return self._measured(self._held_out)

    def imitated(self) -> ChunkBatch | None:
        """Rows that stage I imitates, likewise; the same each time."""
        return self._measured(self._demonstrations)

    def draw(self, stage: Stage) -> ChunkBatch:
        """A fresh batch for this stage."""
        imitation = stage is IMITATION
        replay = self._demonstrations if imitation else self._all
        own = self._run.batch_size if imitation else self._run.rl_batch_size
        whole = own * self._workers.count
        drawn = replay.sample(whole, self._workers.rows(whole))
        scaled = self._normalizer.normalize_batch(self._bank.split(drawn))
        return self._bank.fill(scaled, drawn)

    def _measured(self, replay: Replay) -> ChunkBatch | None:
        rows = replay.imitable_rows(MEASURED_ROWS)
        if rows is None:
            return None
        return self._bank.fill(self._normalizer.normalize_batch(self._bank.split(rows)), rows)

    def state_dict(self) -> dict:
        """What the next batches depend on, and what the data were."""
        return {"replay": self._all.state_dict()} | self._data

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`.

        Raises:
            ValueError: If the data have changed since.
        """
        known, mine = state["normalizer"], self._data["normalizer"]
        same_ranges = known.keys() == mine.keys() and all(
            torch.equal(known[name], mine[name]) for name in mine
        )
        if not same_ranges or state["episodes"] != self._data["episodes"]:
            raise ValueError("the data have changed since this run was started; start a new one")
        self._all.load_state_dict(state["replay"])


def held_out_names(run: OfflineStages, episodes: Mapping[str, Episode]) -> frozenset[str]:
    """The episodes that nobody imitates, in all stages: at least one, if a share is asked for.

    They are drawn by `run.seed` among those that stage I would imitate.

    Raises:
        ValueError: If nothing would be left to imitate.
    """
    if not run.held_out_share:
        return frozenset()
    imitated = [
        name
        for name, episode in episodes.items()
        if episode.outcome == "success" or not run.successes_only
    ]
    count = max(1, round(run.held_out_share * len(imitated)))
    if count >= len(imitated):
        raise ValueError(
            f"held_out_share ({run.held_out_share}) leaves none of {len(imitated)} episodes to "
            "imitate; take less, or 0"
        )
    order = torch.randperm(len(imitated), generator=torch.Generator().manual_seed(run.seed))
    return frozenset(imitated[index] for index in order[:count].tolist())


def sizes_of(episodes: dict[str, Episode]) -> Sizes:
    """Sizes of all observation groups and of actions.

    Raises:
        ValueError: If a group is neither numbers nor images or has a name that is taken, or if
            episodes differ.
    """
    first_name, first = next(iter(episodes.items()))
    groups = sorted(first.observation)
    if odd := [name for name in groups if not is_learnable(name)]:
        better = ", ".join(learnable(name) for name in odd)
        raise ValueError(f"observation groups cannot be called {odd}; {better} would do")
    cameras = cameras_of(first)
    for name, episode in episodes.items():
        if sorted(episode.observation) != groups or episode.action_dim != first.action_dim:
            raise ValueError(f"{name} has other observation groups or actions than {first_name}")
        if (found := cameras_of(episode)) != cameras:
            raise ValueError(f"{name} has images {found}, {first_name} has {cameras}")
    numbers = [name for name in groups if name not in cameras]
    features = {name: first.observation[name].shape[1] for name in numbers}
    return Sizes(features, {name: cameras[name] for name in sorted(cameras)}, first.action_dim)


def fit_normalizer(
    episodes: Iterable[Episode],
    features: dict[str, int],
    min_range: float,
    spec: ChunkSpec | None = None,
) -> Normalizer:
    """Ranges of all groups of numbers, and of actions (as `spec` cuts them), over all episodes."""
    kept = list(episodes)
    data = {name: np.concatenate([e.observation[name] for e in kept]) for name in features}
    actions = [actions_as_learned(e, spec) if spec else e.action for e in kept]
    data[ACTION] = np.concatenate(actions)
    return Normalizer.from_data(data, min_range=min_range)


def digest(episodes: dict[str, Episode]) -> str:
    """Changes when names or contents of the episodes do."""
    found = hashlib.sha256()
    for name, episode in episodes.items():
        found.update(f"{name} {episode.outcome}".encode())
        for key, value in sorted(episode.to_arrays().items()):
            found.update(key.encode())
            found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()
