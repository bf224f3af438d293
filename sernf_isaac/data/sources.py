"""Episodes from wherever they are: an episode store, or a file in somebody else's format."""

from collections.abc import Iterable
from pathlib import Path

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.importers.ogbench import load_ogbench
from sernf_isaac.data.importers.robomimic import load_robomimic
from sernf_isaac.data.store.reader import RunReader


def load_episodes(sources: list[str], keys: list[str]) -> dict[str, Episode]:
    """All episodes of these sources, by a name that is unique.

    Args:
        sources: Folders of an episode store, OGBench files (.npz) or robomimic files (.hdf5).
        keys: Observation groups to keep; none: all. robomimic files need them named.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If nothing is named, a source is of no known kind or damaged, a group is not
            there, or no episode is.
    """
    if not sources:
        raise ValueError("no data: name at least one episode store, .npz or .hdf5 file")
    episodes: dict[str, Episode] = {}
    for source in sources:
        for name, episode in _load(Path(source), keys):
            episodes[f"{source}/{name}"] = _only(episode, keys)
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


def _load(source: Path, keys: list[str]) -> Iterable[tuple[str, Episode]]:
    if (source / "run.json").is_file():
        reader = RunReader(source)
        return [(c.id, reader.load(c)) for c in reader.commits() if reader.may_train(c)]
    if source.suffix == ".npz":
        return [(str(i), episode) for i, episode in enumerate(load_ogbench(source))]
    if source.suffix in (".hdf5", ".h5"):
        return [(str(i), episode) for i, episode in enumerate(load_robomimic(source, keys=keys))]
    if not source.exists():
        raise FileNotFoundError(f"no data at {source}")
    raise ValueError(f"{source} is no episode store, .npz or .hdf5 file")


def _only(episode: Episode, keys: list[str]) -> Episode:
    """The episode with these observation groups, or all of them."""
    if not keys:
        return episode
    if missing := [key for key in keys if key not in episode.observation]:
        raise ValueError(f"no groups {missing}; there are {sorted(episode.observation)}")
    episode.observation = {key: episode.observation[key] for key in keys}
    if episode.final_observation:
        episode.final_observation = {key: episode.final_observation[key] for key in keys}
    return episode
