"""What README and documentation say is so: commands, settings, paths, names and links."""

import argparse
import ast
import contextlib
import importlib
import io
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from documents import (
    LINK,
    ROOT,
    Command,
    anchors,
    blocks,
    commands,
    current_pages,
    inline_codes,
    mentions,
    pages,
    parsers_below,
    shell_lines,
)

import sernf_isaac
from docs.generate import paper_index
from docs.generate.__main__ import PARTS
from docs.generate.asking import SCRIPTS, ask_parser, ask_settings, scripts, shortest_arguments
from docs.generate.settings import settings_of

PLACEHOLDERS = ("NAME", "<", "*", "X.py", "my_", "/path/to")
PATH = re.compile(r"(?:sernf_isaac|tasks|perception|scripts|examples|assets|docs|tests)/[\w./-]*")
DOTTED = re.compile(r"(?:sernf_isaac|tasks|perception)(?:\.\w+)+")
OF_ISAAC_LAB = ("agent.", "env.events.", "env.randomization")
EXAMPLES = ("env.task", "group.key", "task.reward.my_term")
README_BYTES = 8_000


@cache
def parser_of(script: str) -> argparse.ArgumentParser:
    return ask_parser(SCRIPTS / script)


@cache
def settings_names(script: str) -> frozenset[str]:
    """All settings of a script."""
    found = ask_settings(SCRIPTS / script)
    return frozenset() if found is None else frozenset(s.key for s in settings_of(found))


@cache
def all_settings() -> frozenset[str]:
    """Every setting of any script, and Isaac Lab's forms of the task's."""
    names = frozenset().union(*(settings_names(path.name) for path in scripts()))
    return names | {f"env.{name}" for name in settings_names("train_teacher.py")}


def is_known(setting: str) -> bool:
    """Whether a setting, perhaps without its first groups, is one of some script."""
    return any(name == setting or name.endswith(f".{setting}") for name in all_settings())


def unparsed(command: Command) -> list[str]:
    """What a script's parser does not understand; its complaint if it refuses the line."""
    if "--" in command.arguments:  # what follows is for the script that this one starts
        there = command.arguments.index("--")
        first = replace(command, arguments=command.arguments[:there])
        name = Path(command.arguments[0]).name
        second = replace(command, script=name, arguments=command.arguments[there + 1 :])
        return unparsed(first) + unparsed(second)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            _, rest = parser_of(command.script).parse_known_args(list(command.arguments))
    except SystemExit:
        return [complaint.getvalue().strip().splitlines()[-1]]
    swallowed = {*command.settings, *(item for item in rest if not item.startswith("-"))}
    return [item for item in rest if item not in swallowed or not command.settings]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


def test_every_command_is_one_that_its_script_understands() -> None:
    found = list(commands())
    assert len(found) > 80
    wrong = {str(c): rest for c in found if (rest := unparsed(c))}
    assert not wrong, "\n".join(f"{name}\n    {rest}" for name, rest in wrong.items())


def test_every_setting_of_a_command_is_accepted() -> None:
    found = [c for c in commands() if c.settings and not c.is_for_isaac]
    assert len(found) > 20
    wrong = {}
    for command in found:
        try:
            ask_settings(SCRIPTS / command.script, command.arguments)
        except ValueError as error:
            wrong[str(command)] = error
    assert not wrong, "\n".join(f"{name}\n    {error}" for name, error in wrong.items())


def test_every_flag_and_setting_of_a_mentioned_script_exists() -> None:
    found = list(mentions())
    assert len(found) > 10
    wrong = []
    for command in found:
        known = {
            o for p in parsers_below(parser_of(command.script)) for o in p._option_string_actions
        }
        flags = [argument for argument in command.arguments if argument.startswith("--")]
        wrong += [f"{command}: no {flag}" for flag in flags if flag not in known]
        if command.settings and not command.is_for_isaac:
            given = [*shortest_arguments(parser_of(command.script)), *command.settings]
            try:
                ask_settings(SCRIPTS / command.script, given)
            except ValueError as error:
                wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)


def test_every_setting_in_code_font_exists() -> None:
    wrong, count = [], 0
    for page, text in current_pages().items():
        for code in inline_codes(text):
            for item in re.findall(r"(?<![\w.-])[a-z]\w*(?:\.\w+)+(?==)", code):
                if not item.startswith(OF_ISAAC_LAB) and item not in EXAMPLES:
                    count += 1
                    wrong += [] if is_known(item) else [f"{page}: {code}"]
    assert count > 50
    assert not wrong, "\n".join(wrong)


def test_the_table_of_scripts_is_complete() -> None:
    listed = re.findall(r"^\| `(\w+\.py)`", (ROOT / "docs/reference/scripts.md").read_text(), re.M)
    assert sorted(listed) == [path.name for path in scripts()]


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        words[1]
        for text in current_pages().values()
        for line in [*shell_lines(text), *inline_codes(text)]
        if (words := line.split()) and words[0] == "make" and len(words) > 1
    }
    assert named >= {"demo", "test", "docs"}
    assert named <= targets


def test_every_isaac_lab_task_is_registered() -> None:
    registered = (ROOT / "tasks" / "__init__.py").read_text()
    named = {m for text in current_pages().values() for m in re.findall(r"Sernf-[\w-]+", text)}
    assert len(named) >= 4
    assert all(f'"{name}"' in registered for name in named), named


def test_every_path_exists() -> None:
    wrong, count = [], 0
    for page, text in pages().items():
        if page not in current_pages():
            continue
        for code in inline_codes(text):
            file = code.partition(":")[0]
            if PATH.fullmatch(file) and not any(mark in code for mark in PLACEHOLDERS):
                count += 1
                wrong += [] if (ROOT / file).exists() else [f"{page}: {code}"]
    assert count > 100
    assert not wrong, "\n".join(wrong)


