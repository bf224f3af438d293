"""What sources say about themselves, compared with each other and with the settings.

An episode holds numbers only: how fast its steps are and which joint a column is stands in the
`run.json` of its store, or in a robomimic file's `env_args`. Data of other rates or of other
columns have the same shapes, so only this comparison tells them apart.
"""

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path

from sernf_isaac.data.importers.robomimic import describe_robomimic
from sernf_isaac.data.run_info import ACTION, SourceInfo, info_of_run


def info_of(source: Path) -> SourceInfo:
    """What a store's `run.json` or a robomimic file says; nothing for an npz file.

    Raises:
        FileNotFoundError, ValueError: If it cannot be read, or its rate is no number above 0.
    """
    if (source / "run.json").is_file():
        return info_of_run(source)
    if source.suffix in (".hdf5", ".h5"):
        return SourceInfo(describe_robomimic(source).control_rate_hz)
    return SourceInfo()


def agreed_rate(
    sources: Sequence[Path | str], asked_hz: float = 0.0, keys: Sequence[str] = ()
) -> float:
    """Steps per second that all sources and the settings agree on; 0 if nobody says.

    Args:
        sources: Stores and files.
        asked_hz: What the settings say; 0: nothing.
        keys: Observation groups that matter; none: all.

    Raises:
        ValueError: If a source says another rate, or names other columns or another order of them
            than the first; names both sources, with what each says.
    """
    known = {str(source): info_of(Path(source)) for source in sources}
    rates = {name: info.rate_hz for name, info in known.items() if info.rate_hz is not None}
    for name, rate_hz in rates.items():
        if asked_hz and not isclose(rate_hz, asked_hz, rel_tol=1e-3):
            raise ValueError(
                f"control_rate_hz is {asked_hz:g}, but the steps of {name} are at {rate_hz:g} Hz"
            )
        first, expected = next(iter(rates.items()))
        if not isclose(rate_hz, expected, rel_tol=1e-3):
            raise ValueError(
                f"{name} has {rate_hz:g} steps per second, {first} has {expected:g}: import them "
                "at one rate"
            )
    _check_columns(known, keys)
    return asked_hz or next(iter(rates.values()), 0.0)


def _check_columns(known: Mapping[str, SourceInfo], keys: Sequence[str]) -> None:
    first: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, info in known.items():
        for group, columns in info.columns.items():
            if keys and group not in (ACTION, *keys):
                continue
            other, expected = first.setdefault(group, (name, columns))
            if not _alike(columns, expected):
                raise ValueError(
                    f"{name}: {group} is {', '.join(columns)}; in {other} it is "
                    f"{', '.join(expected)}: import them with the same names in the same order"
                )


def _alike(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether columns mean the same; two labs may call a topic differently, if it is not moved."""
    if mine == theirs:
        return True
    my_topics, their_topics = ({n for n in names if n[:1] == "/"} for names in (mine, theirs))
    if not (my_topics and their_topics):
        return bool(my_topics or their_topics)  # what one takes as a topic the other names in full
    moved = bool(my_topics & their_topics)
    return not moved and [_joint(name) for name in mine] == [_joint(name) for name in theirs]


def _joint(name: str) -> str:
    return "" if name.startswith("/") else name
