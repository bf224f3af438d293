"""Where the two machines of a run meet: a mounted folder, a folder behind rsync, an object store.

Each writes a file whole or not at all, and an existing name means a whole file. Nothing here knows
what the files are.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from sernf_isaac.data.store.files import publish

AT_ONCE = 8
"""Files that travel side by side to or from an object store."""
PATIENCE_S = 30.0
"""After so long without an answer a transfer counts as failed; the next round tries again."""
SCHEMES = ("s3", "gs", "az")


class Remote(Protocol):
    """Files by their path relative to the run. Every method raises `OSError` without connection."""

    def names(self, folders: Iterable[str]) -> set[str]:
        """Paths of all files below these folders of the run; none where one is not there."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def send(self, root: Path, names: Iterable[str]) -> None:
        """Copy files below `root` to there, in any order, over what is there."""
        ...

    def fetch(self, names: Iterable[str], into: Path) -> None:
        """Copy files from there to below `into`.

        Raises:
            FileNotFoundError: If one is not there.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file; harmless if it is not there."""
        ...


def remote_of(address: str, patience_s: float = PATIENCE_S) -> Remote:
    """The remote with this address.

    Args:
        address: A mounted folder; `HOST:FOLDER`, for rsync over SSH, or `rsync://...`;
            `s3://BUCKET/PREFIX`, `gs://...` or `az://...`, whose keys come from the environment.
        patience_s: See `PATIENCE_S`.

    Raises:
        ValueError: If it is of no known kind.
    """
    scheme, found, _ = address.partition("://")
    if found and scheme in SCHEMES:
        return ObjectRemote(address, patience_s)
    if (found and scheme == "rsync") or (not found and ":" in address.partition("/")[0]):
        return RsyncRemote(address, patience_s)
    if found:
        raise ValueError(
            f"{address}: {scheme}:// is none of {', '.join((*SCHEMES, 'rsync'))}; a folder is "
            "named by its path, one on another machine by HOST:PATH"
        )
    return FolderRemote(Path(address))


class FolderRemote:
    """A folder that both machines mount, such as one on NFS; or the other machine's run itself."""

    def __init__(self, root: Path) -> None:
        self._root, self._seen = root, ""

    def names(self, folders: Iterable[str]) -> set[str]:
        if self._seen and not (self._root / self._seen).is_file():
            raise ConnectionError(f"{self._root} has lost {self._seen}; is it still mounted?")
        found = (path for folder in folders for path in (self._root / folder).rglob("*"))
        shown = (path.relative_to(self._root) for path in found if path.is_file())
        return {str(path) for path in shown if not path.name.startswith(".")}

    def has(self, name: str) -> bool:
        there = (self._root / name).is_file()
        self._seen = name if there else self._seen
        return there

    def send(self, root: Path, names: Iterable[str]) -> None:
        for name in names:
            target = self._root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f".{target.name}.{os.getpid()}.partial")
            staged.write_bytes((root / name).read_bytes())
            publish(staged, target)

    def fetch(self, names: Iterable[str], into: Path) -> None:
        for name in names:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes((self._root / name).read_bytes())

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class RsyncRemote:
    """A folder on a machine that rsync reaches; rsync itself renames what has arrived."""

    def __init__(self, address: str, patience_s: float = PATIENCE_S) -> None:
        if shutil.which("rsync") is None:
            raise ValueError(f"{address}: rsync is not installed; on Debian: apt install rsync")
        self._address = address.rstrip("/")
        self._limits = [f"--timeout={max(1, round(patience_s))}"]
        if "RSYNC_RSH" not in os.environ:
            wait = f"-oConnectTimeout={max(1, round(patience_s))}"
            self._limits += ["-e", f"ssh -oBatchMode=yes {wait}"]  # nobody is there to type

    def names(self, folders: Iterable[str]) -> set[str]:
        return self._listed(f"--include=/{folder}/***" for folder in folders)

    def has(self, name: str) -> bool:
        return name in self._listed([f"--include=/{name}"])

    def send(self, root: Path, names: Iterable[str]) -> None:
        self._copy(f"{root}/", f"{self._address}/", names)

    def fetch(self, names: Iterable[str], into: Path) -> None:
        self._copy(f"{self._address}/", f"{into}/", names)

    def remove(self, name: str) -> None:
        folder, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory() as empty:
            only = ["-r", "--delete", f"--include=/{file}", "--exclude=*"]
            self._run([*only, f"{empty}/", f"{self._address}/{folder}/"], absent="")

    def _listed(self, wanted: Iterable[str]) -> set[str]:
        """Asked of the whole folder, which is there as soon as anything is."""
        options = ["-r", "-8", "--list-only", *wanted, "--exclude=*", f"{self._address}/"]
        lines = self._run(options, absent="").splitlines()
        files = {line.split(None, 4)[4] for line in lines if line.startswith("-")}
        return {name for name in files if not Path(name).name.startswith(".")}

    def _copy(self, source: str, target: str, names: Iterable[str]) -> None:
        listed = "".join(f"{name}\n" for name in names)
        if listed:
            self._run(["-t", "-I", "--mkpath", "--files-from=-", source, target], given=listed)

    def _run(self, arguments: list[str], *, given: str = "", absent: str | None = None) -> str:
        """What rsync prints; `absent` if it says that there is no such file or folder."""
        done = subprocess.run(
            ["rsync", *self._limits, *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.strip().splitlines()
        if "No such file or directory" in done.stderr and done.returncode == 23:
            if absent is None:
                raise FileNotFoundError(f"{self._address}: {said[0]}")
            return absent
        raise ConnectionError(f"{self._address}: {said[0] if said else 'rsync failed'}")


class ObjectRemote:
    """A prefix in an object store: S3 and what speaks like it, Google Cloud Storage, Azure."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        import obstore
        from obstore.store import from_url

        self._api, self._url = obstore, url
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        limit = timedelta(seconds=patience_s)
        self._store = from_url(
            url,
            client_options={"timeout": limit, "connect_timeout": limit, "allow_http": plain},
            retry_config={"max_retries": 2, "retry_timeout": limit},
        )

    def names(self, folders: Iterable[str]) -> set[str]:
        def listed(folder: str) -> set[str]:
            pages = self._api.list(self._store, prefix=folder, chunk_size=1000)
            return {found["path"] for page in pages for found in page}

        return self._do(lambda: set().union(*map(listed, folders)))

    def has(self, name: str) -> bool:
        try:
            self._do(lambda: self._api.head(self._store, name))
        except FileNotFoundError:
            return False
        return True

    def send(self, root: Path, names: Iterable[str]) -> None:
        self._all(lambda name: self._api.put(self._store, name, root / name), names)

    def fetch(self, names: Iterable[str], into: Path) -> None:
        def fetch_one(name: str) -> None:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            with (into / name).open("wb") as file:
                for part in self._api.get(self._store, name).stream():
                    file.write(part)

        self._all(fetch_one, names)

    def remove(self, name: str) -> None:
        if self.has(name):
            self._do(lambda: self._api.delete(self._store, name))

    def _all(self, work: Callable[[str], object], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._do(lambda: list(pool.map(work, names)))

    def _do[Result](self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except self._api.exceptions.BaseError as error:
            raise ConnectionError(f"{self._url}: {str(error).splitlines()[0]}") from error