def test_every_example_is_shown_with_its_command() -> None:
    page = (ROOT / "docs" / "how_to" / "own_code.md").read_text()
    found = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_file())
    assert found
    missing = [name for name in found if f"`examples/{name}`" not in page]
    assert not missing, "list these in docs/how_to/own_code.md"
    started = re.findall(r"^python examples/(\w+\.py)", page, re.M)
    assert started
    assert set(started) <= set(found)


def resolves(name: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_every_dotted_name_exists() -> None:
    wrong, count = [], 0
    for page, text in current_pages().items():
        named = [code for code in inline_codes(text) if DOTTED.fullmatch(code)]
        named += re.findall(r"^::: ([\w.]+)", text, re.M)
        count += len(named)
        wrong += [f"{page}: {name}" for name in named if not resolves(name)]
    assert count > 10
    assert not wrong, "\n".join(wrong)


def test_the_api_page_lists_the_public_names() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert sorted(re.findall(r"^::: sernf_isaac\.(\w+)$", page, re.M)) == sernf_isaac.__all__


def test_python_in_the_pages_imports_what_exists() -> None:
    examples = [(p, b) for p, text in current_pages().items() for b in blocks(text, "python")]
    assert len(examples) >= 2
    for page, example in examples:
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                assert all(map(resolves, names)), f"{page}: {names}"


def test_every_link_leads_somewhere() -> None:
    wrong, count = [], 0
    for page, text in pages().items():
        for link in LINK.findall(text):
            if re.match(r"\w+:", link):
                continue
            count += 1
            file, _, anchor = link.partition("#")
            target = ((ROOT / page).parent / file).resolve() if file else ROOT / page
            if not target.exists():
                wrong.append(f"{page}: {link}: no such file")
            elif anchor and anchor not in anchors(target.read_text()):
                wrong.append(f"{page}: {link}: no such heading")
    assert count > 50
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_generated_parts_are_current(part: object) -> None:
    assert part.written() == PARTS[part](), "run: python -m docs.generate"


def test_every_place_in_the_paper_index_exists() -> None:
    places = {place for found in paper_index.citations().values() for place in found}
    assert len(places) > 100
    trees = {file: ast.parse((ROOT / file).read_text()) for file in {p.file for p in places}}
    for place in places:
        body = trees[place.file].body
        for name in filter(None, place.name.split(".")):
            node = next(node for node in body if name in names_of(node))
            body = getattr(node, "body", [])


def names_of(node: ast.stmt) -> set[str]:
    """What a statement defines."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {getattr(node, "name", "")} | {t.id for t in targets if isinstance(t, ast.Name)}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Selection (paper Alg. 2), eq. 7 and Fig. 7.", {"Alg. 2", "Eq. 7", "Fig. 7"}),
        ("Paper: 30,000 in simulation (G); App. G.3b; F.4d", {"G", "G.3b", "F.4d"}),
        ("Of shape (B, H, A), a matrix (B) and 0.4 rad", set()),
        ("Appendix C and IV-D", {"C", "IV-D"}),
    ],
)
def test_citations_are_read(text: str, parts: set[str]) -> None:
    assert set(paper_index.parts_in(text)) == parts


def test_a_citation_of_what_the_paper_lacks_is_an_error(tmp_path: Path) -> None:
    for folder in paper_index.FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "scripts" / "x.py").write_text('"""Paper Table IX? No: Alg. 9."""\n')
    with pytest.raises(ValueError, match=r"scripts/x.py:1 cites Alg. 9"):
        paper_index.citations(tmp_path)


def start(script: str, *arguments: object) -> str:
    """Run a script in this process; what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        patch.syspath_prepend(SCRIPTS)
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    return printed.getvalue()


def example_bags(folder: Path) -> None:
    """README's way from recordings to a store, short."""
    start("example_bags.py", "--out", folder / "example", "--episodes", 1, "--seconds", 1)
    (bag,) = (folder / "example").glob("demo_*")
    assert "/hand" in start("import_data.py", "topics", bag)
    layout = folder / "example" / "layout.yaml"
    start("import_data.py", "bags", bag, "--layout", layout, "--out", folder / "demos")


QUICK: dict[str, Callable[[Path], object]] = {
    "example_bags.py": example_bags,
    "sweep.py": lambda out: start(
        *("sweep.py", SCRIPTS / "two_doors.py", "--grid", "lambda", "--seeds", 0, "--dry_run"),
        *("--metric", "offline.success", "--out", out),
    ),
}


@pytest.mark.parametrize("script", QUICK)
def test_quick_commands_run(script: str, tmp_path: Path) -> None:
    QUICK[script](tmp_path)


FIRST_STEPS = {
    "draw_cube.py": "--out OUT",
    "evaluate.py": "--episodes 2 --num_envs 2 --threads 1",
    "play.py": "--spin 1.5 --seconds 1 --out OUT/film.mp4",
    "train_teacher.py": "--sim twin --num_envs 4 --max_iterations 1 --no-video --out OUT",
    "distill.py": "--sim twin --num_envs 4 --max_iterations 1 --no-video --out OUT eval_every=0",
}


@pytest.mark.slow
@pytest.mark.parametrize("script", FIRST_STEPS)
def test_first_steps_run_at_tiny_sizes(script: str, tmp_path: Path) -> None:
    start(script, *FIRST_STEPS[script].replace("OUT", str(tmp_path)).split())
