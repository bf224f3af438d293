"""Play data: OGBench's own oracle carries the cube from one random place to the next.

One file per episode, in OGBench's format, so that an interrupted generation goes on where it was,
and other people's files can lie beside them or in their place.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from sernf_isaac.data.store.files import publish
from tasks.ogbench.package import make_env, ogbench_module

EPISODE_STEPS = 1001
"""As in OGBench's published play data sets; the last row is only a state."""
ORACLE = {"noise": 0.1, "noise_smoothing": 0.5}
"""OGBench's "play": plans with temporally correlated noise."""
GENERATED = "cube-single"
"""The environment whose data can be generated here; for others, bring OGBench's files."""
BEGUN_FILE = "generating"
"""Is there while episodes are generated: a folder without it is complete."""
KEYS = ("observations", "actions", "terminals", "qpos", "qvel")


def play_files(folder: Path) -> list[Path]:
    """OGBench files in a folder, in order, without validation sets (`*-val.npz`)."""
    return sorted(path for path in folder.glob("*.npz") if not path.stem.endswith("-val"))


def ensure_play_data(task: str, folder: Path, *, episodes: int = 100, seed: int = 0) -> list[Path]:
    """The folder's files; where it holds none, what is generated here.

    A generation that was interrupted goes on; each episode has a seed of its own, so that the same
    files come out. Nothing is added to data that somebody else put there, or that are complete.

    Args:
        task: Name of a single-task environment.
        folder: May hold any npz files in OGBench's format: then these are the data.
        episodes: How many to generate.
        seed: Of the generated episodes.

    Raises:
        ValueError: If there are no files and the task's data cannot be generated here.
    """
    wanted = [folder / f"play-{seed}-{number:04d}.npz" for number in range(episodes)]
    found = play_files(folder)
    begun = folder / BEGUN_FILE
    if found and not begun.exists():
        return found
    if not task.startswith(f"{GENERATED}-"):
        raise ValueError(
            f"{folder} holds no .npz files, and only data for {GENERATED} can be generated: put "
            f"OGBench's data set for {task} there"
        )
    missing = [path for path in wanted if not path.exists()]
    if missing:
        env = make_env(
            f"{GENERATED}-v0",
            terminate_at_goal=False,
            mode="data_collection",
            max_episode_steps=EPISODE_STEPS,
        )
        folder.mkdir(parents=True, exist_ok=True)
        begun.touch()
        for path in tqdm(missing, desc="play data", unit="episode"):
            write_whole(path, play_episode(env, seed=1000 * seed + wanted.index(path)))
        env.close()
    begun.unlink(missing_ok=True)
    return play_files(folder)


def play_episode(env, *, seed: int) -> dict[str, np.ndarray]:  # noqa: ANN001  # gymnasium.Env
    """One episode of the oracle: `KEYS`, one row per state, the last of them terminal."""
    oracles = ogbench_module("ogbench.manipspace.oracles.plan.cube_plan")
    np.random.seed(seed)  # the oracle draws from numpy's global generator
    observation, info = env.reset(seed=seed)
    oracle = oracles.CubePlanOracle(env=env, **ORACLE)
    oracle.reset(observation, info)
    rows: dict[str, list] = {key: [] for key in KEYS}
    over = False
    while not over:
        action = np.clip(oracle.select_action(observation, info), -1, 1)
        following, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        if oracle.done:
            oracle.reset(*env.unwrapped.set_new_target(p_stack=0))
        row = (observation, action, over, info["prev_qpos"], info["prev_qvel"])
        for key, value in zip(KEYS, row, strict=True):
            rows[key].append(value)
        observation = following
    arrays = {key: np.asarray(value, np.float32) for key, value in rows.items()}
    return arrays | {"terminals": arrays["terminals"].astype(bool)}


def write_whole(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A file that is there is complete."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # no name is an option's
    publish(partial, path)
