"""Reading a run while others write it, on this machine or on another.

Only commits are listed, so an unfinished episode is never seen; nothing is ever locked or written.
Without a shared disk, copy `episodes/` before `commits/`.
"""

import threading
import warnings
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.archive import SCHEMA, read_archive
from sernf_isaac.data.store.files import FileRecord, read_json
from sernf_isaac.data.store.index import WORTH_IT, listed, read_index
from sernf_isaac.data.store.labels import read_label


@dataclass(frozen=True)
class Commit:
    """One committed episode, without its content."""

    id: str
    files: tuple[FileRecord, ...]
    steps: int
    start_s: float | None
    """Clock of the control loop; None for episodes that were stored whole."""
    end_s: float | None
    policy: str
    outcome: str
    is_offline: bool


class RunReader:
    """Lists and loads the committed episodes of a run; several threads may share one.

    Raises:
        ValueError: If there is no such run.
    """

    def __init__(self, run: Path | str) -> None:
        self.run = Path(run)
        if not (self.run / "run.json").is_file():
            raise ValueError(f"{self.run} is no run")
        self._commits: dict[str, Commit] = {}
        self._refused: set[str] = set()
        self._handed_out: set[str] = set()
        self._reading = threading.RLock()

    def commits(self) -> list[Commit]:
        """All committed episodes by id, that is by time; warns once of each it cannot read."""
        with self._reading:
            new = listed(self.run) - self._commits.keys() - self._refused
            if len(new) >= WORTH_IT:
                new -= self._from_index(new)
            for eid in new:
                path = self.run / "commits" / f"{eid}.json"
                try:
                    self._commits[eid] = _commit_of(read_json(path), eid)
                except (ValueError, TypeError, KeyError) as error:
                    self._refused.add(eid)
                    warnings.warn(f"{path}: skipped: {error}", stacklevel=2)
            return [commit for _, commit in sorted(self._commits.items())]

    def new_commits(self) -> list[Commit]:
        """Those that earlier calls did not return."""
        with self._reading:
            new = [commit for commit in self.commits() if commit.id not in self._handed_out]
            self._handed_out |= {commit.id for commit in new}
            return new

    def load(
        self, commit: Commit, *, labelled: bool = True, groups: Collection[str] = ()
    ) -> Episode:
        """The episode of a commit, checked against it, as labelled by the newest revision.

        Args:
            commit: Of this run.
            labelled: False: as it was recorded.
            groups: Observation groups to read, see `read_archive`.

        Raises:
            ValueError: If a file is missing or is not the one that was committed.
        """
        paths = [record.check(self.run) for record in commit.files]
        archive = next((path for path in paths if path.suffix == ".zip"), None)
        if archive is None:
            raise ValueError(f"the commit of episode {commit.id} names no archive (.zip)")
        episode = read_archive(archive, groups)
        if len(episode) != commit.steps:
            raise ValueError(f"{paths[0]} has {len(episode)} steps, its commit {commit.steps}")
        label = read_label(self.run, commit.id) if labelled else None
        return label.apply(episode) if label else episode

    def _from_index(self, wanted: set[str]) -> set[str]:
        """Take these commits from the index, where it has them; returns which."""
        index, taken = read_index(self.run), set[str]()
        for eid in wanted & index.keys():
            with suppress(ValueError, TypeError, KeyError):  # then its own file says what is wrong
                self._commits[eid] = _commit_of(index[eid], eid)
                taken.add(eid)
        return taken

    def may_train(self, commit: Commit) -> bool:
        """Whether to learn from an episode: recovered ones only once somebody labelled them.

        Raises:
            ValueError: If that label is damaged.
        """
        return commit.outcome != "recovered" or read_label(self.run, commit.id) is not None

    def needs_label(self, commit: Commit) -> bool:
        """Whether an episode cannot be learned from before somebody labels it, or does so again."""
        try:
            read_label(self.run, commit.id)
        except ValueError:  # what was said of it is not known
            return True
        return not self.may_train(commit)


def _commit_of(content: dict, eid: str) -> Commit:
    """The commit that a record's content is, which must be the one of this episode."""
    if (schema := content.pop("schema", None)) != SCHEMA:
        raise ValueError(f"schema {schema!r} is unknown")
    if not isinstance(content.get("files"), list) or not content["files"]:
        raise ValueError(f"files are {content.get('files')!r}, expected a list of at least one")
    commit = Commit(
        **content | {"files": tuple(FileRecord.from_dict(file) for file in content["files"])}
    )
    if commit.id != eid:
        raise ValueError(f"it is a copy: it commits episode {commit.id!r}")
    if wrong := [name for name, kind in _KINDS.items() if not isinstance(content[name], kind)]:
        raise ValueError(f"{', '.join(wrong)} of the wrong type")
    return commit


_KINDS = {
    "steps": int,
    "start_s": (int, float, type(None)),
    "end_s": (int, float, type(None)),
    "policy": str,
    "outcome": str,
    "is_offline": bool,
}
