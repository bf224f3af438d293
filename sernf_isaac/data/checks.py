"""What importers share: errors that name the file, the key and the index."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array

POINTER = b"version https://git-lfs.github.com/spec"
"""What a file begins with that Git LFS has not fetched yet."""


def check_file(path: Path, what: str) -> None:
    """An error if a file is missing, or is only a pointer to its content.

    Raises:
        FileNotFoundError: If there is none; names what should be there.
        ValueError: If Git LFS or git-annex has not fetched it; says how to.
    """
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path} is a link to {path.readlink()}, which is not there; if git-annex keeps the "
            "data set, fetch its files: git annex get ."
        )
    if not path.is_file():
        raise FileNotFoundError(f"no {what} at {path}")
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ValueError(
                f"{path} is only a Git LFS pointer to its content; fetch that first: git lfs pull"
            )


def checked(path: Path, key: str, value: Array, shape: tuple[int | None, ...]) -> Array:
    """Numbers of this shape, all finite; None and a missing tail stand for any size.

    Raises:
        ValueError: If they are not; names file, key and index.
    """
    value = np.asarray(value)
    if value.dtype.kind not in "fiub":
        raise ValueError(f"{path}: {key} holds {value.dtype}, expected numbers")
    fits = value.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{path}: {key} has shape {value.shape}, expected {wanted}")
    if not value.size:
        raise ValueError(f"{path}: {key} is empty, its shape is {value.shape}")
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which is caught
        finite = np.isfinite(value if value.dtype.kind != "f" else value.astype(np.float32))
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"{path}: {key} is {value[index]} at index {index}")
    return value


def flags(path: Path, key: str, value: Array, length: int) -> Array:
    """(length,) bool from zeros and ones.

    Raises:
        ValueError: If there is anything else; names file, key and index.
    """
    value = checked(path, key, value, (length,))
    if (odd := np.flatnonzero((value != 0) & (value != 1))).size:
        raise ValueError(f"{path}: {key} is {value[odd[0]]} at index {odd[0]}, expected 0 or 1")
    return value.astype(bool)


def require(path: Path, available: Mapping[str, object], *keys: str) -> None:
    """An error if one of these keys is not there.

    Raises:
        ValueError: Names file, missing and available keys.
    """
    if missing := [key for key in keys if key not in available]:
        raise ValueError(f"{path}: no {', '.join(missing)}; it has {sorted(available)}")


@contextmanager
def blamed_on(path: Path, key: str) -> Iterator[None]:
    """Say which file and which part of it an error is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {key}: {error}") from error
