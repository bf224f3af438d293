"""The flags of all scripts: one name, one type and one meaning each, and a parser that knows them.

Importing this is cheap, so that `--help` and a misspelt flag are answered at once. Scripts parse
first and import what they start afterwards.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from sernf_isaac.install import ASSETS, shipped
from sernf_isaac.verbs import VERBS, as_typed, script_of, verb_of, why_unknown


def count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ArgumentTypeError: If it is another.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def script(text: str) -> Path:
    """A script by its path, its file name or its verb.

    Raises:
        ArgumentTypeError: If there is none; names the nearest verb.
    """
    if Path(text).is_file():
        return Path(text).resolve()
    if verb_of(text) not in VERBS:
        raise argparse.ArgumentTypeError(why_unknown(text))
    return script_of(verb_of(text))


def driver(text: str) -> str:
    """One of our hands' drivers, or the place of somebody's own.

    Raises:
        ArgumentTypeError: If it is neither.
    """
    if text not in ("twin", "mock", "orca") and ":" not in text:
        ours = "twin, mock, orca, or your driver as package.module:Class or file.py:Class"
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r}; there are {ours}")
    return text


HAND_DESCRIPTION = "SERNF_HAND_DESCRIPTION"
"""Environment variable: folder of a hand's official description, for its meshes."""


class InEnvironment(argparse.Action):
    """A flag that this process and those it starts find in their environment."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Keep the value under the variable that the flag's `const` names."""
        del parser, option_string
        setattr(namespace, self.dest, values)
        os.environ[str(self.const)] = str(Path(str(values)).resolve())


SHARED: dict[str, dict[str, Any]] = {
    "--policy": {"type": Path, "metavar": "FILE", "help": "policy file"},
    "--fallback": {
        "type": Path,
        "metavar": "FILE",
        "help": "student without a camera, which drives while the eyes have lost the object",
    },
    "--teacher": {"type": Path, "metavar": "FILE", "help": "policy file of the teacher"},
    "--detector": {"type": Path, "metavar": "FILE", "help": "file of train_detector.py"},
    "--run": {"type": Path, "metavar": "FOLDER", "help": "folder of the run"},
    "--resume": {
        "nargs": "?",
        "const": "latest",
        "metavar": "RUN",
        "help": "go on with this run; without a name, with the latest under --out",
    },
    "--out": {"type": Path, "metavar": "PATH", "help": "folder to write"},
    "--json": {"type": Path, "metavar": "FILE", "help": "file to write the numbers to"},
    "--figure": {"type": Path, "metavar": "FILE", "help": "picture to draw the numbers in (PNG)"},
    "--video": {"type": Path, "metavar": "FILE", "help": "film to write (MP4)"},
    "--seed": {"type": int, "metavar": "N", "help": "of all random numbers"},
    "--device": {"metavar": "NAME", "help": "auto, cpu, cuda or cuda:N"},
    "--threads": {"type": count, "metavar": "N", "help": "threads of the processor"},
    "--on": {
        "choices": ("local", "slurm", "ray"),
        "help": "who starts the processes: this machine, a Slurm cluster or a Ray cluster",
    },
    "--engine": {
        "action": "append",
        "metavar": "KEY=VALUE",
        "help": "setting of --on, may be repeated: partition=gpu, timeout_min=600 (slurm), "
        "address=auto, num_gpus=1 (ray)",
    },
    "--processes": {"type": count, "metavar": "N", "help": "processes that work side by side"},
    "--num_envs": {"type": count, "metavar": "N", "help": "environments side by side"},
    "--episodes": {"type": count, "metavar": "N", "help": "episodes"},
    "--max_iterations": {"type": count, "metavar": "N", "help": "stop after so many iterations"},
    "--max_minutes": {"type": float, "metavar": "N", "help": "stop training after so long"},
    "--minutes": {"type": float, "metavar": "N", "help": "minutes"},
    "--seconds": {"type": float, "metavar": "N", "help": "length [s]"},
    "--candidates": {"type": count, "metavar": "N", "help": "chunks that a decision chooses from"},
    "--physics": {
        "metavar": "NAME|FILE",
        "help": "a YAML file, or nominal, randomized, mixed, wide, reality, hard, distillation, "
        "wide_distillation",
    },
    "--description": {
        "action": InEnvironment,
        "const": HAND_DESCRIPTION,
        "type": Path,
        "metavar": "FOLDER",
        "help": "folder of orcahand_description, for the meshes of an ORCA v2 hand",
    },
    "--object": {"choices": ("cube", "cylinder", "sphere"), "help": "what is held"},
    "--size_mm": {
        "type": float,
        "metavar": "N",
        "help": "edge of a cube, diameter of the others [mm]",
    },
    "--height_mm": {
        "type": float,
        "metavar": "N",
        "help": "of a cylinder [mm]; default: as its diameter",
    },
    "--summary": {"type": Path, "nargs": "+", "metavar": "FILE", "help": "compare these and stop"},
}
"""Type and meaning of each flag that several scripts have; a script may narrow the text."""
WRITTEN = ("out", "json", "figure", "video", "replay", "to", "print", "draw", "picture")
"""Flags that name what will be written; whether that is possible is found out before the work."""
FILES: dict[str, tuple[str, ...]] = {
    "json": (),
    "figure": (".png", ".pdf", ".svg", ".jpg", ".jpeg"),
    "video": (".mp4", ".mkv", ".mov"),
    "replay": (".npz",),
}
"""Those that are files, and the endings they may have; any if there are none."""
SETTINGS_HELP = (
    "Settings: everything that is not a flag is group.key=value.\n"
    "--print_config shows every setting with its value and stops."
)


