"""OGBench and D4RL data sets (npz) as episodes.

Four layouts are told apart by their keys:

| keys                | rows                                                                 |
|---------------------|----------------------------------------------------------------------|
| `next_observations` | one per transition; `terminals` marks the last of each trajectory    |
| `valids`            | one per state; where it is 0 stands the last state of a trajectory   |
| `timeouts`          | D4RL: one per transition; ends at `terminals` (a true end) or there  |
| none of them        | OGBench: one per state; `terminals` marks the last of each one       |

OGBench's `terminals` say that a trajectory is over, not that its future is worth nothing; `masks`
(0 at success) say that, also in the middle of a trajectory. OGBench's own files have no rewards:
those depend on the task, and imitation needs none.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from sernf_isaac.data.checks import blamed_on, check_file, checked, flags, require
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.images.channels import check_goes_on, picture_or_numbers


def load_ogbench(
    path: Path | str,
    *,
    group: str = "state",
    reward: float | None = None,
    is_offline: bool = True,
) -> list[Episode]:
    """All trajectories of a file, or none.

    Args:
        path: npz file.
        group: Name to give to the observations, (T, F) or (T, height, width, channels); pictures
            become (T, 3, height, width).
        reward: Reward of every step; None: what the file says, 0 where it says nothing.
        is_offline: Mark the episodes as offline data.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks a key, or holds something that is not a number in its
            place; names file, key and index.
    """
    path = Path(path)
    arrays = _read(path)
    require(path, arrays, "observations", "actions", "terminals")
    arrays = _checked(path, arrays, reward)
    pieces = _trajectories(path, arrays)
    if "next_observations" in arrays:
        starts = np.isin(np.arange(len(arrays["actions"])), [rows.start - 1 for rows, _ in pieces])
        seen, after = arrays["observations"], arrays["next_observations"]
        check_goes_on(path, "next_observations", seen, after, ~starts)
    episodes = []
    for rows, final in pieces:
        with blamed_on(path, f"trajectory at index {rows.start}"):
            episodes.append(_episode(arrays, rows, final, group, is_offline))
    return episodes


def _read(path: Path) -> dict[str, Array]:
    check_file(path, "data set")
    key = "the file"
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is not an npz archive")
        with file:
            arrays = {}
            for key in file.files:
                arrays[key] = file[key]
            return arrays
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: {key} is damaged or of another kind: {error}") from error


def _checked(path: Path, arrays: dict[str, Array], reward: float | None) -> dict[str, Array]:
    """Only the keys that matter, in the right shapes, with rewards and masks."""
    rows = len(np.atleast_1d(arrays["observations"]))
    shape = (rows, *(None,) * max(1, arrays["observations"].ndim - 1))
    found = {"observations": checked(path, "observations", arrays["observations"], shape)}
    found["actions"] = checked(path, "actions", arrays["actions"], (rows, None))
    for key in ("terminals", "timeouts", "masks", "valids"):
        if key in arrays:
            found[key] = flags(path, key, arrays[key], rows)
    if "next_observations" in arrays:
        whole = found["observations"].shape
        found["next_observations"] = checked(
            path, "next_observations", arrays["next_observations"], whole
        )
    if reward is None and "rewards" in arrays:
        found["rewards"] = checked(path, "rewards", arrays["rewards"], (rows,))
    else:
        found["rewards"] = np.full(rows, reward or 0.0, np.float32)
    for key in ("observations", "next_observations"):
        if key in found:
            found[key] = picture_or_numbers(path, key, found[key])
    if "masks" not in found:
        true_ends = found["terminals"] if "timeouts" in found else np.zeros(rows, bool)
        found["masks"] = ~true_ends
    return found


def _trajectories(path: Path, arrays: dict[str, Array]) -> list[tuple[slice, Array | None]]:
    """Rows of each trajectory's transitions, and its last state if the file has it."""
    ends, observations = arrays["terminals"], arrays["observations"]
    rows_are_states = False
    if "valids" in arrays:
        ends, rows_are_states = ~arrays["valids"], True
    elif "timeouts" in arrays:
        ends = ends | arrays["timeouts"]
        ends[-1] = True  # D4RL files stop in the middle of the last trajectory
    else:
        rows_are_states = "next_observations" not in arrays
    if not ends[-1]:
        raise ValueError(
            f"{path}: the last trajectory has no end: terminals is 0 at index {len(ends) - 1}"
        )
    pieces, start = [], 0
    for end in np.flatnonzero(ends):
        stop = end if rows_are_states else end + 1
        if stop == start:
            raise ValueError(f"{path}: the trajectory at index {start} has no transitions")
        final = observations[end] if rows_are_states else None
        if "next_observations" in arrays:
            final = arrays["next_observations"][end]
        pieces.append((slice(start, int(stop)), final))
        start = int(end) + 1
    return pieces


def _episode(
    arrays: dict[str, Array], rows: slice, final: Array | None, group: str, is_offline: bool
) -> Episode:
    return Episode(
        observation={group: arrays["observations"][rows]},
        action=arrays["actions"][rows],
        reward=arrays["rewards"][rows],
        terminated=~arrays["masks"][rows],
        final_observation={} if final is None else {group: final},
        is_offline=is_offline,
    )
