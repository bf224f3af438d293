"""Finds settings that a run accepts and then ignores: nobody reads or refuses them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from unittest import mock

from docs.generate.settings import settings_of
from sernf_isaac.cli import apply_overrides

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / package) for package in ("sernf_isaac", "tasks"))
NO_READERS = ("__post_init__", "check", "refuse_unused", "_changes", "_kept_critics", "_require")
"""Functions that look at settings without using them."""
OTHER_WORDS = {"likelihood_rows": "successes"}
"""What settings that are words may be, besides their defaults."""


def unused_settings(run: object, use: Callable[[], object]) -> list[str]:
    """Dotted names of settings that may be changed although nobody reads them.

    Numbers of other kinds of policies, and of cameras, are left out: `kind` and data call for them.

    Args:
        run: The settings, a nested dataclass.
        use: Does all that a run of these settings does.
    """
    with _readings(run) as read:
        use()
    unread = [s.key for s in settings_of(run) if (_owner(run, s.key), _last(s.key)) not in read]
    others = tuple(f"architecture.{part}." for part in ("act", "flow_matching", "vision"))
    return [key for key in unread if not key.startswith(others) and not _is_refused(run, key)]


@contextmanager
def _readings(run: object) -> Iterator[set[tuple[str, str]]]:
    """Which fields of which classes our own code reads meanwhile."""
    found: set[tuple[str, str]] = set()

    def watched(kind: type) -> Callable[[object, str], object]:
        names = {field.name for field in fields(kind)}

        def read(self: object, name: str) -> object:
            code = sys._getframe(1).f_code
            if (
                name in names
                and code.co_filename.startswith(OURS)
                and code.co_name not in NO_READERS
            ):
                found.add((kind.__name__, name))
            return object.__getattribute__(self, name)

        return read

    with ExitStack() as stack:
        for kind in _kinds(run):
            stack.enter_context(
                mock.patch.object(kind, "__getattribute__", watched(kind), create=True)
            )
        yield found


def _kinds(config: object) -> set[type]:
    """The classes of a nested dataclass."""
    parts = [getattr(config, field.name) for field in fields(config)]  # type: ignore[arg-type]
    return {type(config)}.union(*(_kinds(part) for part in parts if is_dataclass(part)))


def _owner(run: object, key: str) -> str:
    """Name of the class that holds a setting."""
    for group in key.split(".")[:-1]:
        run = getattr(run, group)
    return type(run).__name__


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _is_refused(run: object, key: str) -> bool:
    """Whether a change is refused because it would have no effect."""
    value = run
    for name in key.split("."):
        value = getattr(value, name)
    if isinstance(value, bool):
        changed: object = str(not value).lower()
    elif isinstance(value, int | float):
        changed = value + 1 if isinstance(value, int) else 0.5 * value + 0.01
    else:
        changed = 1 if value is None else OTHER_WORDS.get(_last(key), value)
    try:
        apply_overrides(run, [f"{key}={changed}"])
    except ValueError as error:
        return "no effect" in str(error)
    return False
