"""One side of a run on two machines: sends what is made here, fetches what is made there.

    robot -> learner     run.json, episodes, labels, the first policy, what is pinned or blessed
    learner -> robot     policies, what `latest` means
    both                 signs of life

The commit rule of the store holds on the way: files first, checked against their record, the record
last. So what was cut off is invisible and comes again, and no clock is compared with another: what
is new is told by its name.
"""

import shutil
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Literal

from sernf_isaac.data.exchange.remotes import Remote
from sernf_isaac.data.store.channel import LEARNER, THERE, last_words
from sernf_isaac.data.store.files import FileRecord, publish, read_json, write_json
from sernf_isaac.data.store.lock import InodeLock
from sernf_isaac.data.store.writer import make_folders

RUN_FILE = "run.json"
LABELS = "labels/*/[0-9]*.json"
SHARED = ("commits", "labels", "checkpoints", "channel", "heartbeat")
"""Folders in which each side looks for what is new."""
AT_ONCE = 64
"""Records that travel together: what a cut loses of the work."""
Side = Literal["robot", "learner"]


@dataclass
class Moved:
    """What one round sent and fetched: files that others had not seen, and signs of life."""

    sent: int = 0
    fetched: int = 0

    def __str__(self) -> str:
        return f"sent {self.sent}, fetched {self.fetched} files"


