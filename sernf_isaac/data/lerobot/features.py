"""Which features of a LeRobot data set are observations, what they are called here, and columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sernf_isaac.data.checks import require
from sernf_isaac.data.group_names import rename
from sernf_isaac.data.lerobot import format as layout

CAMERAS = ("image", "video")
DEPTH = ("is_depth_map", "video.is_depth_map")


class Features:
    """The features to read.

    Args:
        path: Of `info.json`, for errors.
        features: What it says of each.
        keys: Observation groups to read, by our names or theirs; none: all.

    Raises:
        ValueError: If there is no action, a key or a name is missing or twice there, or what is
            chosen is neither numbers nor colour images; names the file and the feature.
    """

    def __init__(self, path: Path, features: Mapping[str, dict], keys: Sequence[str]) -> None:
        self._path, self._features = path, features
        require(path, features, layout.ACTION)
        theirs = {name: group for name in features if (group := layout.group_name(name))}
        ours = rename(dict.fromkeys(theirs.values()))
        chosen = {
            name: ours[group]
            for name, group in theirs.items()
            if not keys or not {name, group, ours[group]}.isdisjoint(keys)
        }
        known = {*theirs, *theirs.values(), *ours.values()}
        if missing := [key for key in keys if key not in known]:
            there = ", ".join(sorted(ours.values()))
            raise ValueError(f"{path}: no {', '.join(missing)}; there are {there}")
        if len(set(chosen.values())) < len(chosen):
            raise ValueError(f"{path}: two of {sorted(chosen)} share a name; choose keys")
        if not chosen:
            raise ValueError(f"{path}: no observations; it has {sorted(features)}")
        self.groups: dict[str, str] = chosen
        """Our names of the features to read, by theirs."""
        for name in chosen:
            self._check_kind(name)

    def kind(self, name: str) -> str:
        """Its type: "video", "image" or that of its numbers."""
        return str(self._features[name].get("dtype"))

    def of_kind(self, kind: str) -> list[str]:
        """Names of the chosen features of this type."""
        return [name for name in self.groups if self.kind(name) == kind]

    def in_tables(self) -> list[str]:
        """Names of the chosen features that stand in tables; videos do not."""
        return [name for name in self.groups if self.kind(name) != "video"]

    def columns(self) -> dict[str, list[str]]:
        """What each column of numbers is, by our group name and "action"; only where it is said.

        Raises:
            ValueError: If a feature names a column twice, or another number of them.
        """
        found = {}
        for name, group in {**self.groups, layout.ACTION: layout.ACTION}.items():
            names = _flat(self._features[name].get("names"))
            if self.kind(name) in CAMERAS or not names:
                continue
            if twice := [one for one in names if names.count(one) > 1]:
                raise ValueError(f"{self._path}: {name} names {twice[0]!r} twice: {names}")
            shape = self._features[name].get("shape")
            if shape is not None and list(shape) != [len(names)]:
                raise ValueError(f"{self._path}: {name} has {len(names)} names for {shape} numbers")
            found[group] = names
        return found

    def remarks(self) -> list[str]:
        """Which groups are called otherwise than in the data set."""
        plain = {name: layout.group_name(name) for name in self.groups}
        return [
            f"{name} is called {group} here: networks cannot have a part named {plain[name]!r}"
            for name, group in self.groups.items()
            if plain[name] != group
        ]

    def _check_kind(self, name: str) -> None:
        feature = self._features[name]
        require(self._path, {f"{name} {key}": None for key in feature}, f"{name} dtype")
        about = feature | (feature.get("info") or {})
        is_depth = any(about.get(key) for key in DEPTH)
        is_grey = self.kind(name) in CAMERAS and 3 not in (feature.get("shape") or [])
        if self.kind(name) == "string" or is_depth or is_grey:
            raise ValueError(
                f"{self._path}: {name} is neither numbers nor a colour image; choose others (keys)"
            )


def _flat(names: object) -> list[str]:
    """Names as a list; some data sets keep them in groups, such as {"motors": [...]}."""
    if isinstance(names, dict):
        return [name for value in names.values() for name in _flat(value)]
    if isinstance(names, list):
        return [str(name) for name in names]
    return []
