"""Replay: episodes in memory, all windows in reach, batches mixed from offline and online data."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.windows import Windows, cut, gather

RULES = ("fixed", "proportional", "uniform")


@dataclass
class Mixing:
    """How many rows of a batch are offline data; with only one kind at hand, all rows are of it."""

    rule: str = "fixed"
    """"fixed": `offline_share` of every batch (simulation). "proportional": each row with
    probability w N_off / (w N_off + N_on), with the numbers of windows and w = `offline_share`
    (real robots). "uniform": all windows alike."""
    offline_share: float = 0.5
    """Share or weight of the offline data; 0.5 in the paper, with either rule (IV-D, App. G)."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"mixing rule {self.rule!r} is none of {RULES}")
        if not 0.0 <= self.offline_share <= 1.0:
            raise ValueError(f"offline share ({self.offline_share}) must be in 0..1")


class Replay:
    """Windows of all added episodes, sampled uniformly within the offline and the online ones.

    What is sampled depends on the generator and on the order of adding, and on nothing else.

    Args:
        spec: How to cut episodes.
        generator: Source of all randomness, on the CPU; its state is part of `state_dict`.
        mixing: How offline and online windows share a batch.
    """

    def __init__(
        self, spec: ChunkSpec, generator: torch.Generator, mixing: Mixing | None = None
    ) -> None:
        self.spec, self.mixing = spec, mixing or Mixing()
        self._generator = generator
        self._rows = _Table()  # padded observations and actions, one row per step
        self._windows = _Table()  # one row per window
        self._numbers = {True: _Table(), False: _Table()}  # numbers of offline and online windows
        self._episodes: dict[str, int] = {}

    def __len__(self) -> int:
        """Number of windows."""
        return self._windows.length

    @property
    def num_offline(self) -> int:
        """Number of offline windows."""
        return self._numbers[True].length

    @property
    def num_online(self) -> int:
        """Number of online windows."""
        return self._numbers[False].length

    @property
    def num_imitable(self) -> int:
        """Number of windows whose chunk may be imitated."""
        return int(self._windows["imitate"].sum()) if len(self) else 0

    def add(self, episode: Episode, name: str, *, imitable: bool = True) -> int:
        """Make an episode's windows available; returns how many there are.

        Args:
            episode: Copied, so the caller may change it.
            name: Unique, such as the id in the store.
            imitable: False: nobody imitates it.

        Raises:
            ValueError: If the name was added before, or the episode does not fit the others or
                the spec.
        """
        windows = cut(episode, self.spec)
        if name in self._episodes:
            raise ValueError(f"episode {name!r} was added before")
        steps = {f"observation.{k}": value for k, value in windows.observation.items()}
        steps["action"] = windows.action
        self._rows.check(steps, f"episode {name!r}")
        first = self._windows.length
        self._windows.append(
            {
                "row": windows.row + self._rows.length,
                "reward": windows.reward,
                "discount": windows.discount,
                "imitate": windows.imitate if imitable else torch.zeros_like(windows.imitate),
                "is_offline": windows.is_offline,
                "succeeded": windows.succeeded,
            }
        )
        self._rows.append(steps)
        numbers = torch.arange(first, self._windows.length)
        self._numbers[episode.is_offline].append({"number": numbers})
        self._episodes[name] = len(windows)
        return len(windows)

    def sample(self, batch_size: int, rows: Tensor | None = None) -> ChunkBatch:
        """A batch of B windows; offline rows come first under the rule "fixed".

        Args:
            batch_size: B.
            rows: Numbers of the rows to return; the others are drawn as well. None: all.

        Raises:
            ValueError: If there are no windows.
        """
        if not len(self):
            raise ValueError("the replay holds no windows")
        chosen = self._choose(batch_size)
        return gather(self._joined(), chosen if rows is None else chosen[rows], self.spec)

    def imitable_rows(self, most: int) -> ChunkBatch | None:
        """At most so many windows whose chunk may be imitated, spread evenly; None: there are none.

        Nothing is drawn at random.
        """
        numbers = self._windows["imitate"].nonzero()[:, 0] if len(self) else torch.empty(0)
        if not len(numbers):
            return None
        spread = torch.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().long()
        return gather(self._joined(), numbers[spread], self.spec)

    def state_dict(self) -> dict:
        """What resuming needs besides the episodes themselves: tensors and plain values."""
        return {"generator": self._generator.get_state(), "episodes": dict(self._episodes)}

    def load_state_dict(self, state: dict) -> None:
        """Continue with the batches that would have come next.

        Raises:
            ValueError: If not exactly the same episodes were added in the same order.
        """
        mine, theirs = list(self._episodes.items()), list(state["episodes"].items())
        if mine != theirs:
            changed = sorted({name for name, _ in set(mine) ^ set(theirs)})
            raise ValueError(
                f"the replay holds {len(mine)} episodes, the state {len(theirs)}; they must be "
                f"the same in the same order; first differences: {changed[:3]}"
            )
        self._generator.set_state(state["generator"])

    def _choose(self, batch_size: int) -> Tensor:
        offline, online = self.num_offline, self.num_online
        rule, weight = self.mixing.rule, self.mixing.offline_share
        if rule == "uniform" or not offline or not online:
            return self._draw(len(self), batch_size)
        if rule == "fixed":
            num_offline = round(weight * batch_size)
        else:
            share = weight * offline / (weight * offline + online)
            rows = torch.rand(batch_size, generator=self._generator)
            num_offline = int((rows < share).sum())
        return torch.cat(
            [
                self._numbers[True]["number"][self._draw(offline, num_offline)],
                self._numbers[False]["number"][self._draw(online, batch_size - num_offline)],
            ]
        )

    def _draw(self, count: int, size: int) -> Tensor:
        return torch.randint(count, (size,), generator=self._generator)

    def _joined(self) -> Windows:
        per_window = {
            f.name: self._windows[f.name] for f in fields(Windows) if f.name in self._windows
        }
        observation = {
            name.removeprefix("observation."): self._rows[name]
            for name in self._rows
            if name != "action"
        }
        return Windows(observation=observation, action=self._rows["action"], **per_window)


class _Table:
    """Columns that grow; appending copies old rows only when the room doubles."""

    def __init__(self) -> None:
        self.length = 0
        self._columns: dict[str, Tensor] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> Tensor:
        return self._columns[name][: self.length]

    def check(self, rows: dict[str, Tensor], what: str) -> None:
        """An error if these rows do not fit the ones that are there."""
        if not self._columns:
            return
        if rows.keys() != self._columns.keys():
            raise ValueError(f"{what} has {sorted(rows)}, the others have {sorted(self._columns)}")
        for name, value in rows.items():
            known = self._columns[name]
            if value.shape[1:] != known.shape[1:] or value.dtype != known.dtype:
                raise ValueError(
                    f"{what} has {name} of shape {tuple(value.shape[1:])} and {value.dtype}, "
                    f"the others {tuple(known.shape[1:])} and {known.dtype}"
                )

    def append(self, rows: dict[str, Tensor]) -> None:
        added = len(next(iter(rows.values())))
        for name, value in rows.items():
            known = self._columns.get(name, value[:0])
            if self.length + added > len(known):
                room = max(2 * len(known), self.length + added)
                grown = value.new_empty((room, *value.shape[1:]))
                grown[: self.length] = known[: self.length]
                self._columns[name] = known = grown
            known[self.length : self.length + added] = value
        self.length += added
