"""Builds the project: setuptools, but a wheel has one top-level package, `sernf_isaac`.

A clone has `tasks/` and `perception/` beside `sernf_isaac/`. In somebody's site-packages such names
would hide, or be hidden by, theirs. So a wheel is built from a copy of the tree in which these two,
`scripts/` and `assets/` lie inside `sernf_isaac/`, and in which imports say so. Editable installs
and source archives are setuptools' own. See `docs/why/decisions.md`.
"""

import ast
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "sernf_isaac"
MOVED_PACKAGES = ("tasks", "perception")
"""Are imported; inside the wheel under the name of the package."""
MOVED = (*MOVED_PACKAGES, "scripts", "assets")
KEPT = ("pyproject.toml", "README.md", "LICENSE")
_NAMES = "|".join(MOVED_PACKAGES)
_IMPORT = re.compile(rf"^([ \t]*from )((?:{_NAMES})(?:\.\w+)* import )", re.M)
_QUOTED = re.compile(rf"""(["'])((?:{_NAMES})(?:\.\w+)+(?::\w+)?)\1""")
_ENTRY_POINT = re.compile(rf'^(sernf_isaac = ")({_NAMES})"$', re.M)


def build_wheel(
    wheel_directory: str,
    config_settings: dict | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Name of the wheel that was written to the directory (PEP 517)."""
    with _in_bundled_copy():
        return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict | None = None
) -> str:
    """Name of the `.dist-info` that was written to the directory (PEP 517)."""
    with _in_bundled_copy():
        return build_meta.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


@contextmanager
def _in_bundled_copy() -> Iterator[None]:
    """The working directory is a copy of the tree as the wheel has it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        bundle(ROOT, Path(folder))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def bundle(root: Path, copy: Path) -> None:
    """Copy a tree with everything that is installed inside `sernf_isaac/`.

    Raises:
        ValueError: If a source names a moved package in a way that is not understood here.
    """
    for name in KEPT:
        shutil.copy2(root / name, copy / name)
    project = copy / "pyproject.toml"
    text = _ENTRY_POINT.sub(rf'\1{PACKAGE}.\2"', project.read_text())
    project.write_text(_QUOTED.sub(rf"\1{PACKAGE}.\2\1", text))
    without = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(root / PACKAGE, copy / PACKAGE, ignore=without)
    for name in MOVED:
        shutil.copytree(root / name, copy / PACKAGE / name, ignore=without)
        for source in (copy / PACKAGE / name).rglob("*.py"):
            source.write_text(renamed(source.read_text(), str(source.relative_to(copy))))


def renamed(source: str, name: str) -> str:
    """A source whose imports of moved packages are of those inside `sernf_isaac`.

    Lines keep their numbers: `from tasks.x import y` and a quoted `"tasks.x:y"` are rewritten in
    place.

    Args:
        source: Python.
        name: Of its file, for the error.

    Raises:
        ValueError: If a moved package is imported in another form.
    """
    text = _IMPORT.sub(rf"\1{PACKAGE}.\2", source)
    text = _QUOTED.sub(rf"\1{PACKAGE}.\2\1", text)
    for node in ast.walk(ast.parse(text)):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            imported = [node.module or ""]
        if any(module.partition(".")[0] in MOVED for module in imported):
            raise ValueError(
                f"{name}, line {getattr(node, 'lineno', '?')}: a wheel cannot have "
                f"`{ast.unparse(node)}`; write `from tasks.x import y` on a line of its own"
            )
    return text
