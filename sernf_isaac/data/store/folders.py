"""New folders that are whole or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sernf_isaac.data.store.files import sync


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, renamed to it if the block succeeds, else removed.

    Killing the process leaves the hidden folder behind, which nobody reads.

    Raises:
        ValueError: If the target exists.
    """
    if target.exists():
        raise ValueError(f"{target} exists; name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        building.chmod(0o755)  # mkdtemp's are for one user only
        yield building
        building.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)
