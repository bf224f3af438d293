"""A driver that somebody else wrote, by its place: `package.module:Class` or `file.py:Class`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from sernf_isaac.deploy.protocols import HandDescription, HandDriver

METHODS = ("connect", "read", "command", "set_strength", "check", "place", "rearm", "close")


def is_place(hand: str) -> bool:
    """Whether a setting names a class rather than one of our drivers."""
    return ":" in hand


def driver_class(place: str) -> Callable[[HandDescription], HandDriver]:
    """The class; it is called with the hand's description.

    Its attribute `simulated` says that nobody has to stand by; without it somebody has to.

    Raises:
        ValueError: If there is no such module, file or class, or it lacks a method.
    """
    where, _, name = place.rpartition(":")
    found = getattr(_module(where), name, None)
    if not callable(found):
        raise ValueError(f"hand = {place!r}: {where} has no class {name!r}")
    if lacking := [method for method in METHODS if not hasattr(found, method)]:
        raise ValueError(
            f"hand = {place!r}: a driver needs {', '.join(METHODS)}; {name} lacks "
            f"{', '.join(lacking)}"
        )
    return found  # type: ignore[return-value]  # its methods were just looked at


def make_driver(place: str, hand: HandDescription) -> HandDriver:
    """The driver; called in the hand's process."""
    return driver_class(place)(hand)


def _module(where: str) -> object:
    if not where.endswith(".py"):
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name is None or not (where + ".").startswith(error.name + "."):
                raise  # something that the driver imports
            raise ValueError(
                f"hand: there is no module {where!r} to import a driver from; install it, start "
                "where it is, or give the file: path/to/driver.py:Class"
            ) from error
    path = Path(where).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"hand: there is no file {where} to import a driver from")
    name = f"own_driver_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
