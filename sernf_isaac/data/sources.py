"""Episodes from wherever they are: an episode store, or a file in somebody else's format."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sernf_isaac.data.checks import blamed_on
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.group_names import only, without_logs
from sernf_isaac.data.importers.ogbench import load_ogbench
from sernf_isaac.data.importers.robomimic import load_robomimic
from sernf_isaac.data.store.files import sha256_of
from sernf_isaac.data.store.reader import RunReader


def load_episodes(sources: list[str], keys: list[str]) -> dict[str, Episode]:
    """All episodes of these sources, by a name that is unique.

    Args:
        sources: Folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5).
        keys: Observation groups to keep; none: all but those logged for people (`group_names`).
            robomimic files need them named.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If nothing is named, or something twice, a source is of no known kind or
            damaged, a group is not there, or no episode is.
    """
    if not sources:
        raise ValueError("no data: name at least one episode store, .npz or .hdf5 file")
    _check_named_once(sources)
    episodes: dict[str, Episode] = {}
    for source in sources:
        for name, episode in _load(Path(source), keys):
            where = f"{source}/{name}"
            with blamed_on(Path(source), name):
                episodes[where] = only(episode, keys or without_logs(episode.observation))
    if not episodes:
        raise ValueError(f"{sources} hold no episodes to train on")
    return episodes


def return_range(episodes: Iterable[Episode], discount: float) -> tuple[float, float]:
    """Range of discounted returns-to-go in the data, 0 included: what a lost episode is worth.

    Episodes that were cut off count too; their returns lack what nobody saw, so leave room when
    such episodes are the long ones.
    """
    ends = []
    for episode in episodes:
        going = 0.0
        for reward, over in zip(episode.reward[::-1], episode.terminated[::-1], strict=True):
            going = float(reward) + (0.0 if over else discount * going)
            ends.append(going)
    low, high = min(0.0, *ends), max(0.0, *ends)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _check_named_once(sources: list[str]) -> None:
    """The same episodes twice would count twice, also in a copy under another name."""
    seen: dict[Path | str, str] = {}
    sizes = Counter(Path(source).stat().st_size for source in sources if Path(source).is_file())
    for source in sources:
        path = Path(source)
        marks: set[Path | str] = {path.resolve()}
        if (path / "run.json").is_file():
            marks |= {file.sha256 for commit in RunReader(path).commits() for file in commit.files}
        elif path.is_file() and sizes[path.stat().st_size] > 1:
            marks.add(sha256_of(path))
        if twice := marks & seen.keys():
            raise ValueError(f"{source} holds episodes of {seen[twice.pop()]} again; name one")
        seen |= dict.fromkeys(marks, source)


def _load(source: Path, keys: list[str]) -> Iterable[tuple[str, Episode]]:
    if (source / "run.json").is_file():
        reader = RunReader(source)
        usable = (commit for commit in reader.commits() if reader.may_train(commit))
        return [(commit.id, reader.load(commit, groups=keys)) for commit in usable]
    if source.suffix == ".npz":
        return [(str(i), episode) for i, episode in enumerate(load_ogbench(source))]
    if source.suffix in (".hdf5", ".h5"):
        return [(str(i), episode) for i, episode in enumerate(load_robomimic(source, keys=keys))]
    if not source.exists():
        raise FileNotFoundError(f"no data at {source}")
    raise ValueError(f"{source} is no episode store, .npz or .hdf5 file{_hint(source)}")


def _hint(source: Path) -> str:
    """What to do with a source that has to be imported first."""
    if (source / "meta" / "info.json").is_file():
        return "; import a LeRobot data set first: import_data.py lerobot"
    if (source / "metadata.yaml").is_file() or source.suffix in (".mcap", ".db3"):
        return "; import ROS 2 bags first: import_data.py bags"
    return ""
