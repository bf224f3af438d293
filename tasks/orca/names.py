"""The names of the hands, and the files of own ones; cheap to import, for scripts."""

import argparse
from pathlib import Path

from sernf_isaac.install import ROOT

FIRST_HAND = "orca_v1_right"
"""The hand of every file that is older than hands had names."""
MIRRORS = {"orca_v2_left": "orca_v2_right"}
"""Hands that are the mirror of another."""
HANDS = (FIRST_HAND, "orca_v2_right", *MIRRORS)
"""Hands that are described in `descriptions/`."""
ENDINGS = (".yaml", ".yml")


def hand_key(hand: str) -> str:
    """What settings and policies keep of a hand: its name, or the path of its file.

    A file of this project is kept by its place in it, another one by its absolute path, so that
    both are found from any folder.

    Raises:
        ValueError: If it is neither a described hand nor looks like a file.
    """
    if hand in HANDS:
        return hand
    if not hand.endswith(ENDINGS):
        raise ValueError(
            f"no hand {hand!r}; there are {', '.join(HANDS)}, and your own by the path "
            "of its YAML file"
        )
    path = hand_file(hand).absolute()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def hand_argument(text: str) -> str:
    """`hand_key` for a flag."""
    try:
        return hand_key(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def hand_file(key: str) -> Path:
    """The file that a key or a relative path means: here, else in this project."""
    path = Path(key).expanduser()
    ours = ROOT / path
    return ours if not path.exists() and ours.exists() else path
