"""The generators of the documentation: settings and flags as tables, parts between marks."""

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from documents import parsers_below

from docs.generate import physics
from docs.generate import scripts as reference
from docs.generate.asking import SCRIPTS, ask_parser, ask_settings, scripts
from docs.generate.marks import Marked
from docs.generate.settings import settings_of
from tasks.cube_spin.physics import PRESETS, Physics


@dataclass
class Inner:
    """A group."""

    size: int = 3
    """How many,
    at most."""
    bare: float = 0.5


@dataclass
class Outer(Inner):
    """Settings."""

    group: Inner = field(default_factory=lambda: Inner(size=4))


def test_settings_bring_values_and_docstrings_from_groups_and_bases() -> None:
    found = {s.key: (s.default, s.text) for s in settings_of(Outer())}
    assert found == {
        "size": (3, "How many, at most."),
        "bare": (0.5, ""),
        "group.size": (4, "How many, at most."),
        "group.bare": (0.5, ""),
    }


def test_every_setting_says_what_it_means() -> None:
    found = {
        s.key: s.text for path in scripts() for s in settings_of(ask_settings(path) or Outer())
    }
    silent = sorted(key for key, text in found.items() if not text)
    assert len(found) > 100
    assert silent == ["bare", "group.bare"], "give these fields a docstring"


def test_every_flag_says_what_it_means() -> None:
    silent = [
        f"{path.name} {action.option_strings or action.dest}"
        for path in scripts()
        for parser in parsers_below(ask_parser(path))
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not silent


def test_a_scripts_page_shows_description_flags_and_settings() -> None:
    page = reference.page(SCRIPTS / "finetune.py")
    assert page.startswith("# finetune.py\n\nLearn from a hand's episodes")
    assert "```bash\npython scripts/finetune.py --run runs/hand/first" in page
    assert re.search(r"\| `--run \w+` \| required \| folder of the robot's run \|", page)
    assert "`learner.improvement.candidates`" in page


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_a_page_shows_examples_as_code(script: Path) -> None:
    before_code, _, _ = reference.page(script).partition("```bash")
    assert "python scripts/" not in before_code


def test_a_page_shows_every_command_of_a_script() -> None:
    page = reference.page(SCRIPTS / "import_data.py")
    for command in ("bags", "robomimic", "lerobot", "topics", "export"):
        assert f"## Command `{command}`" in page
    assert "## Settings" not in page


def test_a_script_that_reads_no_command_line_is_an_error(tmp_path: Path) -> None:
    script = tmp_path / "x.py"
    script.write_text("print('done')\n")
    with pytest.raises(ValueError, match=r"x\.py: ends without reading a command line"):
        ask_parser(script)


def test_a_misspelt_setting_is_an_error() -> None:
    with pytest.raises(ValueError, match="did you mean 'minutes_per_iteration'"):
        ask_settings(SCRIPTS / "finetune.py", ["--run", "x", "minutes_per_iterations=5"])


def test_the_physics_table_has_every_parameter_and_preset() -> None:
    lines = physics.tables().splitlines()
    assert all(f"`{name}`" in lines[0] for name in PRESETS)
    assert len(lines) == 2 * (2 + len(Physics.__dataclass_fields__)) + 1
    row = next(line for line in lines if "`gravity_m_s2`" in line)
    assert "| m/s^2 | -9.81 | -9.81 ± 0.5 |" in row


def test_a_part_is_replaced_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\n<!-- x: end -->\nafter\n")
    part = Marked(page, "x")
    for text in ("one\n", "two\n"):
        part.write(text)
        assert part.written() == text
    assert page.read_text() == "before\n<!-- x: begin -->\n\ntwo\n\n<!-- x: end -->\nafter\n"


def test_a_page_without_marks_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        Marked(page, "x").write("text")
