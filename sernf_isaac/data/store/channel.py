"""Learner to robot: published policy files, pointers to them, and signs of life.

A checkpoint is published like an episode: file, then record. Pointers are tiny files replaced by
rename: `latest` by the learner, `blessed` after an evaluation, `pinned` by a person. A robot takes
`pinned`, else `blessed`, else `latest`.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sernf_isaac.data.store.files import (
    FileRecord,
    describe,
    publish,
    read_json,
    sha256_of,
    sync,
    write_json,
)

SCHEMA = "sernf-isaac-checkpoint/1"
POINTERS = ("pinned", "blessed", "latest")
"""In the order in which a robot looks."""
SHOWN = 10
"""Names in an error."""
LEARNER = "learner"
"""Who is no robot among those that give signs of life."""
THERE = "time_there_s"
"""When a sign of life was given, by the clock of a machine that is not this one."""


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A policy file that may be fetched."""

    name: str
    """`<step>-<first eight digits of the checksum>`."""
    step: int
    """Updates the learner had done."""
    file: FileRecord


def publish_checkpoint(
    run: Path, source: Path, step: int, pointers: tuple[str, ...] = ("latest",)
) -> PublishedCheckpoint:
    """Copy a finished policy file into the run and point at it; publishing it twice is harmless.

    Raises:
        ValueError: If a pointer is unknown.
    """
    name = f"{step:09d}-{sha256_of(source)[:8]}"
    folder = run / "checkpoints" / name
    folder.mkdir(exist_ok=True)
    sync(folder.parent)
    staged = run / "staging" / f"checkpoint.{name}.{os.getpid()}{source.suffix}"
    shutil.copyfile(source, staged)
    file = describe(staged, f"checkpoints/{name}/policy{source.suffix}")
    publish(staged, run / file.path)
    checkpoint = PublishedCheckpoint(name, step, file)
    record = run / "staging" / f"checkpoint.{name}.{os.getpid()}.json"
    content = {"schema": SCHEMA, "run": sha256_of(run / "run.json"), **asdict(checkpoint)}
    publish(write_json(record, content), _record(run, name))
    for pointer in pointers:
        point(run, pointer, name)
    return checkpoint


def publish_first(run: Path, source: Path | None) -> None:
    """Let a run begin with this policy; finishes a start that was interrupted, else harmless.

    Args:
        run: The run.
        source: The policy file; None: the run has begun before.

    Raises:
        ValueError: If there is no policy to begin with, or the run began with another one.
    """
    first = first_checkpoint(run)
    if first is None:
        if source is None:
            raise ValueError(f"{run} has no policy yet; give one with --policy")
        publish_checkpoint(run, source, 0)
        return
    if source is not None and sha256_of(source) != first.file.sha256:
        raise ValueError(
            f"{run} began with {first.name}, not with {source}: leave --policy out, pin a "
            "published policy, or begin a new run"
        )
    if wanted_checkpoint(run) is None:  # the start was cut off between record and pointer
        point(run, "latest", first.name)


def first_checkpoint(run: Path) -> PublishedCheckpoint | None:
    """The policy that a run began with; None before it did.

    Raises:
        ValueError: If there are several: nobody knows which one the learner should begin with.
    """
    names = [name for name in published(run) if int(name.split("-")[0]) == 0]
    if len(names) > 1:
        raise ValueError(
            f"{run} has several first policies, {' and '.join(names)}: remove the records in "
            "checkpoints/ of those that never drove"
        )
    return read_checkpoint(run, names[0]) if names else None


def point(run: Path, pointer: str, name: str) -> None:
    """Let `latest`, `blessed` or `pinned` mean a published checkpoint.

    Raises:
        ValueError: If the pointer or the checkpoint is unknown.
    """
    read_checkpoint(run, name)
    target = _pointer(run, pointer)
    staged = run / "staging" / f"{pointer}.{os.getpid()}.json"
    publish(write_json(staged, {"checkpoint": name}), target)


def clear_pointer(run: Path, pointer: str) -> None:
    """Remove a pointer, such as `pinned`; harmless if there is none.

    Raises:
        ValueError: If the pointer is unknown.
    """
    _pointer(run, pointer).unlink(missing_ok=True)


def published(run: Path) -> list[str]:
    """Names of the run's published checkpoints, oldest first.

    Raises:
        ValueError: If there is no such run.
    """
    if not (run / "run.json").is_file():
        raise ValueError(f"{run} is no run")
    return sorted(path.stem for path in (run / "checkpoints").glob("*.json"))


def read_checkpoint(run: Path, name: str) -> PublishedCheckpoint:
    """A published checkpoint's record.

    Raises:
        ValueError: If it was never published (names those that were), its record has another
            schema, or it was published in a run with another `run.json`.
    """
    path = _record(run, name)
    if not re.fullmatch(r"\d{9,}-[0-9a-f]{8}", name) or not path.is_file():
        known = ", ".join(published(run)[-SHOWN:]) or "none"
        raise ValueError(f"{run} has no published checkpoint {name!r}; the newest are: {known}")
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path} has unknown schema {content.get('schema')!r}")
    if content.get("run", own := sha256_of(run / "run.json")) != own:
        raise ValueError(f"{path} was published in a run with another run.json")
    if content.get("name") != name or type(content.get("step")) is not int:
        raise ValueError(
            f"{path} is the record of {content.get('name')!r} at step {content.get('step')!r}"
        )
    return PublishedCheckpoint(name, content["step"], FileRecord.from_dict(content.get("file")))


def wanted_checkpoint(run: Path) -> PublishedCheckpoint | None:
    """What a robot should drive with: pinned, else blessed, else latest; None before the first.

    Check its file before use: `wanted.file.check(run)`.

    Raises:
        ValueError: If a pointer names a checkpoint that was never published.
    """
    for pointer in POINTERS:
        path = _pointer(run, pointer)
        if path.is_file():
            return read_checkpoint(run, str(read_json(path).get("checkpoint")))
    return None


def beat(
    run: Path,
    who: str,
    info: dict,
    clock: Callable[[], float] = time.time,
    *,
    keep: bool = False,
) -> None:
    """Leave a sign of life; not synced, because a missing one is only a missing one.

    Args:
        run: The run.
        who: "learner", or an actor's name.
        info: What it is doing.
        clock: Wall time in seconds.
        keep: Leave standing what the last one said beside this.
    """
    path = run / "heartbeat" / f"{who}.json"
    info = {**(last_words(run, who) if keep else {}), **info}
    staged = run / "staging" / f"heartbeat.{who}.{os.getpid()}.json"
    os.replace(
        write_json(staged, {**info, "time_s": clock(), "pid": os.getpid()}),
        path,
    )


def last_words(run: Path, who: str) -> dict:
    """What the last sign of life said; empty if there is none, or a power failure cut it off."""
    try:
        return read_json(run / "heartbeat" / f"{who}.json")
    except (FileNotFoundError, ValueError):
        return {}


def silent_for_s(run: Path, who: str, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds since the last sign of life, by this machine's clock; None if there never was one."""
    said = last_words(run, who)
    return clock() - float(said["time_s"]) if "time_s" in said else None


def _record(run: Path, name: str) -> Path:
    return run / "checkpoints" / f"{name}.json"


def _pointer(run: Path, pointer: str) -> Path:
    if pointer not in POINTERS:
        raise ValueError(f"pointer {pointer!r} is none of {POINTERS}")
    return run / "channel" / f"{pointer}.json"