class _Help(argparse.RawDescriptionHelpFormatter):
    """The docstring as it was written, and the default of each flag that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        shown = default not in (None, False, argparse.SUPPRESS, (), []) and action.nargs != 0
        return f"{text} (default: {_plain(default)})".replace("%", "%%") if shown else text


class ScriptParser(argparse.ArgumentParser):
    """Flags of a script, with the types and texts of `SHARED`; settings if the script has any."""

    def __init__(self, doc: str | None = None, *, settings: bool = False, **options: Any) -> None:  # noqa: ANN401
        options.setdefault("formatter_class", _Help)
        options.setdefault("allow_abbrev", False)
        if settings:
            options.setdefault("epilog", SETTINGS_HELP)
        super().__init__(description=doc and as_typed(doc), **options)
        self._has_settings = settings
        if settings:
            self.add_argument("--print_config", action="store_true", help="show all settings, stop")
        if options.get("add_help", True):
            quiet = {"action": "store_true", "default": argparse.SUPPRESS}
            self.add_argument("--traceback", **quiet, help="show where in the code an error began")

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:  # noqa: ANN401
        shared = SHARED.get(names[-1], {}) if names else {}
        for key in ("type", "nargs"):
            if shared and options.get(key, shared.get(key)) != shared.get(key):
                raise TypeError(f"{names[-1]} means something else in this script: {key}")
        if {"choices", "action", "metavar"}.isdisjoint(shared | options):
            kinds = {int: "N", float: "X", Path: "PATH"}
            options.setdefault("metavar", kinds.get(options.get("type"), None))
        return super().add_argument(*names, **shared | options)

    def error(self, message: str) -> NoReturn:
        """End with one line; all flags are in --help."""
        self.exit(2, f"{self.prog}: error: {message} (--help shows all flags)\n")

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The flags of a script without settings."""
        return self.parse_with_settings(arguments)[0]

    def parse_with_settings(
        self, arguments: Sequence[str] | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """The flags, and the `key=value` settings between them.

        Exits with status 2 and one line if a flag is misspelt, a setting has two values, or what a
        flag names cannot be written.
        """
        args, rest = self.parse_known_args(arguments)
        rest = [_with_shipped(item) for item in rest if item != "--"]
        for name, value in vars(args).items():
            if name not in WRITTEN:
                setattr(args, name, _with_shipped(value))
        if self._has_settings:
            rest = [*_settings_behind_lists(self, args), *rest]
        for item in rest:
            if not self._has_settings or item.startswith("-") or not item.partition("=")[1]:
                self.error(self._why_unknown(item))
        if twice := _given_twice(rest):
            self.error(twice)
        if not getattr(args, "print_config", False):
            self._check_written(args)
        return args, rest

    def _why_unknown(self, item: str) -> str:
        flag = item.partition("=")[0]
        close = get_close_matches(flag, _flags(self), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        kinds = "neither a flag nor a key=value setting" if self._has_settings else "no flag"
        return f"'{item}' is {kinds}{hint}"

    def _check_written(self, args: argparse.Namespace) -> None:
        for name in WRITTEN:
            path = getattr(args, name, None)
            if not isinstance(path, Path):
                continue
            if reason := why_not_writable(path):
                self.error(f"--{name} {path}: {reason}")
            if name not in FILES:
                continue
            if path.is_dir():
                self.error(f"--{name} {path}: is a folder; name a file")
            if FILES[name] and path.suffix.lower() not in FILES[name]:
                self.error(f"--{name} {path}: a {name} ends in one of {', '.join(FILES[name])}")


def why_not_writable(path: Path) -> str | None:
    """Why nothing can be written at a path that may not exist yet; None if it can be."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        if there == path and not path.is_dir():
            if not os.access(path, os.W_OK):
                return "the file is there and cannot be written"
            there = path.absolute().parent
        elif not there.is_dir():
            return f"{there} is a file, not a folder"
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"cannot write in {there} ({error.strerror}); choose another place"


def _given_twice(settings: Sequence[str]) -> str | None:
    """What to say of two values for one setting: which of them is meant, nobody can know."""
    given: dict[str, str] = {}
    for item in settings:
        key, _, value = item.partition("=")
        if given.setdefault(key, value) != value:
            return f"'{key}' is given twice, as {given[key]} and as {value}; keep one"
    return None


def _settings_behind_lists(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[str]:
    """Takes the settings out of flags that take all that follows them."""
    found = []
    for action in parser._actions:
        given = getattr(args, action.dest, None)
        if action.nargs in ("+", "*") and isinstance(given, list):
            items = [item for item in given if _is_setting(item)]
            setattr(args, action.dest, [item for item in given if item not in items] or None)
            found += [str(item) for item in items]
    return found


def _with_shipped(value: object) -> Any:  # noqa: ANN401
    """A value of a flag, or a setting, in which `assets/x` is the file shipped if none is here."""
    if isinstance(value, Path):
        return shipped(value)
    if isinstance(value, list):
        return [_with_shipped(item) for item in value]
    if isinstance(value, str):
        key, equals, named = value.rpartition("=")
        return f"{key}{equals}{shipped(Path(named))}" if named.startswith("assets/") else value
    return value


def _is_setting(item: object) -> bool:
    return isinstance(item, str | Path) and "=" in str(item) and not Path(item).exists()


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Names of all flags, those of sub-commands too."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _flags(below)


def _plain(value: object) -> str:
    """A default as one would type it; paths from here on where they are below."""
    if isinstance(value, Path):
        here = next((p for p in (Path.cwd(), ASSETS.parent) if value.is_relative_to(p)), None)
        return str(value.relative_to(here) if here else value)
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return str(value)
