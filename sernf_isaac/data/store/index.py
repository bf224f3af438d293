"""All commits of a run once more in one file, so that a large store opens with one read.

It may be missing, old or damaged: whoever reads looks for the records that it lacks, and forgets
those that are gone. Records never change, so what it holds is never wrong.
"""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from sernf_isaac.data.store.files import publish, read_json

INDEX_FILE = "commits.jsonl"
WORTH_IT = 1_000
"""Records that the index lacks before it is written again, or is read at all."""


def listed(run: Path) -> set[str]:
    """Ids of a run's commits, as its folder shows them; none if there is no such folder."""
    folder = run / "commits"
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries)
        return {name.removesuffix(".json") for name in names if name.endswith(".json")}


def read_index(run: Path) -> Mapping[str, dict]:
    """The records that the index holds, by id; empty if there is none."""
    try:
        lines = (run / INDEX_FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    try:
        records = map(json.loads, lines)
        return {record["id"]: record for record in records}
    except (ValueError, TypeError, KeyError) as error:
        warnings.warn(f"{run / INDEX_FILE} is damaged and was not used: {error}", stacklevel=2)
        return {}


def refresh_index(run: Path) -> int:
    """Write the index again if it lacks many records; returns how many it got."""
    ids = listed(run)
    if len(ids) < WORTH_IT:
        return 0
    known = read_index(run)
    new = ids - known.keys()
    if len(new) < WORTH_IT:
        return 0
    records = {eid: record for eid, record in known.items() if eid in ids}
    for eid in new:
        try:
            records[eid] = read_json(run / "commits" / f"{eid}.json")
        except ValueError:  # readers tell of it
            continue
    staged = run / "staging" / f"{INDEX_FILE}.{os.getpid()}"
    staged.write_text("".join(f"{json.dumps(records[eid])}\n" for eid in sorted(records)))
    publish(staged, run / INDEX_FILE)
    return len(new)
