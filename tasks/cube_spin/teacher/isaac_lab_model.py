"""A `model_*.pt` of `isaaclab train` as a policy file for the twin, the student and the scripts.

Isaac Lab keeps the task beside it, in `params/env.yaml`; our own script in `isaac_config.yaml`.
This module imports nothing of Isaac Lab.
"""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rsl_rl.modules import EmpiricalNormalization

from sernf_isaac.checkpoint import read_whole
from tasks.cube_spin.config import TaskConfig
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.teacher.policy import save_teacher, teacher_from_weights
from tasks.orca.hands import load_hand

ACTOR = "actor_state_dict"
NORMALIZER_EPS = EmpiricalNormalization(1).eps
SETTINGS_FILES = ("params/env.yaml", "isaac_config.yaml")


class _Plain(yaml.SafeLoader):
    """Reads what Isaac Lab dumps: tuples as lists, other Python objects as nothing."""


def _list(loader: yaml.SafeLoader, node: yaml.Node) -> list | None:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


_Plain.add_constructor("tag:yaml.org,2002:python/tuple", _list)
_Plain.add_multi_constructor(
    "tag:yaml.org,2002:python/", lambda loader, _, node: _list(loader, node)
)


def export_teacher(model: Path, out: Path, notes: dict[str, Any]) -> TaskConfig:
    """Write a policy file from a model of RSL-RL's runner; returns the task it was trained on.

    Args:
        model: `model_*.pt` in the folder that training made, with its settings beside it.
        out: Policy file to write.
        notes: Plain values to keep in it.

    Raises:
        FileNotFoundError: If model or settings are missing.
        ValueError: If the model is damaged, of another kind, or does not fit its settings.
    """
    if not model.is_file():
        raise FileNotFoundError(f"no model at {model}")
    task = task_of(model.parent)
    content = read_whole(model)
    weights = content.get(ACTOR) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or "obs_normalizer._mean" not in weights:
        raise ValueError(f"{model} is no model of RSL-RL's PPO with normalised observations")
    seen, wanted = weights["obs_normalizer._mean"].shape[1], _observed(task)
    if seen != wanted:
        raise ValueError(f"{model} sees {seen} numbers, the task beside it shows {wanted}")
    constants = task_constants(task)
    policy = teacher_from_weights(weights, NORMALIZER_EPS, task, constants)
    iteration = int(content.get("iter", 0)) if isinstance(content, dict) else 0
    save_teacher(out, policy, notes | {"model": model.name, "iteration": iteration})
    return task


def task_of(run_dir: Path) -> TaskConfig:
    """The task that a training in Isaac Lab had.

    Raises:
        FileNotFoundError: If the folder has no settings.
        ValueError: If they hold no task of this project; names the file.
    """
    there = [run_dir / name for name in SETTINGS_FILES if (run_dir / name).is_file()]
    if not there:
        names = " or ".join(SETTINGS_FILES)
        raise FileNotFoundError(f"{run_dir} is no training of Isaac Lab: it has no {names}")
    try:
        found = yaml.load(there[0].read_text(), _Plain)
        settings = found.get("env", found)
        merged = OmegaConf.merge(OmegaConf.structured(TaskConfig), settings["task"])
        return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely
    except (yaml.YAMLError, OmegaConfBaseException, KeyError, AttributeError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"{there[0]} holds no cube-spin task: {said}") from error


def _observed(task: TaskConfig) -> int:
    return sum(observation_sizes(task.observation, load_hand(task.hand)).values())


def newest_model(folder: Path) -> Path:
    """A model by its file, or the last one of a folder of models.

    Raises:
        FileNotFoundError: If there is none.
    """
    if folder.is_file():
        return folder
    models = sorted(folder.glob("model_*.pt"), key=lambda path: int(path.stem.split("_")[1]))
    if not models:
        raise FileNotFoundError(f"no model_*.pt in {folder}")
    return models[-1]
