"""The words every machine in this project agrees on: shapes, and the contract of a policy file.

Shape legend, used in every docstring: `N` parallel environments, `B` batch, `T` time, `H` chunk,
`P` prefix, `O` history, `A` action dimensions, `D` features, `E` critics, `K` candidates, `Z` bins.
Metres, radians, seconds; quaternions are xyzw.
"""

from dataclasses import asdict, dataclass, field, fields
from math import isclose

OPTIONAL = {"hand", "object", "versions"}
"""Entries of a contract that files may lack."""


@dataclass(frozen=True)
class Contract:
    """What a policy file promises and a machine must offer before the policy may drive it."""

    kind: str
    """"teacher", "student", ..."""
    task: str
    joint_names: tuple[str, ...]
    """Order of every joint vector."""
    joint_lower_rad: tuple[float, ...]
    joint_upper_rad: tuple[float, ...]
    control_rate_hz: float
    quaternion_order: str
    observations: dict[str, int]
    """Observation terms in order, and how many numbers each has."""
    action: dict[str, object]
    """What an action means: parametrisation, centre, scale, smoothing."""
    hand: str = ""
    """Which hand it is for; empty where there is none, and in files older than this entry."""
    object: str = ""
    """Which object it holds, as "cylinder 50 x 50 mm"; empty where there is one only, and in files
    older than this entry."""
    versions: dict[str, str] = field(default_factory=dict)
    """Libraries it was made with; told, not compared."""

    def to_dict(self) -> dict:
        """Plain values for a file; an empty `object` is left out."""
        return {name: value for name, value in asdict(self).items() if name != "object" or value}

    @classmethod
    def from_dict(cls, values: dict) -> "Contract":
        """The inverse of `to_dict`.

        Raises:
            ValueError: If a field is missing or unknown.
        """
        known = {f.name for f in fields(cls)}
        unknown, missing = sorted(set(values) - known), sorted(known - set(values) - OPTIONAL)
        if unknown or missing:
            raise ValueError(f"contract has unknown fields {unknown} and lacks {missing}")
        tuples = ("joint_names", "joint_lower_rad", "joint_upper_rad")
        return cls(**values | {name: tuple(values[name]) for name in tuples})

    def differences(self, other: "Contract", ignore: tuple[str, ...] = ("versions",)) -> list[str]:
        """One sentence per field that differs from `other`, naming both values."""
        found = []
        for f in fields(self):
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            if f.name in ignore or _alike(mine, theirs):
                continue
            if isinstance(mine, dict):  # order matters: it is the order of the vector
                keys = [k for k in dict.fromkeys([*mine, *theirs]) if mine.get(k) != theirs.get(k)]
                mine = {k: mine.get(k) for k in keys} or list(mine)
                theirs = {k: theirs.get(k) for k in keys} or list(getattr(other, f.name))
            found.append(f"{f.name} is {mine}, expected {theirs}")
        return found


def _alike(mine: object, theirs: object) -> bool:
    """Equal, with room for rounding of numbers; dictionaries must agree in order too."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return list(mine) == list(theirs) and all(_alike(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
        return len(mine) == len(theirs) and all(map(_alike, mine, theirs))
    if isinstance(mine, float) and isinstance(theirs, float):
        return isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-6)
    return mine == theirs
