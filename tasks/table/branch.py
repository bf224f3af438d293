"""A run that begins where another one ended its offline stages, to compare what follows."""

import json
import shutil
from pathlib import Path

import yaml
from omegaconf import OmegaConf

from sernf_isaac.data.store.files import publish, write_json
from sernf_isaac.learning.offline.config import policy_file
from sernf_isaac.learning.online.in_memory import FourStageRun
from sernf_isaac.learning.staged_training import STATE_FILE

LENGTHS = {
    "imitation": "imitation_steps",
    "warm_up": "warm_up_steps",
    "offline": "offline_steps",
}
"""Settings that say how long the offline stages are."""
RESULT_FILE, SETTINGS_FILE = "result.json", "settings.yaml"


def begin_from(source: Path, folder: Path, run: FourStageRun, *, episodes: int, tests: int) -> None:
    """Copy the resume point and the trials of a run's offline stages into a new folder.

    A folder that holds a resume point already is left alone, so that the same command goes on.

    Args:
        source: Folder of the other run, which has finished the stages it has.
        folder: Of the new run.
        run: Its settings; seed and the lengths of the finished stages are those of `source`.
        episodes: Per evaluation, as there.
        tests: Which draw of the test configurations, as there.

    Raises:
        FileNotFoundError: If the other run has not come so far.
        ValueError: If one does not follow from the other.
    """
    if (folder / STATE_FILE).is_file():
        return
    for name in (STATE_FILE, RESULT_FILE, SETTINGS_FILE):
        if not (source / name).is_file():
            raise FileNotFoundError(f"{source} holds no finished stages: {name} is missing")
    settings = yaml.safe_load((source / SETTINGS_FILE).read_text())
    known = json.loads((source / RESULT_FILE).read_text())
    done = [stage for stage, length in LENGTHS.items() if settings[length]]
    _check(source, settings, done, run)
    stages = {stage: known["stages"].get(stage, []) for stage in done}
    mine = {"tests": tests, "episodes": [episodes] * len(done)}
    theirs = {"tests": known["tests"], "episodes": [len(trials) for trials in stages.values()]}
    if mine != theirs:
        raise ValueError(
            f"{source} was tried on {theirs}, which cannot stand in one table with {mine}; give "
            "the same --episodes and --tests, and let all of its stages finish"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for stage in done:
        shutil.copy(source / policy_file(stage), folder)
    publish(
        write_json(folder / ".result.partial", known | {"stages": stages}), folder / RESULT_FILE
    )
    shutil.copy(source / STATE_FILE, folder)  # last: with it, the folder counts as begun


def _check(source: Path, settings: dict, done: list[str], run: FourStageRun) -> None:
    """An error if a run with these settings would have learned something else until here."""
    mine = OmegaConf.to_container(OmegaConf.structured(run))
    assert isinstance(mine, dict), "settings are a dataclass"
    lengths = list(LENGTHS.values())
    until = 1 + max((lengths.index(LENGTHS[stage]) for stage in done), default=len(lengths) - 1)
    for name in ("seed", "held_out_share", "successes_only", *lengths[:until]):
        if mine[name] != settings[name]:
            raise ValueError(
                f"{source} had {name}={settings[name]}, this run has {mine[name]}; a run that "
                "begins there must not differ in what is done already"
            )
