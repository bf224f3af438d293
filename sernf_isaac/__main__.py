"""The command `sernf <verb>`: one for all scripts, wherever the project is installed.

`python -m sernf_isaac <verb>` is the same, for an interpreter whose commands are not on the path.
What is imported before a verb is known is cheap, so that `sernf --help` is answered at once.
"""

import sys
from types import ModuleType

from sernf_isaac.cli import run_main
from sernf_isaac.install import CLONE, PROJECT, project_version
from sernf_isaac.verbs import COMMAND, GROUPS, VERBS, script_of, why_unknown


def main() -> None:
    """The console command `sernf`, and `python -m sernf_isaac`."""
    first, *rest = sys.argv[1:] or ["--help"]
    if first in ("-h", "--help"):
        run_main(lambda: print(help_text()))
    elif first == "--version":
        print(f"{PROJECT} {project_version()}")
    elif first in VERBS:
        start(first, rest)
    else:
        print(f"{COMMAND}: error: {why_unknown(first)}", file=sys.stderr)
        sys.exit(2)


def help_text() -> str:
    """All verbs, by group, with a line each."""
    width = max(map(len, VERBS))
    lines = [f"usage: {COMMAND} <verb> ...    ({COMMAND} <verb> --help shows its flags)"]
    for group, verbs in GROUPS.items():
        lines += ["", group]
        lines += [f"  {verb:{width}s}  {does}" for verb, does in verbs.items()]
    return "\n".join([*lines, "", f"  {'--version':{width}s}  shows the version"])


def start(verb: str, arguments: list[str]) -> None:
    """Run a verb's script as the main program of this process, with these arguments.

    In a clone its folders come before others of the same name, such as a user's own `tasks/`.
    """
    script = script_of(verb)
    if CLONE:
        sys.path.insert(0, str(CLONE))
    sys.argv = [f"{COMMAND} {verb}", *arguments]
    program = ModuleType("__main__")
    program.__file__ = str(script)  # what processes that it spawns begin with
    sys.modules["__main__"] = program
    exec(compile(script.read_text(), str(script), "exec"), vars(program))


if __name__ == "__main__":
    main()
