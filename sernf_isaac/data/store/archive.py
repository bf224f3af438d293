"""One episode as one immutable file: a Zarr v3 group in a zip archive, readable by any Zarr."""

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import ZipStore

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.store.packed_images import RAW, are_images, pack, unpack

SCHEMA = "sernf-isaac-episode/1"
PACKED_SCHEMA = "sernf-isaac-episode/2"
"""With images that are packed, which readers of the first schema do not know."""
PACKED, ENDS = "packed.", "packed_ends."
"""What the names of packed images start with, and those of where each image ends."""


def write_archive(path: Path, episode: Episode, images: str = RAW) -> None:
    """Write a new file; it is whole only when this returns.

    Arrays are uncompressed, one chunk each: an episode is small and always read whole.

    Args:
        path: Of the new file.
        episode: What to write.
        images: One of `packed_images.FORMATS`; JPEG changes them a little.

    Raises:
        ValueError: If there is no such format.
    """
    arrays = {}
    for name, value in episode.to_arrays().items():
        if images != RAW and are_images(value):
            arrays[PACKED + name], arrays[ENDS + name] = pack(value, images)
        else:
            arrays[name] = value
    attributes = {
        "schema": PACKED_SCHEMA if arrays.keys() != episode.to_arrays().keys() else SCHEMA,
        "policy": episode.policy,
        "outcome": episode.outcome,
        "is_offline": episode.is_offline,
    }
    with ZipStore(path, mode="w", compression=zipfile.ZIP_STORED) as store:
        group = zarr.create_group(store, attributes=attributes)
        for name, value in arrays.items():
            if value.size:
                group.create_array(name, data=value, chunks=value.shape, compressors=None)


def read_archive(path: Path, groups: Collection[str] = ()) -> Episode:
    """Read an episode.

    Args:
        path: Of the file.
        groups: Observation groups to read, the others stay in the file; none: all. Also all if one
            of them is not there, so that the caller can say what is.

    Raises:
        ValueError: If the file is damaged, of another schema or no valid episode; names the file.
    """
    try:
        with ZipStore(path, mode="r") as store:
            group = zarr.open_group(store, mode="r")
            attributes = dict(group.attrs)
            names = list(group.array_keys())
            if set(groups) <= {found for name in names if (found := _group_of(name))}:
                names = [n for n in names if not groups or _group_of(n) in ("", *groups)]
            arrays = {name: _values(group, name) for name in names}
        if attributes.get("schema") not in (SCHEMA, PACKED_SCHEMA):
            raise ValueError(f"schema {attributes.get('schema')!r} is unknown")
        for name in [name for name in arrays if name.startswith(PACKED)]:
            plain = name.removeprefix(PACKED)
            arrays[plain] = unpack(arrays.pop(name), arrays.pop(ENDS + plain))
        return Episode.from_arrays(
            arrays,
            policy=str(attributes["policy"]),
            outcome=str(attributes["outcome"]),
            is_offline=bool(attributes["is_offline"]),
        )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}") from error


def _group_of(name: str) -> str:
    """The observation group that an array is of; empty if of none."""
    kind, _, group = name.removeprefix(PACKED).removeprefix(ENDS).partition(".")
    return group if kind in ("observation", "final_observation") else ""


def _values(group: zarr.Group, name: str) -> Array:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{name!r} is no array")
    return np.asarray(array[...])
