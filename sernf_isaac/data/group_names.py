"""Names of observation groups: which can be learned from, and which are only for people."""

from collections.abc import Iterable, Sequence

from torch import nn

from sernf_isaac.data.episode import Episode

LOG = "log_"
"""What the names of groups start with that robots record for people and for labels. They hold what
the action made of itself, so nothing learns from them unless they are named."""
AGE = "_age_s"
"""What is added to a camera's name for the group with the age of its images, (T, 1) seconds."""
BATCH_NAMES = ("prefix", "action")
"""What batches and normalisers call other things."""
_MODULES = nn.ModuleDict()


def is_learnable(name: str) -> bool:
    """Whether networks can have a part of this name: PyTorch needs an identifier that is free."""
    return name.isidentifier() and name not in BATCH_NAMES and not hasattr(_MODULES, name)


def learnable(name: str) -> str:
    """The name, changed as little as possible so that it can be learned from."""
    plain = "".join(c if f"_{c}".isidentifier() else "_" for c in name)
    plain = plain if plain.isidentifier() else f"_{plain}"
    return plain if is_learnable(plain) else f"{plain}_"


def rename(names: Iterable[str]) -> dict[str, str]:
    """What to call each group, by its name in a file.

    Raises:
        ValueError: If two would get the same name.
    """
    found = {name: learnable(name) for name in names}
    taken: dict[str, str] = {}
    for name, new in found.items():
        if new in taken:
            raise ValueError(
                f"{taken[new]!r} and {name!r} would both be called {new!r}; choose one"
            )
        taken[new] = name
    return found


def without_logs(names: Iterable[str]) -> list[str]:
    """The groups that are learned from when none are named."""
    return [name for name in names if not name.startswith(LOG)]


def only(episode: Episode, keys: Sequence[str]) -> Episode:
    """The episode with these observation groups.

    Raises:
        ValueError: If there are none, or one of them is not there.
    """
    if missing := [key for key in keys if key not in episode.observation]:
        raise ValueError(f"no groups {missing}; there are {sorted(episode.observation)}")
    if not keys:
        raise ValueError(f"nothing but logs: {sorted(episode.observation)}; name groups (keys)")
    episode.observation = {key: episode.observation[key] for key in keys}
    if episode.final_observation:
        episode.final_observation = {key: episode.final_observation[key] for key in keys}
    return episode
