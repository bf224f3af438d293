"""Data sets on disk: WebDataset shards that are complete or absent, and an index over them.

`SPLIT-000012.tar` holds the files of its samples one after another, so the `webdataset` library
reads it as well; `SPLIT-000012.json` beside it commits the shard: count, size, checksum, where each
file begins. A commit is made once and never over another one, whoever writes. `index.json`
describes the whole: conventions, configuration, seed, shards.
"""

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from torch.utils.data import Dataset

from perception.files import (
    partial_of,
    read_json,
    required,
    write_json,
    write_synced,
)
from perception.marked import CUBE, MarkedObject, object_contract, object_of_contract
from perception.samples import SCHEMA, SUFFIXES, Sample, decode, encode

INDEX = "index.json"


def shard_name(split: str, shard: int) -> str:
    """File name of a shard."""
    return f"{split}-{shard:06d}.tar"


def write_shard(path: Path, samples: Iterable[Sample]) -> dict:
    """Commit a shard unless that is done already; returns its record.

    The record is the commit: it appears with all of its content, and only where there is none. It
    names the file that gets the shard's name after it, so that who was killed in between needs not
    come back. Of two processes that make the same shard, the second finds the first one's.

    Raises:
        ValueError: If there is no sample, or two have the same key.
        RuntimeError: If somebody removes files of the shard meanwhile.
    """
    if (known := committed(path)) is not None:
        return known
    path.parent.mkdir(parents=True, exist_ok=True)
    record_path(path).unlink(missing_ok=True)  # of a shard that was removed or damaged
    staged, staged_record = partial_of(path), partial_of(record_path(path))
    try:
        record = _write_tar(path, staged, samples) | {"staged": staged.name}
        write_synced(
            staged_record,
            lambda file: file.write(f"{json.dumps(record, allow_nan=False)}\n".encode()),
        )
        os.link(staged_record, record_path(path))
    except FileExistsError:
        staged.unlink(missing_ok=True)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    finally:
        staged_record.unlink(missing_ok=True)
    if (there := committed(path)) is None:
        raise RuntimeError(f"{path} was removed by another process while it was made; go on again")
    return there


def _write_tar(path: Path, staged: Path, samples: Iterable[Sample]) -> dict:
    """Write the samples of the shard `path` to `staged`; returns what is to be committed."""
    offsets: dict[str, list[list[int]]] = {}
    fractions = []

    def fill(file: IO[bytes]) -> None:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                if sample.key in offsets:
                    raise ValueError(f"{path}: two samples are called '{sample.key}'")
                files = encode(sample).items()
                offsets[sample.key] = [_add(tar, sample.key, *item) for item in files]
                fractions.append(round(sample.visible_fraction, 4))
        if not offsets:
            raise ValueError(f"{path}: no samples to write")

    write_synced(staged, fill)
    return {
        "name": path.name,
        "count": len(offsets),
        "bytes": staged.stat().st_size,
        "sha256": _sha256(staged),
        "visible_fraction": fractions,
        "offsets": offsets,
    }


def _give_its_name(shard: Path, record: dict) -> None:
    """What follows a commit; may be done by anyone, and twice."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(shard.with_name(record["staged"]), shard)


def record_path(shard: Path) -> Path:
    """The commit record of a shard."""
    return shard.with_suffix(".json")


def committed(shard: Path) -> dict | None:
    """The record of a complete shard, None if there is none or its tar has another size."""
    record = record_path(shard)
    if not record.is_file():
        return None
    content = read_json(record)
    (size,) = required(content, ("bytes",), f"{record}")
    if not _has_size(shard, size) and "staged" in content:
        _give_its_name(shard, content)
    return content if _has_size(shard, size) else None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def write_index(
    folder: Path, description: dict, records: list[dict], marked: MarkedObject = CUBE
) -> None:
    """Write `index.json` over the shards committed so far.

    Args:
        folder: Of the data set.
        description: Configuration, seed and whatever else made it; plain values.
        records: From `write_shard` or `committed`.
        marked: What the pictures show.
    """
    short = [{key: r[key] for key in ("name", "count", "bytes", "sha256")} for r in records]
    splits = sorted({r["name"].rpartition("-")[0] for r in records})
    counts = {s: sum(r["count"] for r in short if _is_of(r["name"], s)) for s in splits}
    content = {"schema": SCHEMA, "contract": object_contract(marked), "counts": counts}
    write_json(folder / INDEX, content | {"description": description, "shards": short})


def read_index(folder: Path) -> dict:
    """The index of a data set.

    Raises:
        FileNotFoundError: If there is none; says how to make one.
        ValueError: If it was made for another print, convention or schema.
    """
    path = folder / INDEX
    if not path.is_file():
        raise FileNotFoundError(
            f"no data set at {folder} ({INDEX} missing); make one: "
            f"python scripts/render_keypoints.py --out {folder}"
        )
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema {content.get('schema')}, this version reads {SCHEMA}")
    contract, *_ = required(content, ("contract", "counts", "description", "shards"), f"{path}")
    object_of_contract(contract, f"{path}")
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
        self.marked = object_of_contract(self.index["contract"], f"{self.folder / INDEX}")
        """What the pictures show."""
        self._places: list[tuple[str, list[list[int]]]] = []
        for shard in self.index["shards"]:
            if not _is_of(shard["name"], split):
                continue
            record = committed(self.folder / shard["name"])
            if record is None or record["sha256"] != shard["sha256"]:
                raise ValueError(
                    f"{self.folder / shard['name']} is not what {INDEX} promises: the data set was "
                    "copied in part or is being made anew; run the command that made it again"
                )
            self._places += [
                (shard["name"], places)
                for places, fraction in zip(
                    record["offsets"].values(), record["visible_fraction"], strict=True
                )
                if fraction >= min_visible_fraction
            ]
        if not self._places:
            has = ", ".join(f"{n} '{name}'" for name, n in self.index["counts"].items() if n)
            raise ValueError(
                f"{self.folder} holds no '{split}' samples, but {has or 'none at all'}"
            )
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


def _is_of(name: str, split: str) -> bool:
    return name.rpartition("-")[0] == split


def _add(tar: tarfile.TarFile, key: str, suffix: str, content: bytes) -> list[int]:
    """Append a file; returns where its content begins and its size."""
    entry = tarfile.TarInfo(f"{key}.{suffix}")  # no time, no owner: same samples, same bytes
    entry.size = len(content)
    start = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(entry, io.BytesIO(content))
    return [start, len(content)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
