"""Many episodes in one file: what a simulation played, to learn from again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.episode import Episode

KIND = "episodes"


def pack(episodes: Sequence[Episode]) -> dict:
    """Tensors and plain values, for a file: arrays of all episodes end to end, and where to cut.

    Raises:
        ValueError: If there are none, or they have different arrays.
    """
    if not episodes:
        raise ValueError("there are no episodes to pack")
    arrays = [episode.to_arrays() for episode in episodes]
    if any(part.keys() != arrays[0].keys() for part in arrays):
        raise ValueError("episodes with different groups do not go into one file")
    parts = {name: [part[name] for part in arrays] for name in arrays[0]}
    return {
        "kind": KIND,
        "arrays": {name: torch.from_numpy(np.concatenate(each)) for name, each in parts.items()},
        "cuts": {name: [len(part) for part in each] for name, each in parts.items()},
        "policy": [episode.policy for episode in episodes],
        "outcome": [episode.outcome for episode in episodes],
        "is_offline": [episode.is_offline for episode in episodes],
    }


def unpack(packed: object) -> list[Episode]:
    """The inverse of `pack`.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(packed, dict) or packed.get("kind") != KIND:
        raise ValueError("these are no packed episodes")
    split = {
        name: [part.numpy() for part in value.split(packed["cuts"][name])]
        for name, value in packed["arrays"].items()
    }
    return [
        Episode.from_arrays(
            {name: parts[number] for name, parts in split.items()},
            policy=policy,
            outcome=packed["outcome"][number],
            is_offline=packed["is_offline"][number],
        )
        for number, policy in enumerate(packed["policy"])
    ]


def save_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Write them by one rename; errors as `pack`."""
    write_whole(path, pack(episodes))


def load_episodes(path: Path) -> list[Episode]:
    """Read a file of `save_episodes`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or holds something else; names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        return unpack(read_whole(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no episodes: {error}") from error
