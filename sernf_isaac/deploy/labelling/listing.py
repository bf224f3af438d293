"""The list of a run's episodes beside the label page; quick for thousands of them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sernf_isaac.data.store.labels import LabelHistory, read_history
from sernf_isaac.data.store.reader import Commit, RunReader
from sernf_isaac.deploy.labelling.view import label_problems

ReadHistory = Callable[[Path, str], LabelHistory]
NO_LABELS = LabelHistory({}, {})


class Labelled(StrEnum):
    """Which episodes to list, by their labels."""

    ALL = "all"
    NOBODY = "nobody"
    """Nobody labelled it."""
    OTHERS = "others"
    """The annotator did not label it; others may have."""
    MINE = "mine"
    """The annotator labelled it."""
    NEEDED = "needed"
    """Nothing is learned from it before somebody labels it."""
    DAMAGED = "damaged"
    """Something is wrong with one of its label files."""


@dataclass(frozen=True)
class Filter:
    """Which episodes to list; all conditions hold."""

    text: str = ""
    """Words, each of which occurs in the id, the policy or the outcome, in upper or lower case."""
    outcome: str = ""
    """What the robot recorded; empty for any."""
    labelled: Labelled = Labelled.ALL

    def passes(self, row: dict) -> bool:
        """Whether to list a row of `list_episodes`."""
        searched = f"{row['id']} {row['policy']} {row['outcome']}".lower()
        if not all(word in searched for word in self.text.lower().split()):
            return False
        if self.outcome and row["outcome"] != self.outcome:
            return False
        return {
            Labelled.ALL: True,
            Labelled.NOBODY: not row["revisions"],
            Labelled.OTHERS: not row["mine"],
            Labelled.MINE: row["mine"],
            Labelled.NEEDED: row["needs_label"],
            Labelled.DAMAGED: row["problem"] is not None,
        }[self.labelled]


def list_episodes(
    reader: RunReader, annotator: str = "", read: ReadHistory = read_history
) -> list[dict]:
    """One line per committed episode, oldest first; JSON-ready.

    Args:
        reader: Of the run.
        annotator: Whose labels are "mine".
        read: Reads an episode's labels; `Histories` remembers them.
    """
    return [_row(reader, commit, annotator, read) for commit in reader.commits()]


def _row(reader: RunReader, commit: Commit, annotator: str, read: ReadHistory) -> dict:
    history = read(reader.run, commit.id)
    newest = history.labels.get(history.newest)
    problems = label_problems(reader.run, commit, history)
    return {
        "id": commit.id,
        "steps": commit.steps,
        "policy": commit.policy,
        "outcome": commit.outcome,
        "revisions": len(history.labels) + len(history.damaged),
        "annotator": newest.annotator if newest else None,
        "mine": bool(history.newest_of(annotator)),
        "needs_label": history.newest in history.damaged or not reader.may_train(commit),
        "problem": " ".join(problems) or None,
    }


class Histories:
    """Labels of episodes, read again only where a file is new or was changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[list, LabelHistory]] = {}

    def __call__(self, run: Path, eid: str) -> LabelHistory:
        """Like `read_history`."""
        stamp = _stamp(run / "labels" / eid)
        if not stamp:
            return NO_LABELS
        known = self._known.get((run, eid))
        if known is None or known[0] != stamp:
            known = stamp, read_history(run, eid)
            self._known[run, eid] = known
        return known[1]


def _stamp(folder: Path) -> list[tuple[str, int, int]]:
    """Name, time [ns] and size of every file of a folder; empty if there is none."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((name, status.st_mtime_ns, status.st_size) for name, status in found)
