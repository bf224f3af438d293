"""Asks scripts for their flags and settings, by starting them and stopping them in time.

A script is run in this process up to the moment at which it reads its command line (`ask_parser`)
or has put `group.key=value` settings into its configuration (`ask_settings`). So the answer is what
the script does, however it is written.
"""

import argparse
import importlib
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
CLI_MODULE = "sernf_isaac.cli"


class _StopAsking(BaseException):
    """Ends a script; no `except Exception` of a script catches it."""

    def __init__(self, answer: object) -> None:
        super().__init__("the script has answered")
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """What a script understood of one command line."""

    arguments: argparse.Namespace
    settings: object | None
    """The dataclass with all settings applied; None if the command line gave none."""


def scripts() -> list[Path]:
    """All scripts that a user can start, by name."""
    return sorted(path for path in SCRIPTS.glob("*.py") if not path.name.startswith("_"))


def ask_parser(script: Path) -> argparse.ArgumentParser:
    """The parser that a script reads its command line with.

    Raises:
        ValueError: If the script ends without reading a command line.
    """

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _StopAsking(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", stop):
        parser = _run(script, [])
    if not isinstance(parser, argparse.ArgumentParser):
        raise ValueError(f"{script}: ends without reading a command line")
    return parser


def ask_settings(script: Path, arguments: Sequence[str] | None = None) -> object | None:
    """The settings of a script as a dataclass; None if the script has none.

    Args:
        script: The script's file.
        arguments: A command line; by default the shortest one that the parser accepts.

    Raises:
        ValueError: If a setting of the command line is unknown or has the wrong type.
    """
    parser = ask_parser(script)
    if "apply_overrides" not in script.read_text():
        return None
    given = shortest_arguments(parser) if arguments is None else arguments
    cli = importlib.import_module(CLI_MODULE)
    apply_overrides: Callable[[object, list[str]], object] = cli.apply_overrides

    def stop(config: object, overrides: list[str]) -> None:
        raise _StopAsking(apply_overrides(config, overrides))

    with mock.patch.object(cli, "apply_overrides", stop):
        return _run(script, given)


def shortest_arguments(parser: argparse.ArgumentParser) -> list[str]:
    """Placeholders for what a parser insists on; nothing that starts work or a simulator."""
    harmless = {"print_config": ["--print_config"], "sim": ["--sim", "twin"]}
    found: list[str] = []
    for action in parser._actions:
        found += harmless.get(action.dest, [])
        if not action.required:
            continue
        value = str(next(iter(action.choices))) if action.choices else "1"
        count = action.nargs if isinstance(action.nargs, int) else 1
        found += [*action.option_strings[:1], *([value] * count)]
    return found


def _run(script: Path, arguments: Sequence[str]) -> object | None:
    """Run a script until it answers; None if it ends by itself."""
    with _as_command(script, arguments):
        try:
            runpy.run_path(str(script), run_name="__main__")
        except _StopAsking as stopped:
            return stopped.answer
        except SystemExit as end:
            raise ValueError(f"{script.name} {' '.join(arguments)}: {end}") from end
    return None


@contextmanager
def _as_command(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """`sys.argv` and `sys.path` as they are for `python scripts/x.py`."""
    path = [str(ROOT), str(script.parent), *sys.path]
    with (
        mock.patch.object(sys, "argv", [str(script), *arguments]),
        mock.patch.object(sys, "path", path),
    ):
        yield
