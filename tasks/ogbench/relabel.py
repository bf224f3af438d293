"""Rewards of one task for data that were recorded without any: OGBench's own relabelling.

A step earns -1, or 0 if the task was solved when it began; such a step also ends the future
(`masks` 0), though in the data the robot goes on. The environments count in the same way
(`success_timing="pre"`).
"""

from pathlib import Path

import numpy as np

from tasks.ogbench.package import make_env, ogbench_module
from tasks.ogbench.play_data import write_whole

NEEDED = ("observations", "actions", "terminals", "qpos")


def relabel(task: str, files: list[Path], out_dir: Path) -> list[Path]:
    """Write each file anew with the task's `rewards` and `masks`; returns the new files.

    Args:
        task: Name of a single-task environment, such as `cube-single-singletask-task2-v0`.
        files: OGBench npz files, one row per state.
        out_dir: Receives a file for each of them, under the same name.

    Raises:
        ValueError: If a file is damaged or lacks what the rewards depend on.
    """
    module = ogbench_module("ogbench.relabel_utils")
    env = make_env(task)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for path in files:
        arrays = _read(path)
        module.relabel_dataset(task, env, arrays)
        if arrays["rewards"].shape != arrays["terminals"].shape:
            raise ValueError(f"{path}: the rewards of {task} came out as {arrays['rewards'].shape}")
        write_whole(out_dir / path.name, arrays)
        written.append(out_dir / path.name)
    env.close()
    return written


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # a damaged or foreign file can fail in any way
        raise ValueError(f"{path} is damaged or no npz file: {error}") from error
    if missing := [key for key in NEEDED if key not in arrays]:
        raise ValueError(f"{path}: no {', '.join(missing)}; it has {sorted(arrays)}")
    if "next_observations" in arrays:
        raise ValueError(
            f"{path} has a row per transition (next_observations); OGBench's compact files, with a "
            "row per state, are needed"
        )
    lengths = {key: len(arrays[key]) for key in NEEDED}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{path}: rows differ: {lengths}")
    return arrays
