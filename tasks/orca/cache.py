"""Derived hand files live in a per-user cache, keyed by what they were made from."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def cache_root() -> Path:
    """Folder of derived files: `SERNF_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`."""
    if chosen := os.environ.get("SERNF_CACHE_DIR"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "sernf_isaac"


def content_hash(parts: Iterable[bytes | str | Path]) -> str:
    """Sixteen hex digits over texts, bytes and the contents of files, in order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def cached_folder(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Folder `<cache>/<name>-<key>`, built once by `build(folder)` and published by one rename.

    Two processes may build at the same time; the first rename wins and the loser's copy is dropped.
    """
    target = cache_root() / f"{name}-{key}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    try:
        build(staging)
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target
