"""What LeRobot v3 data sets look like on disk; the importer and the exporter share it.

    meta/info.json                                  rates, features, and the paths below
    meta/tasks.parquet                              what the robot was asked to do
    meta/episodes/chunk-000/file-000.parquet        an episode per row: where it is, its statistics
    meta/stats.json                                 statistics of everything
    data/chunk-000/file-000.parquet                 a step per row, many episodes
    videos/<camera>/chunk-000/file-000.mp4          the frames of many episodes, one after the other

Group "state" is their `observation.state`, camera "wrist" their `observation.images.wrist`.
"""

import importlib.util

from sernf_isaac.install import install_command

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES = f"meta/episodes/{FILE}.parquet"
DATA = f"data/{FILE}.parquet"
VIDEO = f"videos/{{video_key}}/{FILE}.mp4"
FILES_PER_CHUNK, DATA_FILE_MB, VIDEO_FILE_MB = 1000, 100, 200
ACTION, REWARD, DONE, SUCCESS = "action", "next.reward", "next.done", "next.success"
TASK = "task_index"
TERMINATED, OUTCOME = "next.terminated", "outcome"
"""Ours, of a step and of an episode: their `next.done` does not tell failing from being cut off."""
_OBSERVATION, _IMAGES = "observation.", "observation.images."


def check_installed() -> None:
    """An error if the package that reads and writes parquet is missing; it is an optional one.

    Raises:
        ValueError: Says how to install it.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError(f"LeRobot data need the package pyarrow: {install_command('lerobot')}")


def feature_name(group: str, *, is_image: bool) -> str:
    """LeRobot's name of an observation group."""
    return (_IMAGES if is_image else _OBSERVATION) + group


def group_name(feature: str) -> str | None:
    """Our name of one of their observations; None for other features."""
    if not feature.startswith(_OBSERVATION):
        return None
    return feature.removeprefix(_IMAGES).removeprefix(_OBSERVATION)
