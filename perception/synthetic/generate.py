"""Fills a data set shard by shard, together with whoever else does; run again to go on.

Any number of processes, on any machines that see the folder, may do this at the same time. Each
claims a shard before it makes it, and a shard is committed once.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perception.files import remove_partials
from perception.marked import CUBE, MarkedObject
from perception.samples import Sample
from perception.shards import (
    INDEX,
    committed,
    read_index,
    record_path,
    shard_name,
    write_index,
    write_shard,
)

CLAIMS = "claims"
"""Folder in which a file says that a shard is being made."""
INDEX_S = 20.0
"""How old the index may be while shards are being made."""
Claim = Callable[[Path], AbstractContextManager[bool]]
"""Takes a claim's file; gives whether it is ours, until the context ends or its process dies."""


class Painter(Protocol):
    """Makes the samples of a shard; lives as long as its process."""

    def shard(self, split: str, shard: int, count: int) -> Iterable[Sample]:
        """`count` samples, the same ones whenever and wherever it is asked."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be made."""

    path: Path
    split: str
    shard: int
    count: int


def plan_shards(folder: Path, samples: dict[str, int], per_shard: int) -> list[ShardPlan]:
    """Shards of `per_shard` samples per split, the last one shorter; the rarer split first.

    Raises:
        ValueError: If a number is negative, or there is nothing to make.
    """
    if per_shard < 1 or min(samples.values()) < 0 or not sum(samples.values()):
        asked = ", ".join(f"{count} of '{split}'" for split, count in samples.items())
        raise ValueError(
            f"pictures ({asked}) must be at least 0 and 1 in all, pictures per shard ({per_shard}) "
            "at least 1"
        )
    plans = []
    for split, total in sorted(samples.items(), key=lambda item: item[1]):
        for shard, first in enumerate(range(0, total, per_shard)):
            path = folder / shard_name(split, shard)
            plans.append(ShardPlan(path, split, shard, min(per_shard, total - first)))
    return plans


def generate(
    folder: Path,
    plans: list[ShardPlan],
    make_painter: Callable[[], Painter],
    description: dict,
    *,
    marked: MarkedObject = CUBE,
    claim: Claim = lambda _: nullcontext(True),
    defaults: dict | None = None,
    report: Callable[[int], object] = lambda count: None,
) -> float:
    """Make the shards that are not there and that nobody else makes; returns samples per second.

    When this returns, all others have somebody who is at them.

    Args:
        folder: Of the data set.
        plans: All shards it should have.
        make_painter: Called once, if there is anything to do.
        description: What made the data set, as plain values; compared when going on.
        marked: What the pictures show.
        claim: Keeps several processes from the same shard; without one, this must be the only one.
        defaults: What counts where an older data set does not name a setting; those that came later
            do nothing by default.
        report: Told the size of every shard that is there or has been finished here.

    Raises:
        OSError: If the folder cannot be written.
        ValueError: If the folder holds a data set made in another way; names what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = _Index(folder, plans, description, claim, marked)
    with index.alone():
        _check_same(folder, description, defaults or {})
        index.write()
    report(sum(record["count"] for record in index.records.values()))
    started, made, painter = time.monotonic(), 0, None
    todo = [plan for plan in plans if plan.path.name not in index.records]
    damaged = {plan for plan in todo if record_path(plan.path).is_file()}
    try:
        while todo:
            before = made
            for plan in todo:
                if plan not in damaged and record_path(plan.path).is_file():
                    continue  # another's, meanwhile
                with claim(folder / CLAIMS / plan.path.name) as is_mine:
                    if not is_mine or committed(plan.path) is not None:
                        continue
                    painter = painter or make_painter()
                    record = _make(painter, plan)
                made += record["count"]
                report(record["count"])
                index.refresh()
            if made == before:
                break
            todo = missing(todo)  # who was at one of them may have died
    finally:
        if painter:
            painter.close()
        with index.alone():
            index.write()
    return made / max(time.monotonic() - started, 1e-9)


def _make(painter: Painter, plan: ShardPlan) -> dict:
    for file in (plan.path, record_path(plan.path)):
        remove_partials(file)
    return write_shard(plan.path, painter.shard(plan.split, plan.shard, plan.count))


def missing(plans: Iterable[ShardPlan]) -> list[ShardPlan]:
    """The shards that are not committed, or whose files are gone or cut."""
    return [plan for plan in plans if committed(plan.path) is None]


class _Index:
    """The index of a data set that several processes fill; the last one to finish sees all."""

    def __init__(
        self,
        folder: Path,
        plans: list[ShardPlan],
        description: dict,
        claim: Claim,
        marked: MarkedObject,
    ) -> None:
        self._marked = marked
        self._folder, self._plans, self._description = folder, plans, description
        self._claim, self._written_s = claim, 0.0
        self.records: dict[str, dict] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else checks or writes the index meanwhile."""
        is_mine = False
        while not is_mine:
            with self._claim(self._folder / CLAIMS / INDEX) as is_mine:
                if is_mine:
                    yield
            if not is_mine:
                time.sleep(0.05)

    def refresh(self) -> None:
        """Write it if that was long ago."""
        if time.monotonic() - self._written_s > INDEX_S:
            with self.alone():
                self.write()

    def write(self) -> None:
        """Write what is committed now."""
        for plan in self._plans:
            name = plan.path.name
            if name not in self.records and (record := committed(plan.path)) is not None:
                self.records[name] = {
                    key: record[key] for key in ("name", "count", "bytes", "sha256")
                }
        remove_partials(self._folder / INDEX)
        records = sorted(self.records.values(), key=lambda record: record["name"])
        write_index(self._folder, self._description, records, self._marked)
        self._written_s = time.monotonic()


def _check_same(folder: Path, description: dict, defaults: dict) -> None:
    if not (folder / INDEX).is_file():
        return
    description, defaults = json.loads(json.dumps([description, defaults]))  # as the index is read
    found = _completed(read_index(folder)["description"], defaults)
    names = sorted(set(found) | set(description))
    differing = [
        f"{name} was {found.get(name)!r}, now {description.get(name)!r}"
        for name in names
        if found.get(name) != description.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} was made in another way ({'; '.join(differing)}); give another --out"
        )


def _completed(found: dict, defaults: dict) -> dict:
    """A nested dictionary, with the defaults of what it lacks."""
    lacking = {name: value for name, value in defaults.items() if name not in found}
    return lacking | {
        name: _completed(value, defaults.get(name, {})) if isinstance(value, dict) else value
        for name, value in found.items()
    }
