"""The episode store: a folder per run, written by robots, read by the learner while it grows.

    run.json                 what the run is; never changes
    wal/<eid>.wal            open episodes; on the robot's own disk
    staging/                 files that are not finished
    episodes/<eid>.zarr.zip  finished episodes; never change
    commits/<eid>.json       THE commit: what is not listed here does not exist
    labels/ checkpoints/ channel/ heartbeat/   see `labels.py` and `channel.py`

An episode goes: log, archive in staging, rename, commit in staging, rename, log deleted. Every file
is synced before its rename and its folder after it. Recovery repeats whatever was interrupted and
may itself be interrupted. Names of episodes sort by time and end in the writer's name, so that
several robots share a run without sharing a counter; each recovers only its own.
"""

import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.archive import SCHEMA, write_archive
from sernf_isaac.data.store.files import (
    FileRecord,
    describe,
    publish,
    publish_new,
    read_json,
    write_json,
)
from sernf_isaac.data.store.index import refresh_index
from sernf_isaac.data.store.lock import InodeLock
from sernf_isaac.data.store.open_episode import OpenEpisode
from sernf_isaac.data.store.packed_images import FORMATS, RAW
from sernf_isaac.data.store.steps import StepLayout, episodes_from_log
from sernf_isaac.data.store.wal import MAGIC, is_being_written, read_log

RECORD = "imports.json"
"""Beside `run.json`: where imported episodes come from, and what was noted about each."""
FOLDERS = ("wal", "staging", "episodes", "commits", "labels", "checkpoints", "channel", "heartbeat")


def create_run(run: Path | str, info: Mapping[str, object]) -> None:
    """Make a run's folders and its `run.json`; harmless if the same run exists.

    Raises:
        ValueError: If a run with other information is there; names the differing fields.
    """
    run = Path(run)
    make_folders(run)
    content = {"schema": SCHEMA, **info}
    staged = write_json(run / "staging" / f"run.{os.getpid()}.json", content)
    if publish_new(staged, run / "run.json"):
        return
    known = read_json(run / "run.json")
    if differing := sorted(k for k in known | content if known.get(k) != content.get(k)):
        raise ValueError(f"{run} is another run: {', '.join(differing)} differ")


def make_folders(run: Path) -> None:
    """Those of a run that are missing, such as empty ones that were not copied."""
    for folder in FOLDERS:
        (run / folder).mkdir(parents=True, exist_ok=True)


