"""The reference of a script: what it does, its flags and its settings."""

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from docs.generate.asking import ask_parser, ask_settings
from docs.generate.markdown import code, table
from docs.generate.settings import settings_of

COMMAND = re.compile(r" {4}|(?:python|torchrun|isaaclab\.sh) ")
"""Begins a block of commands; the formatter takes the indentation away if no prose follows."""
SHARED_FLAGS = ("help", "traceback")


def page(script: Path) -> str:
    """The whole page of a script."""
    parser = ask_parser(script)
    parts = [f"# {script.name}\n", _description(parser), *_flags(parser)]
    settings = ask_settings(script)
    if settings is not None:
        parts += ["## Settings\n", "Given as `key=value` after the flags.\n"]
        rows = [(code(s.key), code(_shown(s.default)), s.text) for s in settings_of(settings)]
        parts.append(table(("setting", "default", "meaning"), rows))
    return "\n".join(parts)


def _description(parser: argparse.ArgumentParser) -> str:
    """The script's own docstring: prose as prose, indented commands as code."""
    blocks = (parser.description or "").strip().split("\n\n")
    return "\n".join(_code_block(b) if COMMAND.match(b) else f"{b}\n" for b in blocks)


def _code_block(text: str) -> str:
    return f"```bash\n{textwrap.dedent(text)}\n```\n"


def _flags(parser: argparse.ArgumentParser, heading: str = "## Flags\n") -> Iterator[str]:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        if action.dest not in SHARED_FLAGS:
            rows.append((_name(action), _default(action), _help(action)))
    if rows:
        yield heading
        yield table(("flag", "default", "meaning"), rows)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                yield from _flags(below, f"## Command `{name}`\n\n{texts.get(name, '')}\n")


def _name(action: argparse.Action) -> str:
    name = action.option_strings[-1] if action.option_strings else action.dest.upper()
    if action.nargs == 0:
        return code(name)
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else None
    value = action.metavar or choices or action.dest.upper()
    shown = " ".join(value) if isinstance(value, tuple) else value
    many = " ..." if action.nargs in ("+", "*") else ""
    return code(f"{name} {shown}{many}") if action.option_strings else code(f"{name}{many}")


def _help(action: argparse.Action) -> str:
    """The help text with its default filled in, as argparse shows it."""
    return argparse.HelpFormatter("")._expand_help(action) if action.help else ""


def _default(action: argparse.Action) -> str:
    if action.required or not action.option_strings:
        return "required"
    if action.nargs == 0 or action.default in (None, [], ()):
        return ""
    return code(_shown(action.default))


def _shown(value: object) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, Path):
        root = Path.cwd()
        return str(value.relative_to(root)) if value.is_relative_to(root) else str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(_shown(item) for item in value)}]"
    return str(value)
