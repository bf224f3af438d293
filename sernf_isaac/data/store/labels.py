"""Labels people or estimators give to committed episodes: revisions that only ever get more.

The newest revision counts. Older ones stay, so that annotators can be compared.
"""

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.files import publish_new, read_json, write_json

SCHEMA = "sernf-isaac-label/1"

Event = tuple[int, float, str]
"""A reward: step, value, source."""


@dataclass(frozen=True)
class Label:
    """One opinion on one episode.

    Raises:
        ValueError: If a part is of another kind than said below; names it.
    """

    annotator: str
    """Who says so; never empty."""
    events: tuple[Event, ...] | None = None
    """Rewards as (step, value, source), replacing all recorded ones. None: keep the recorded."""
    success: bool | None = None
    """None: unsure."""
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.annotator, str) or not self.annotator:
            raise ValueError(f"annotator is {self.annotator!r}, expected a name")
        if not (self.success is None or isinstance(self.success, bool)):
            raise ValueError(f"success is {self.success!r}, expected true, false or null")
        if not isinstance(self.note, str):
            raise ValueError(f"note is {self.note!r}, expected a text")
        for index, (step, value, _) in enumerate(self.events or ()):
            if step < 0 or not math.isfinite(value):
                raise ValueError(f"event {index} is {value} at step {step}")

    def apply(self, episode: Episode) -> Episode:
        """The episode as labelled.

        Raises:
            ValueError: If an event lies outside the episode.
        """
        outcome = episode.outcome
        if self.success is not None:
            outcome = "success" if self.success else "failure"
        reward = episode.reward
        if self.events is not None:
            reward = np.zeros(len(episode), np.float32)
            for step, value, source in self.events:
                if not 0 <= step < len(episode):
                    raise ValueError(
                        f"label by {self.annotator!r} has an event ({source}) at step {step} of "
                        f"an episode with {len(episode)} steps"
                    )
                reward[step] += value
        return replace(episode, reward=reward, outcome=outcome)


class LabelConflictError(ValueError):
    """Somebody labelled an episode under the same name since its newest label was looked at."""

    def __init__(self, message: str, revision: int, label: Label | None) -> None:
        super().__init__(message)
        self.revision = revision
        """Newest one under that name; 0 if there is none."""
        self.label = label


@dataclass(frozen=True)
class LabelHistory:
    """All labels of an episode."""

    labels: Mapping[int, Label]
    """By revision, oldest first."""
    damaged: Mapping[int, str]
    """What is wrong with the revisions that cannot be read, oldest first; names the files."""

    @property
    def newest(self) -> int:
        """The revision that counts, whether or not it can be read; 0 if there is none."""
        return max([*self.labels, *self.damaged], default=0)

    def newest_of(self, annotator: str) -> int:
        """Newest readable revision by somebody; 0 if there is none."""
        own = (number for number, label in self.labels.items() if label.annotator == annotator)
        return max(own, default=0)

    def by_annotator(self) -> dict[str, Label]:
        """What everybody who labelled the episode thinks of it now, by name."""
        return {label.annotator: label for label in self.labels.values()}


def add_label(run: Path, eid: str, label: Label, *, seen: int | None = None) -> int:
    """Store a new revision, also when others do so at the same time; returns its number.

    Args:
        run: The run.
        eid: Of the episode.
        label: The opinion.
        seen: Newest revision under the label's name that its author has seen, 0 for none. None:
            the author does not care.

    Raises:
        LabelConflictError: If there is another revision under that name than the one seen.
        ValueError: If the episode is not committed.
    """
    if not (run / "commits" / f"{eid}.json").is_file():
        raise ValueError(f"{run} has no committed episode {eid!r}")
    folder = run / "labels" / eid
    folder.mkdir(parents=True, exist_ok=True)
    revision = 0
    while True:  # a revision is published once: whoever loses the race looks again
        revision = max(revisions(run, eid), default=revision) + 1
        if seen is not None:
            _check_seen(read_history(run, eid), label.annotator, seen)
        staged = folder / f".{revision:04d}.{uuid.uuid4().hex}.partial"
        write_json(staged, {"schema": SCHEMA, **asdict(label)})
        if publish_new(staged, folder / f"{revision:04d}.json"):
            return revision


def revisions(run: Path, eid: str) -> list[int]:
    """Numbers of an episode's label revisions, oldest first."""
    names = (path.stem for path in (run / "labels" / eid).glob("*.json"))
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def newest_revisions(run: Path) -> dict[str, int]:
    """The revision that counts, of every episode that has one; looks at labelled ones only."""
    folders = (path.parent.name for path in (run / "labels").glob("*/0001.json"))
    found = {eid: revisions(run, eid) for eid in folders}
    return {eid: numbers[-1] for eid, numbers in found.items() if numbers}


def label_path(run: Path, eid: str, revision: int) -> Path:
    """Where a revision is stored."""
    return run / "labels" / eid / f"{revision:04d}.json"


def read_history(run: Path, eid: str) -> LabelHistory:
    """All labels of an episode; what cannot be read is said, not raised."""
    labels: dict[int, Label] = {}
    damaged: dict[int, str] = {}
    for revision in revisions(run, eid):
        try:
            labels[revision] = _read(label_path(run, eid, revision))
        except ValueError as error:
            damaged[revision] = str(error)
    return LabelHistory(labels, damaged)


def read_label(run: Path, eid: str, revision: int | None = None) -> Label | None:
    """A revision, by default the newest; None if there is none.

    Raises:
        ValueError: If the file is damaged or of another schema; names it.
    """
    if revision is None:
        revision = max(revisions(run, eid), default=0)
        if not revision:
            return None
    return _read(label_path(run, eid, revision))


def _read(path: Path) -> Label:
    """One file, whatever is wrong with it said with its name."""
    try:
        content = read_json(path)
    except (OSError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if (schema := content.pop("schema", None)) != SCHEMA:
        raise ValueError(f"{path} has the unknown schema {schema!r}, expected {SCHEMA!r}")
    try:
        events = content["events"]
        if events is not None:
            content["events"] = tuple(_event(entry) for entry in events)
        return Label(**content)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is no label: {error!r}") from error


def _event(entry: object) -> Event:
    step, value, source = entry  # type: ignore[misc]  # the caller says what is wrong with it
    if int(step) != step:
        raise ValueError(f"an event is at step {step}")
    return int(step), float(value), str(source)


def _check_seen(history: LabelHistory, annotator: str, seen: int) -> None:
    newest = history.newest_of(annotator)
    if newest == seen:
        return
    known = f"revision {newest} by {annotator!r}" if newest else f"no label by {annotator!r}"
    after = f"after revision {seen}" if seen else "before there was one"
    raise LabelConflictError(
        f"not saved: there is {known}, and this label was begun {after}",
        newest,
        history.labels.get(newest),
    )
