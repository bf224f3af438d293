"""Reads the documentation: pages, commands in them, names, links."""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sernf_isaac.verbs import script_of

ROOT = Path(__file__).resolve().parents[2]
OF_THEIR_TIME = {"log.md", "benchmarks.md"}
"""Pages whose commands belong to the commits named beside them, as do those of `docs/results`."""
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"[a-z]\w*(\.\w+)*=.*", re.S)
LAUNCHERS = re.compile(
    r"(?:python|torchrun(?: --\w+ \d+)*|(?:\./)?isaaclab\.sh -p) (?:/path/to/sernf-isaac/)?scripts/"
)
VERB = re.compile(r"(?:^| )(?:sernf|-m sernf_isaac) (?=[a-z])")


@dataclass(frozen=True)
class Command:
    """A script's command line in a page."""

    page: str
    script: str
    """File name."""
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.script} {shlex.join(self.arguments)}"

    @property
    def settings(self) -> list[str]:
        """Those arguments that are `key=value`."""
        return [argument for argument in self.arguments if SETTING.fullmatch(argument)]

    @property
    def is_for_isaac(self) -> bool:
        """Whether the settings are Isaac Lab's."""
        return "--sim isaac" in " ".join(self.arguments)


@cache
def pages() -> dict[str, str]:
    """Text of all pages by their path in the repository."""
    root = ["README.md", "CONTRIBUTING.md", "assets/README.md"]
    paths = [ROOT / name for name in root] + sorted((ROOT / "docs").rglob("*.md"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def current_pages() -> dict[str, str]:
    """Pages that tell how things are today."""
    return {
        name: text
        for name, text in pages().items()
        if not name.startswith("docs/results/") and Path(name).name not in OF_THEIR_TIME
    }


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, without their indentation."""
    found = [m for m in FENCE.finditer(text) if m[2] == language]
    return ["\n".join(line[len(m[1]) :] for line in m[3].splitlines()) for m in found]


def inline_codes(text: str) -> list[str]:
    """What stands in code font within prose and tables."""
    return INLINE.findall(FENCE.sub("", text))


def shell_lines(text: str) -> Iterator[str]:
    """Commands of all shell blocks, one a line, without comments."""
    for block in blocks(text, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield re.sub(r"(^|\s)#.*", "", line).strip()


def commands() -> Iterator[Command]:
    """Every command of a shell block that starts one of our scripts, by its file or its verb."""
    for page, text in current_pages().items():
        for line in shell_lines(text):
            launched = LAUNCHERS.search(line) or VERB.search(line)
            if launched is None or line.startswith(("for ", "with=")):
                continue
            script, *arguments = shlex.split(line[launched.end() :])
            script = script if script.endswith(".py") else script_of(script).name
            yield Command(page, script, tuple(arguments))


def mentions() -> Iterator[Command]:
    """Every script with arguments in code font, such as `finetune.py --preset paper`."""
    for page, text in current_pages().items():
        for code in inline_codes(text):
            if re.match(r"(?:python scripts/)?\w+\.py [^#]", code):
                script, *arguments = shlex.split(code.removeprefix("python scripts/"))
                yield Command(page, script, tuple(a for a in arguments if a != "..."))


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as MkDocs makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).encode("ascii", "ignore").decode()
        words = re.sub(r"[^\w\s-]", "", plain.lower()).strip()
        found.add(re.sub(r"[-\s]+", "-", words))
    return found


def parsers_below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers_below(below)