class RunWriter:
    """The only writer of one actor's episodes in a run.

    Recover before anything else: `with RunWriter(run, actor) as writer: writer.recover()`.

    Args:
        run: Folder that `create_run` made.
        actor: Letters, digits and `_`; who writes.
        clock: Wall time in seconds.
        images: How images are stored, one of `packed_images.FORMATS`.

    Raises:
        ValueError: If the run does not exist, or the actor's name or the format does not fit.
        RuntimeError: If another process writes for this actor.
    """

    def __init__(
        self,
        run: Path | str,
        actor: str,
        clock: Callable[[], float] = time.time,
        *,
        images: str = RAW,
    ) -> None:
        self.run, self.actor, self._clock, self._images = Path(run), actor, clock, images
        if images not in FORMATS:
            raise ValueError(f"images ({images!r}) must be one of {FORMATS}")
        if not re.fullmatch(r"\w+", actor, re.ASCII):
            raise ValueError(f"actor {actor!r} must consist of letters, digits and _")
        if not (self.run / "run.json").is_file():
            raise ValueError(f"{self.run} is no run; make one with create_run")
        self._last_us = 0
        self._open: dict[str, OpenEpisode] = {}
        self._lock = InodeLock(self.run / "wal" / f"{actor}.lock")
        if alive := [path for path in self._logs() if is_being_written(path)]:
            self._lock.close()
            raise RuntimeError(f"another process writes {alive[0]}, though its lock was removed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write for this actor; open episodes stay in their logs."""
        for episode in self._open.values():
            episode.close()
        self._open.clear()
        self._lock.close()
        refresh_index(self.run)

    def begin(self, layout: StepLayout) -> OpenEpisode:
        """Open an episode that is logged step by step.

        Raises:
            RuntimeError: If somebody removed this writer's lock: another one may be at work.
        """
        self._lock.check()
        eid = self._new_id()
        self._open[eid] = OpenEpisode(
            self.run / "wal" / f"{eid}.wal",
            layout,
            commit=lambda episode, times_s: self._commit(eid, episode, times_s),
            forget=lambda: self._open.pop(eid, None),
        )
        return self._open[eid]

    def commit(self, episode: Episode) -> str:
        """Store an episode that is whole; when this returns it is safe. Returns its id.

        Raises:
            RuntimeError: As for `begin`.
        """
        self._lock.check()
        eid = self._new_id()
        self._commit(eid, episode, [])
        return eid

    def recover(self, tell: Callable[[str], None] = warnings.warn) -> list[str]:
        """Finish what a crash interrupted; returns the ids of episodes that got their commit.

        Episodes this writer has open are left alone. Unfinished ones keep every logged step and get
        the outcome "recovered". Of a damaged log all whole records become episodes, one for each
        part without a gap; the log itself is renamed to `.damaged` and kept.

        Args:
            tell: Told what is missing, and where the damaged log is.

        Raises:
            RuntimeError: If another process writes for this actor.
        """
        self._lock.check()
        mine = f"*-{self.actor}"
        for path in self.run.glob(f"staging/{mine}.*"):
            path.unlink()
        for path in self.run.glob(f"episodes/{mine}.zarr.zip"):
            if not self._commit_path(path.name.removesuffix(".zarr.zip")).is_file():
                path.unlink()
        logs = [path for path in self._logs() if path.stem not in self._open]
        if alive := [path for path in logs if is_being_written(path)]:
            raise RuntimeError(f"another process writes {alive[0]}")
        return [eid for path in logs for eid in self._redo(path, tell)]

    def _logs(self) -> list[Path]:
        return sorted(self.run.glob(f"wal/*-{self.actor}.wal"))

    def _redo(self, path: Path, tell: Callable[[str], None]) -> list[str]:
        """Commit what a log holds and is not committed; returns the new ids."""
        if self._outcome_of(path.stem) not in (None, "recovered"):
            path.unlink()  # committed from memory: there is more in it than in any log
            return []
        log, done = read_log(path), []
        try:
            if log is None and path.stat().st_size > len(MAGIC):
                raise ValueError("it has no whole header, so nobody knows what its steps hold")
            episodes = episodes_from_log(log) if log else []
        except (ValueError, TypeError, KeyError) as error:
            tell(f"kept {path.rename(path.with_suffix('.damaged'))}: {error}")
            return []
        for number, episode in enumerate(episodes):
            eid = path.stem if number == 0 else f"p{number}-".join(path.stem.rsplit("-", 1))
            if self._outcome_of(eid) is None:
                self._commit(eid, episode, log.parts[number].times_s if log else [])
                done.append(eid)
        if log and log.is_damaged:
            tell(
                f"{path.rename(path.with_suffix('.damaged'))} is damaged and was kept: {log.losses}"
            )
        else:
            path.unlink()
        return done

    def _outcome_of(self, eid: str) -> str | None:
        """Of a committed episode; None without a commit, or with one that cannot be read."""
        path = self._commit_path(eid)
        try:
            return str(read_json(path).get("outcome")) if path.is_file() else None
        except ValueError:
            return None

    def _commit(self, eid: str, episode: Episode, times_s: list[float]) -> None:
        staged = self.run / "staging" / f"{eid}.zarr.zip"
        write_archive(staged, episode, self._images)
        file = describe(staged, f"episodes/{staged.name}")
        publish(staged, self.run / file.path)
        self._publish_commit(eid, episode, file, times_s)

    def _publish_commit(
        self, eid: str, episode: Episode, file: FileRecord, times_s: list[float]
    ) -> None:
        content = {
            "schema": SCHEMA,
            "id": eid,
            "files": [asdict(file)],
            "steps": len(episode),
            "start_s": times_s[0] if times_s else None,
            "end_s": times_s[-1] if times_s else None,
            "policy": episode.policy,
            "outcome": episode.outcome,
            "is_offline": episode.is_offline,
        }
        staged = write_json(self.run / "staging" / f"{eid}.json", content)
        publish(staged, self._commit_path(eid))

    def _commit_path(self, eid: str) -> Path:
        return self.run / "commits" / f"{eid}.json"

    def _new_id(self) -> str:
        """New, and sorts by time, also when the clock stands still."""
        while True:
            self._last_us = max(int(self._clock() * 1e6), self._last_us + 1)
            moment = datetime.fromtimestamp(self._last_us // 10**6, UTC)
            eid = f"{moment:%Y%m%dT%H%M%S}{self._last_us % 10**6:06d}-{self.actor}"
            taken = self._commit_path(eid), self.run / "wal" / f"{eid}.wal"
            if not any(path.exists() for path in taken):
                return eid