class Exchange:
    """Brings a run here and its remote in step, one round at a time.

    Args:
        run: The run's folder here. A learner's may not be there yet.
        remote: Where the other machine looks; it may be that machine's own folder of the run.
        side: "robot" or "learner": who works here.
        clock: Wall time in seconds, of this machine.
        tell: Told of what is skipped.

    Raises:
        ValueError: If the robot's run does not exist.
        RuntimeError: If another process does this for the run.
    """

    def __init__(
        self,
        run: Path,
        remote: Remote,
        side: Side,
        *,
        clock: Callable[[], float] = time.time,
        tell: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.run, self.remote, self.side = run, remote, side
        self._clock, self._tell = clock, tell
        if side == "robot" and not (run / RUN_FILE).is_file():
            raise ValueError(f"{run} is no run: start the robot's session first")
        make_folders(run)
        self._lock = InodeLock(run / "staging" / "exchange.lock")
        self._arriving = run / "staging" / "arriving"
        shutil.rmtree(self._arriving, ignore_errors=True)  # of a process that was killed
        self._sent: dict[str, bytes] = {}
        self._there: set[str] = set()
        self._met, self._told = False, set[str]()

    def close(self) -> None:
        """Let another process do this."""
        self._lock.close()

    def round(self) -> Moved:
        """Send and fetch all that is new; what fails comes again in the next round.

        Raises:
            OSError: Without connection.
            ValueError: If there is another run.
        """
        moved = Moved()
        self._met = self._met or self._meet(moved)
        if not self._met:
            return moved
        self._there = self.remote.names(SHARED)
        if self.side == "robot":
            moved.sent += self._send_records("commits") + self._send_labels()
            moved.sent += self._send_records("checkpoints") + self._send_pointers()
            moved.sent += self._send_changed(self._beats(lambda who: who != LEARNER))
            moved.fetched += self._fetch_records("checkpoints")
            moved.fetched += self._follow(["latest"], lambda who: who == LEARNER)
        else:
            moved.fetched += self._fetch_records("commits") + self._fetch_labels()
            moved.fetched += self._fetch_records("checkpoints")
            begun = (self.run / _pointer("latest")).is_file()  # else it means the first policy
            pointers = ["pinned", "blessed"] + ([] if begun else ["latest"])
            moved.fetched += self._follow(pointers, lambda who: who != LEARNER)
            moved.sent += self._send_records("checkpoints")
            own = self._beats(lambda who: who == LEARNER)
            moved.sent += self._send_changed([_pointer("latest"), *own])
        return moved

    # Both -----------------------------------------------------------------------------------------

    def _meet(self, moved: Moved) -> bool:
        """Whether both have the run, the same one; who lacks it gets it."""
        here, there = (self.run / RUN_FILE).is_file(), self.remote.has(RUN_FILE)
        if here and there:
            (arrived,) = self._arrive([RUN_FILE])
            if arrived.read_bytes() != (self.run / RUN_FILE).read_bytes():
                raise ValueError(f"there is another run: its {RUN_FILE} differs from {self.run}'s")
        elif there:
            for arrived in self._arrive([RUN_FILE]):
                self._publish(arrived)
            moved.fetched += 1
        elif self.side == "robot":
            self.remote.send(self.run, [RUN_FILE])
            moved.sent += 1
        return there or self.side == "robot"

    def _arrive(self, names: Iterable[str]) -> list[Path]:
        """Fetch files to where nobody looks for them."""
        wanted = list(names)
        for name in wanted:
            (self._arriving / name).parent.mkdir(parents=True, exist_ok=True)
        self.remote.fetch(wanted, self._arriving)
        return [self._arriving / name for name in wanted]

    def _publish(self, arrived: Path) -> None:
        target = self.run / arrived.relative_to(self._arriving)
        target.parent.mkdir(exist_ok=True)
        publish(arrived, target)

    def _mine(self, pattern: str) -> list[str]:
        return sorted(str(path.relative_to(self.run)) for path in self.run.glob(pattern))

    def _send_changed(self, names: Iterable[str]) -> int:
        """Small files that are replaced: sent when they are others than those sent last."""
        found = {name: self.run / name for name in names}
        content = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
        new = {name: text for name, text in content.items() if text != self._sent.get(name)}
        self.remote.send(self.run, new)
        self._sent |= new
        return len(new)

    def _remark(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    # Records, and the files they name -------------------------------------------------------------

    def _send_records(self, folder: str) -> int:
        new = [name for name in self._mine(f"{folder}/*.json") if name not in self._there]
        count = 0
        for names in batched(new, AT_ONCE):
            files = {name: self._files_of(self.run / name) for name in names}
            for name, found in files.items():
                if lost := [file.path for file in found if not (self.run / file.path).is_file()]:
                    self._remark(f"{name}: not sent: {lost[0]} is missing")
                    files[name] = []
            named = [file.path for found in files.values() for file in found]
            self.remote.send(self.run, named)
            records = [name for name in names if files[name]]
            self.remote.send(self.run, records)
            count += len(named) + len(records)
        return count

    def _fetch_records(self, folder: str) -> int:
        theirs = {name for name in self._there if _is_record(name, folder)}
        new = sorted(theirs - set(self._mine(f"{folder}/*.json")))
        return sum(self._fetch_batch(names) for names in batched(new, AT_ONCE))

    def _fetch_batch(self, names: tuple[str, ...]) -> int:
        files = {path: self._files_of(path) for path in self._arrive(names)}
        try:
            self._arrive(file.path for found in files.values() for file in found)
        except FileNotFoundError:  # of one of them; the others shall not wait for it
            if len(names) > 1:
                return sum(self._fetch_batch((name,)) for name in names)
            self._remark(f"{', '.join(names)}: left there, for a file that it names is missing")
            return 0
        return sum(self._take(record, found) for record, found in files.items() if found)

    def _take(self, record: Path, files: list[FileRecord]) -> int:
        """Let a record that has arrived count, with its files; how many that are."""
        try:
            arrived = [file.check(self._arriving) for file in files]
        except ValueError as error:
            self._remark(f"{record.name}: left there: {error}")
            return 0
        for path in (*arrived, record):
            self._publish(path)
        return len(arrived) + 1

    def _files_of(self, record: Path) -> list[FileRecord]:
        """What a commit or a checkpoint's record names; nothing if it cannot be read."""
        try:
            content = read_json(record)
            files = [
                FileRecord.from_dict(file) for file in content.get("files", [content.get("file")])
            ]
            if outside := [f.path for f in files if not _is_inside(f.path)]:
                raise ValueError(f"it names {outside[0]}, which lies outside the run")
        except (ValueError, TypeError) as error:
            self._remark(f"{record.name}: skipped: {error}")
            return []
        return files

    # What has no record ---------------------------------------------------------------------------

    def _send_labels(self) -> int:
        new = [name for name in self._mine(LABELS) if name not in self._there]
        self.remote.send(self.run, new)
        return len(new)

    def _fetch_labels(self) -> int:
        theirs = {name for name in self._there if Path(name).match(LABELS)}
        new = sorted(theirs - set(self._mine(LABELS)))
        for arrived in self._arrive(new):
            self._publish(arrived)
        return len(new)

    def _send_pointers(self) -> int:
        """What people point at; taken back there when it is taken back here."""
        own = [_pointer("pinned"), _pointer("blessed")]
        for name in own:
            if name in self._there and not (self.run / name).is_file():
                self.remote.remove(name)
                self._sent.pop(name, None)
        latest = _pointer("latest")
        return self._send_changed([*own, *([] if latest in self._there else [latest])])

    def _follow(self, pointers: list[str], wanted: Callable[[str], bool]) -> int:
        """Pointers and signs of life of the other side."""
        beats = [n for n in self._there if n.startswith("heartbeat/") and wanted(Path(n).stem)]
        names = [_pointer(pointer) for pointer in pointers]
        for name in names:
            if name not in self._there and name != _pointer("latest"):
                (self.run / name).unlink(missing_ok=True)
        arrived = self._arrive([*(name for name in names if name in self._there), *beats])
        count = 0
        for path in arrived:
            is_beat = path.parent.name == "heartbeat"
            count += self._follow_beat(path) if is_beat else self._follow_pointer(path)
        return count

    def _follow_pointer(self, arrived: Path) -> int:
        """Take it over, if what it means has arrived before."""
        target, wanted = self.run / "channel" / arrived.name, read_json(arrived).get("checkpoint")
        known = (self.run / "checkpoints" / f"{wanted}.json").is_file()
        if not known or (target.is_file() and target.read_bytes() == arrived.read_bytes()):
            return 0
        self._publish(arrived)
        return 1

    def _beats(self, wanted: Callable[[str], bool]) -> list[str]:
        return [name for name in self._mine("heartbeat/*.json") if wanted(Path(name).stem)]

    def _follow_beat(self, arrived: Path) -> int:
        """A sign of life, timed by this machine's clock: the other's may be wrong."""
        said = read_json(arrived)
        if said.get("time_s") == last_words(self.run, arrived.stem).get(THERE):
            return 0
        timed = said | {THERE: said.get("time_s"), "time_s": self._clock()}
        self._publish(write_json(arrived, timed))
        return 1


def _pointer(name: str) -> str:
    return f"channel/{name}.json"


def _is_record(name: str, folder: str) -> bool:
    """Whether this is `FOLDER/x.json`, and not a file further below."""
    return name.endswith(".json") and name.count("/") == 1 and name.startswith(f"{folder}/")


def _is_inside(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts
