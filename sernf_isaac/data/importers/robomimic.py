"""robomimic data sets (HDF5) as episodes.

The published schema: `data/demo_<i>` with `actions` (T, A), `rewards` (T,), `dones` (T,),
`obs/<key>` (T, ...) and optionally `next_obs/<key>`, and an attribute `num_samples`. Files of Isaac
Lab and of MimicGen have an attribute `success` instead of rewards and dones. `mask/<name>` lists
the demonstrations of a split, which robomimic calls a filter key: "train", or in the multi-human
data "better", "worse_operator_1" and so on. `data` has an attribute `env_args`, JSON.

Images (T, h, w, 3) uint8 become (T, 3, h, w).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from sernf_isaac.data.checks import blamed_on, check_file, checked, flags, require
from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.images.channels import check_goes_on, picture_or_numbers


@dataclass(frozen=True)
class RobomimicInfo:
    """What a file says about itself."""

    demonstrations: tuple[str, ...]
    """In order of their numbers."""
    filter_keys: dict[str, tuple[str, ...]]
    """Demonstrations of each split; none where the file has no `mask`."""
    observations: dict[str, tuple[int, ...]]
    """Shape of one step of each observation of the first demonstration, as in the file."""
    has_rewards: bool
    """Whether the first demonstration has any."""
    env_name: str
    """Empty where the file does not say."""
    control_rate_hz: float | None
    """None where the file does not say."""

    def filter_keys_of(self, demonstration: str) -> list[str]:
        """The splits a demonstration is in: who made it, and how well."""
        return [key for key, names in self.filter_keys.items() if demonstration in names]


def describe_robomimic(path: Path | str) -> RobomimicInfo:
    """Read what a file holds, without the data.

    Raises:
        FileNotFoundError, ValueError: As for `load_robomimic`.
    """
    path = Path(path)
    with _opened(path) as file:
        names = _demonstrations(path, file, None)
        masks = _group(path, file, "mask") if "mask" in file else {}
        splits = {str(key): tuple(_demonstrations(path, file, str(key))) for key in masks}
        first = _group(path, file, f"data/{names[0]}/obs")
        shapes = {
            key: value.shape[1:] for key, value in first.items() if isinstance(value, h5py.Dataset)
        }
        arguments = _env_args(path, file)
        has_rewards = "rewards" in _group(path, file, f"data/{names[0]}")
    return RobomimicInfo(
        demonstrations=tuple(names),
        filter_keys=splits,
        observations=shapes,
        has_rewards=has_rewards,
        env_name=str(arguments.get("env_name", "")),
        control_rate_hz=_rate(path, arguments),
    )


def load_demonstration(
    path: Path | str,
    name: str,
    *,
    keys: Sequence[str],
    reward_shift: float = 0.0,
    is_offline: bool = True,
) -> Episode:
    """One demonstration of a file that may be too large for memory; see `load_robomimic`.

    Raises:
        FileNotFoundError, ValueError: As for `load_robomimic`, or if there is none of this name.
    """
    path = Path(path)
    with _opened(path) as file:
        _check_keys(path, file, keys)
        names = _demonstrations(path, file, None)
        if name not in names:
            raise ValueError(f"{path}: no data/{name}; there are {names[0]} to {names[-1]}")
        return _episode(path, file, name, keys, reward_shift, is_offline)


def load_robomimic(
    path: Path | str,
    *,
    keys: Sequence[str],
    split: str | None = None,
    reward_shift: float = 0.0,
    is_offline: bool = True,
) -> list[Episode]:
    """All demonstrations of a file or of one of its splits, or none.

    Steps whose `dones` is 1 terminate. robomimic marks every step with the task done, and goes on
    recording; so success is worth its one reward, as in rollouts, which end there, while imitation
    still sees what follows. A demonstration whose last `dones` is 0, or that has none, is cut off.
    One without rewards earned 0 at every step. The outcome is what the attribute `success` says;
    without it, where all rewards are 0 or 1, one that earned a reward succeeded and the others
    failed.

    Args:
        path: HDF5 file.
        keys: Observation groups to read from `obs`.
        split: Name below `mask`, such as "train"; None reads all demonstrations.
        reward_shift: Added to every reward; -1 makes robomimic's sparse rewards those of
            Q-chunking.
        is_offline: Mark the episodes as offline data.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks something, or holds something that is not a number in
            its place; names file, key and index.
    """
    path = Path(path)
    with _opened(path) as file:
        _check_keys(path, file, keys)
        names = _demonstrations(path, file, split)
        episodes = [_episode(path, file, name, keys, reward_shift, is_offline) for name in names]
    for name, episode in zip(names, episodes, strict=True):
        if (found := _sizes(episode)) != (expected := _sizes(episodes[0])):
            raise ValueError(f"{path}: data/{name} has sizes {found}, the others {expected}")
    return episodes


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    check_file(path, "data set")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:  # what h5py raises for damaged files
        raise ValueError(f"{path} is damaged or no HDF5 file: {error}") from error


def _check_keys(path: Path, file: h5py.File, keys: Sequence[str]) -> None:
    if keys:
        return
    first = _group(path, file, f"data/{_demonstrations(path, file, None)[0]}/obs")
    there = ", ".join(f"{k} {v.shape[1:]}" for k, v in first.items() if isinstance(v, h5py.Dataset))
    raise ValueError(f"{path}: name at least one observation group (--keys); it has {there}")


def _rate(path: Path, arguments: dict) -> float | None:
    settings = arguments.get("env_kwargs")
    rate_hz = settings.get("control_freq") if isinstance(settings, dict) else None
    if rate_hz is None:
        return None
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, int | float) or not 0 < rate_hz < 1e6:
        raise ValueError(
            f"{path}: data's attribute env_args has a control_freq of {rate_hz!r}, expected a "
            "number above 0"
        )
    return float(rate_hz)


def _env_args(path: Path, file: h5py.File) -> dict:
    text = file["data"].attrs.get("env_args", "{}")
    try:
        arguments = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"{path}: data has an attribute env_args that is no JSON") from error
    return arguments if isinstance(arguments, dict) else {}


def _sizes(episode: Episode) -> dict[str, tuple[int, ...]]:
    shapes = {name: value.shape[1:] for name, value in episode.observation.items()}
    return {"actions": episode.action.shape[1:]} | shapes


def _demonstrations(path: Path, file: h5py.File, split: str | None) -> list[str]:
    """In order of their numbers."""
    require(path, file, "data")
    names = list(_group(path, file, "data"))
    if split is not None:
        masks = _group(path, file, "mask")
        require(path, {f"mask/{name}": None for name in masks}, f"mask/{split}")
        listed = [
            name.decode() if isinstance(name, bytes) else str(name)
            for name in _values(path, masks, split).tolist()
        ]
        for index, name in enumerate(listed):
            if name not in names:
                raise ValueError(f"{path}: mask/{split} names {name!r} at index {index}, not found")
        names = listed
    for name in names:
        if not name.removeprefix("demo_").isdigit():
            raise ValueError(f"{path}: data/{name} is not called demo_<number>")
    if not names:
        raise ValueError(f"{path}: data holds no demonstrations")
    return sorted(names, key=lambda name: int(name.removeprefix("demo_")))


def _episode(
    path: Path,
    file: h5py.File,
    name: str,
    keys: Sequence[str],
    reward_shift: float,
    is_offline: bool,
) -> Episode:
    at = f"data/{name}"
    demo = _group(path, file, at)
    require(path, {f"{at}/{key}": None for key in demo}, f"{at}/actions", f"{at}/obs")
    action = checked(path, f"{at}/actions", _values(path, demo, "actions"), (None, None))
    steps = len(action)
    declared = demo.attrs.get("num_samples", steps)
    if int(declared) != steps:
        raise ValueError(f"{path}: {at}/actions has {steps} rows, num_samples says {declared}")
    reward, dones = np.zeros(steps), np.zeros(steps, bool)
    if "rewards" in demo:
        reward = checked(path, f"{at}/rewards", _values(path, demo, "rewards"), (steps,))
    if "dones" in demo:
        dones = flags(path, f"{at}/dones", _values(path, demo, "dones"), steps)
    observation = _groups(path, file, f"{at}/obs", keys, steps)
    final = {}
    if "next_obs" in demo:
        following = _groups(path, file, f"{at}/next_obs", keys, steps)
        for key, value in following.items():
            check_goes_on(
                path, f"{at}/next_obs/{key}", observation[key], value, np.ones(steps, bool)
            )
        final = {key: value[-1] for key, value in following.items()}
    with blamed_on(path, at):
        return Episode(
            observation=observation,
            action=action,
            reward=reward + reward_shift,
            terminated=dones,
            final_observation=final,
            outcome=_outcome(path, demo, reward if "rewards" in demo else None),
            is_offline=is_offline,
        )


def _outcome(path: Path, demo: h5py.Group, reward: Array | None) -> str:
    if "success" in demo.attrs:
        value = np.asarray(demo.attrs["success"])
        if value.size != 1 or value.dtype.kind not in "biuf" or value.item() not in (0, 1):
            raise ValueError(
                f"{path}: {demo.name} has a success of {demo.attrs['success']!r}, not 0 or 1"
            )
        return "success" if value.item() else "failure"
    if reward is None or not np.isin(reward, (0, 1)).all():
        return "unknown"
    return "success" if reward.any() else "failure"


def _groups(
    path: Path, file: h5py.File, at: str, keys: Sequence[str], steps: int
) -> dict[str, Array]:
    group = _group(path, file, at)
    require(path, {f"{at}/{key}": None for key in group}, *(f"{at}/{key}" for key in keys))
    found = {}
    for key in keys:
        value = _values(path, group, key)
        shape = (steps, *(None,) * max(1, value.ndim - 1))
        value = checked(path, f"{at}/{key}", value, shape if value.ndim > 1 else (steps,))
        found[key] = picture_or_numbers(path, f"{at}/{key}", value)
    return found


def _group(path: Path, file: h5py.File, at: str) -> h5py.Group:
    found = file.get(at)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{path}: no group {at}")
    return found


def _values(path: Path, group: h5py.Group, key: str) -> Array:
    found = group[key]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{path}: {group.name}/{key} is no array")
    try:
        return np.asarray(found[()])
    except OSError as error:
        raise ValueError(f"{path}: {group.name}/{key} is damaged: {error}") from error
