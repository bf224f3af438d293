"""robomimic's published file format: writing demonstrations, and which environment a file is from.

`data/demo_<i>` holds actions, states, rewards and dones, `obs/<key>` seen before each action and
`next_obs/<key>` after it; attributes `num_samples` and `model_file`. `data` has `total` and
`env_args` (JSON), `mask/<filter key>` lists demonstrations. The importer is
`sernf_isaac.data.importers.robomimic`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from sernf_isaac.data.episode import Array
from tasks.robomimic.client import RobosuiteSettings

IMAGE_DIMS = 3


@dataclass(frozen=True)
class Demonstration:
    """T steps as they happened."""

    seen: Sequence[dict[str, Array]]
    """T + 1 observations: before every action, and after the last."""
    states: Sequence[Array]
    """T states of the simulator (S,), before every action."""
    actions: Sequence[Array]
    """T actions (A,)."""
    rewards: Sequence[float]
    successes: Sequence[bool]
    """Whether the task was done after each step; written as `dones`, as robomimic's done_mode 0
    does. One that was given up has none, which is how a reader knows that it was cut off."""
    model_xml: str
    """The scene as MJCF."""

    @property
    def succeeded(self) -> bool:
        """Whether the task was done at any time."""
        return any(self.successes)


class RobomimicWriter:
    """Writes a file next to its place, and puts it there when it is whole.

    Used as a `with` block; an exception in it leaves nothing behind.

    Args:
        path: The file to make.
        env_args: Of the environment, for `robomimic` and `settings_of`.

    Raises:
        ValueError: If the file exists already.
    """

    def __init__(self, path: Path, env_args: dict) -> None:
        if path.exists():
            raise ValueError(f"{path} exists; name another file")
        self._path, self._partial = path, path.with_name(f".{path.name}.partial")
        self._env_args = env_args
        self._names: dict[str, list[str]] = {}
        self._total, self.count = 0, 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self._partial, "w")
        self._data = self._file.create_group("data")
        self._data.attrs["env_args"] = json.dumps(self._env_args, indent=4)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None and self.count:
            self._data.attrs["total"] = self._total
            for key, names in self._names.items():
                self._file[f"mask/{key}"] = np.array([name.encode() for name in names])
        self._file.close()
        if kind is None and self.count:
            self._partial.rename(self._path)
        else:
            self._partial.unlink()

    def add(self, demonstration: Demonstration, filter_keys: Iterable[str]) -> str:
        """Write a demonstration; returns its name.

        Raises:
            ValueError: If its parts are of different lengths, or there is no step in it.
        """
        steps = len(demonstration.actions)
        lengths = {
            "observations": len(demonstration.seen) - 1,
            "states": len(demonstration.states),
            "rewards": len(demonstration.rewards),
            "successes": len(demonstration.successes),
        }
        if (
            odd := {name: length for name, length in lengths.items() if length != steps}
            or not steps
        ):
            raise ValueError(f"{steps} actions, but {odd}")
        name = f"demo_{self.count}"
        group = self._data.create_group(name)
        group["actions"] = np.stack(demonstration.actions)
        group["states"] = np.stack(demonstration.states)
        group["rewards"] = np.asarray(demonstration.rewards, np.float64)
        group["dones"] = np.asarray(demonstration.successes, np.int64)
        for key in demonstration.seen[0]:
            values = np.stack([seen[key] for seen in demonstration.seen])
            packed = {"compression": "gzip"} if values[0].ndim == IMAGE_DIMS else {}
            group.create_dataset(f"obs/{key}", data=values[:-1], **packed)
            group.create_dataset(f"next_obs/{key}", data=values[1:], **packed)
        group.attrs["num_samples"] = steps
        group.attrs["model_file"] = demonstration.model_xml
        for key in filter_keys:
            self._names.setdefault(key, []).append(name)
        self._total, self.count = self._total + steps, self.count + 1
        return name


def settings_of(path: Path) -> RobosuiteSettings:
    """The environment that a file's demonstrations were made in, without its cameras.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not say.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no data set at {path}")
    try:
        with h5py.File(path) as file:
            arguments = json.loads(str(file["data"].attrs["env_args"]))
        return RobosuiteSettings(str(arguments["env_name"]), dict(arguments["env_kwargs"]))
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: no environment in data's attribute env_args: {error}") from error
