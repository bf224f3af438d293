"""Fills a data set shard by shard, in parallel; run again after any interruption to go on."""

import atexit
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perception.files import PARTIAL
from perception.samples import Sample
from perception.shards import (
    INDEX,
    committed,
    read_index,
    shard_name,
    write_index,
    write_shard,
)


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
    defaults: dict | None = None,
    workers: int = 1,
    report: Callable[[int], object] = lambda count: None,
) -> float:
    """Make the shards that are not there yet; returns new samples per second.

    Args:
        folder: Of the data set.
        plans: All shards it should have.
        make_painter: Called once per process; picklable.
        description: What made the data set, as plain values; compared when going on.
        defaults: What counts where an older data set does not name a setting; those that came later
            do nothing by default.
        workers: Processes.
        report: Told the size of every finished shard.

    Raises:
        OSError: If the folder cannot be written.
        ValueError: If the folder holds a data set made in another way; names what differs.
        RuntimeError: If a process dies.
    """
    if workers < 1:
        raise ValueError(f"workers ({workers}) must be at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    _check_same(folder, description, defaults or {})
    for leftover in folder.glob(PARTIAL):
        leftover.unlink()
    done = {plan.path.name: committed(plan.path) for plan in plans}
    records = [record for record in done.values() if record is not None]
    report(sum(record["count"] for record in records))
    missing = [plan for plan in plans if done[plan.path.name] is None]
    write_index(folder, description, records)
    started, made = time.monotonic(), 0
    for record in _results(missing, make_painter, workers):
        records.append(record)
        records.sort(key=lambda entry: entry["name"])
        write_index(folder, description, records)
        made += record["count"]
        report(record["count"])
    return made / max(time.monotonic() - started, 1e-9)


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


def _results(
    plans: list[ShardPlan], make_painter: Callable[[], Painter], workers: int
) -> Iterator[dict]:
    """Records of shards as they are finished."""
    if workers == 1 and plans:
        painter = make_painter()
        try:
            yield from (_make(painter, plan) for plan in plans)
        finally:
            painter.close()
        return
    context = multiprocessing.get_context("spawn")  # graphics contexts do not survive a fork
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(make_painter,)
    ) as pool:
        waiting = {pool.submit(_make_here, plan) for plan in plans}
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a rendering process died: out of memory, or it cannot draw (its own words are "
                "above); run the same command to go on"
            ) from error


_painter: Painter | None = None  # of a worker process, whose only job it is


def _start(make_painter: Callable[[], Painter]) -> None:
    global _painter
    _painter = make_painter()
    atexit.register(_painter.close)


def _make_here(plan: ShardPlan) -> dict:
    assert _painter is not None, "the pool runs the initialiser first"
    return _make(_painter, plan)


def _make(painter: Painter, plan: ShardPlan) -> dict:
    return write_shard(plan.path, painter.shard(plan.split, plan.shard, plan.count))
