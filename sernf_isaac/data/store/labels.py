"""Labels people or estimators give to committed episodes: revisions that only ever get more.

The newest revision counts. Older ones stay, so that annotators can be compared.
"""

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.files import publish_new, read_json, write_json

SCHEMA = "sernf-isaac-label/1"


@dataclass(frozen=True)
class Label:
    """One opinion on one episode."""

    annotator: str
    events: tuple[tuple[int, float, str], ...] | None = None
    """Rewards as (step, value, source), replacing all recorded ones. None: keep the recorded."""
    success: bool | None = None
    """None: unsure."""
    note: str = ""

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


def add_label(run: Path, eid: str, label: Label) -> int:
    """Store a new revision, also when others do so at the same time; returns its number.

    Raises:
        ValueError: If the episode is not committed.
    """
    if not (run / "commits" / f"{eid}.json").is_file():
        raise ValueError(f"{run} has no committed episode {eid!r}")
    folder = run / "labels" / eid
    folder.mkdir(exist_ok=True)
    revision = max(revisions(run, eid), default=0)
    while True:
        revision += 1
        staged = folder / f".{revision:04d}.{os.getpid()}.partial"
        write_json(staged, {"schema": SCHEMA, **asdict(label)})
        if publish_new(staged, folder / f"{revision:04d}.json"):
            return revision


def revisions(run: Path, eid: str) -> list[int]:
    """Numbers of an episode's label revisions, oldest first."""
    names = (path.stem for path in (run / "labels" / eid).glob("*.json"))
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))


def newest_by_annotator(run: Path, eid: str) -> dict[str, Label]:
    """What everybody who labelled an episode thinks of it now, by name.

    Raises:
        ValueError: If a file is damaged or of another schema.
    """
    labels = (read_label(run, eid, revision) for revision in revisions(run, eid))
    return {label.annotator: label for label in labels if label}


def read_label(run: Path, eid: str, revision: int | None = None) -> Label | None:
    """A revision, by default the newest; None if there is none.

    Raises:
        ValueError: If the file is damaged or of another schema.
    """
    if revision is None:
        revision = max(revisions(run, eid), default=0)
        if not revision:
            return None
    path = run / "labels" / eid / f"{revision:04d}.json"
    content = read_json(path)
    if content.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path} has an unknown schema")
    events = content["events"]
    if events is not None:
        events = tuple((int(step), float(value), str(source)) for step, value, source in events)
    return Label(**content | {"events": events})
