"""The one door to the `ogbench` package, which is optional."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from sernf_isaac.install import install_command

if TYPE_CHECKING:
    import gymnasium


def ogbench_module(name: str = "ogbench") -> ModuleType:
    """`ogbench` or a module of it; importing it also registers its environments.

    Raises:
        ValueError: If it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise ValueError(
            f"this needs the package '{missing}': {install_command('ogbench')}"
        ) from error


def make_env(task: str, **settings: bool | int | str) -> "gymnasium.Env":
    """An environment of OGBench by its name, such as `cube-single-singletask-task2-v0`.

    Raises:
        ValueError: If OGBench is not installed or has no such environment.
    """
    ogbench_module()
    import gymnasium

    try:
        return gymnasium.make(task, **settings)  # type: ignore[arg-type]  # most are OGBench's
    except gymnasium.error.UnregisteredEnv as error:
        raise ValueError(f"OGBench has no environment '{task}': {error}") from error
