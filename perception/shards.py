"""Data sets on disk: WebDataset shards that are complete or absent, and an index over them.

`SPLIT-000012.tar` holds the files of its samples one after another, so the `webdataset` library
reads it as well; `SPLIT-000012.json` beside it commits the shard (count, size, checksum, where each
file begins) and is written last. `index.json` describes the whole: conventions, configuration,
seed, shards.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from torch.utils.data import Dataset

from perception.cube import check_cube_contract, cube_contract
from perception.samples import SCHEMA, SUFFIXES, Sample, decode, encode

INDEX = "index.json"
PART = ".part"
"""Suffix of files that are still being written."""


def shard_name(split: str, shard: int) -> str:
    """File name of a shard."""
    return f"{split}-{shard:06d}.tar"


def write_shard(path: Path, samples: Iterable[Sample]) -> dict:
    """Write a shard so that it is there completely or not at all; returns its record.

    Raises:
        ValueError: If there is no sample, or two have the same key.
    """
    part = path.with_name(path.name + PART)
    offsets: dict[str, list[list[int]]] = {}
    fractions = []
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            if sample.key in offsets:
                raise ValueError(f"{path}: two samples are called '{sample.key}'")
            offsets[sample.key] = [_add(tar, sample.key, *item) for item in encode(sample).items()]
            fractions.append(round(sample.visible_fraction, 4))
    if not offsets:
        part.unlink()
        raise ValueError(f"{path}: no samples to write")
    record = {
        "name": path.name,
        "count": len(offsets),
        "bytes": part.stat().st_size,
        "sha256": _sha256(part),
        "visible_fraction": fractions,
        "offsets": offsets,
    }
    _publish(part, path)
    write_json(record_path(path), record)
    return record


def record_path(shard: Path) -> Path:
    """The commit record of a shard."""
    return shard.with_suffix(".json")


def committed(shard: Path) -> dict | None:
    """The record of a complete shard, None if there is none or its tar has another size."""
    record = record_path(shard)
    if not record.is_file() or not shard.is_file():
        return None
    content = json.loads(record.read_text())
    return content if content["bytes"] == shard.stat().st_size else None


def write_index(folder: Path, description: dict, records: list[dict]) -> None:
    """Write `index.json` over the shards committed so far.

    Args:
        folder: Of the data set.
        description: Configuration, seed and whatever else made it; plain values.
        records: From `write_shard` or `committed`.
    """
    short = [{key: r[key] for key in ("name", "count", "bytes", "sha256")} for r in records]
    splits = sorted({r["name"].rpartition("-")[0] for r in records})
    counts = {s: sum(r["count"] for r in short if _is_of(r["name"], s)) for s in splits}
    content = {"schema": SCHEMA, "contract": cube_contract(), "counts": counts}
    write_json(folder / INDEX, content | {"description": description, "shards": short})


def read_index(folder: Path) -> dict:
    """The index of a data set.

    Raises:
        FileNotFoundError: If there is none; says how to make one.
        ValueError: If it was made for another cube, convention or schema.
    """
    path = folder / INDEX
    if not path.is_file():
        raise FileNotFoundError(
            f"no data set at {folder} ({INDEX} missing); make one: "
            f"python scripts/render_keypoints.py --out {folder}"
        )
    content = json.loads(path.read_text())
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {content.get('schema')}, this version reads {SCHEMA}")
    check_cube_contract(content["contract"], str(path))
    return content


class ShardDataset(Dataset[Sample]):
    """Samples of one split by number, from any process.

    Args:
        folder: Of the data set; may still be growing, then what is committed now is seen.
        split: "train" or "heldout".
        min_visible_fraction: Leave out samples that show less of the cube.

    Raises:
        FileNotFoundError: If there is no data set.
        ValueError: If the split has no samples, or a shard of the index is missing or cut short.
    """

    def __init__(
        self, folder: Path | str, split: str = "train", min_visible_fraction: float = 0.0
    ) -> None:
        self.folder = Path(folder)
        self.index = read_index(self.folder)
        self._places: list[tuple[str, list[list[int]]]] = []
        for shard in self.index["shards"]:
            if not _is_of(shard["name"], split):
                continue
            record = committed(self.folder / shard["name"])
            if record is None or record["sha256"] != shard["sha256"]:
                raise ValueError(f"{self.folder / shard['name']} is not what {INDEX} promises")
            self._places += [
                (shard["name"], places)
                for places, fraction in zip(
                    record["offsets"].values(), record["visible_fraction"], strict=True
                )
                if fraction >= min_visible_fraction
            ]
        if not self._places:
            raise ValueError(f"{self.folder} holds no '{split}' samples; {self.index['counts']}")
        self._files: dict[tuple[int, str], IO[bytes]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Sample:
        name, places = self._places[number]
        file = self._open(name)
        files = {}
        for suffix, (start, size) in zip(SUFFIXES, places, strict=True):
            file.seek(start)
            files[suffix] = file.read(size)
        return decode(files, f"{self.folder / name}, sample {number}")

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": {}}

    def _open(self, name: str) -> IO[bytes]:
        """The shard's file; each process opens its own, since they share no position."""
        key = (os.getpid(), name)
        if key not in self._files:
            self._files[key] = (self.folder / name).open("rb")
        return self._files[key]


def verify(folder: Path) -> int:
    """Compare every shard with its checksum; returns the number of samples.

    Raises:
        ValueError: Naming the first shard that is missing or damaged.
    """
    shards = read_index(folder)["shards"]
    for shard in shards:
        path = folder / shard["name"]
        if not path.is_file() or _sha256(path) != shard["sha256"]:
            raise ValueError(f"{path} is missing or damaged; delete it and generate again")
    return sum(shard["count"] for shard in shards)


def write_json(path: Path, content: dict) -> None:
    """Write a small file at once."""
    part = path.with_name(path.name + PART)
    part.write_text(json.dumps(content, allow_nan=False))
    _publish(part, path)


def _is_of(name: str, split: str) -> bool:
    return name.rpartition("-")[0] == split


def _add(tar: tarfile.TarFile, key: str, suffix: str, content: bytes) -> list[int]:
    """Append a file; returns where its content begins and its size."""
    entry = tarfile.TarInfo(f"{key}.{suffix}")  # no time, no owner: same samples, same bytes
    entry.size = len(content)
    start = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(entry, io.BytesIO(content))
    return [start, len(content)]


def _publish(part: Path, target: Path) -> None:
    """Make a complete file visible under its name, and durable."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
