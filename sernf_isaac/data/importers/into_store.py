"""Imported episodes become a run of the episode store: all of them, or no run."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.jumps import jumps_of
from sernf_isaac.data.store.files import publish, write_json
from sernf_isaac.data.store.folders import new_folder
from sernf_isaac.data.store.packed_images import RAW
from sernf_isaac.data.store.writer import RECORD, RunWriter, create_run

ACTOR = "import"

Reading = Callable[[], tuple[Episode, dict]]
"""Reads one episode, and plain values worth keeping beside it."""


@dataclass(frozen=True)
class Imported:
    """What became of the sources of an import."""

    episodes: dict[str, dict] = field(default_factory=dict)
    """By id in the store: "source", and the notes of its reading."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why a source was left out, by its name."""

    def remarks(self) -> list[str]:
        """What a person should know, a line each; a remark on many episodes is one."""
        about: dict[str, list[str]] = {}
        for note in self.episodes.values():
            for remark in note.get("remarks", ()):
                about.setdefault(remark, []).append(note["source"])
        told = [
            f"{of[0]}{f' and {len(of) - 1} more' if len(of) > 1 else ''}: {remark}"
            for remark, of in about.items()
        ]
        return told + [f"left out: {reason}" for reason in self.skipped.values()]


def import_run(
    out: Path | str,
    info: Mapping[str, object],
    readings: Mapping[str, Reading],
    *,
    skip_bad: bool = False,
    images: str = RAW,
    progress: Callable[[], object] = lambda: None,
) -> Imported:
    """Make a new run of what these readings give, one episode at a time.

    Args:
        out: Folder of the run; must not exist.
        info: For `run.json`.
        readings: By the name of the source.
        skip_bad: Leave out sources that cannot be read, instead of importing nothing.
        images: How images are stored, one of `packed_images.FORMATS`.
        progress: Called after each source.

    Raises:
        ValueError: If `out` exists, a source cannot be read, none can, or their groups differ;
            names every source that is to blame.
    """
    if not readings:
        raise ValueError("nothing to import")
    with new_folder(Path(out)) as run:
        create_run(run, info)
        imported = _write(run, readings, images, progress)
        if imported.skipped and (not skip_bad or not imported.episodes):
            raise ValueError(_complaint(imported.skipped, len(readings)))
        record = {"episodes": imported.episodes, "skipped": imported.skipped}
        publish(write_json(run / "staging" / RECORD, record), run / RECORD)
    return imported


def _write(
    run: Path, readings: Mapping[str, Reading], images: str, progress: Callable[[], object]
) -> Imported:
    """Commits what can be read; the sizes of the first episode are those of all.

    An episode is written while the next one is read, so two of them are in memory.
    """
    imported, expected = Imported(), None
    seen: dict[str, str] = {}
    written: list[tuple[Future[str], dict]] = []
    with RunWriter(run, ACTOR, images=images) as writer, ThreadPoolExecutor(1) as pool:
        for name, read in readings.items():
            try:
                episode, notes = read()
                remarks = [*notes.get("remarks", []), *jumps_of(episode)]
                if (first := seen.setdefault(_digest(episode), name)) != name:
                    remarks.append(f"holds the same numbers as {first}: is it a copy?")
                notes = notes | {"remarks": list(dict.fromkeys(remarks))}
                expected = expected or _sizes(episode)
                if (sizes := _sizes(episode)) != expected:
                    raise ValueError(f"{name}: its sizes {sizes} are not the first's {expected}")
            except (ValueError, FileNotFoundError) as error:
                imported.skipped[name] = str(error)
            else:
                if written:
                    written[-1][0].result()  # no third one
                written.append((pool.submit(writer.commit, episode), {**notes, "source": name}))
            progress()
    imported.episodes.update((eid.result(), about) for eid, about in written)
    return imported


def _digest(episode: Episode) -> str:
    """Of what was seen and done, without pictures."""
    groups = (v for _, v in sorted(episode.observation.items()) if v.dtype != np.uint8)
    found = hashlib.sha256(np.ascontiguousarray(episode.action).data)
    for value in groups:
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def _sizes(episode: Episode) -> dict[str, tuple]:
    groups = {name: (*v.shape[1:], str(v.dtype)) for name, v in episode.observation.items()}
    return {"action": episode.action.shape[1:]} | groups


def _complaint(skipped: Mapping[str, str], total: int) -> str:
    reasons = "\n  ".join(skipped.values())
    return f"{len(skipped)} of {total} could not be read, so nothing was imported:\n  {reasons}"
