"""Imports point one way, Isaac Lab stays where it is optional, files stay short."""

import ast
import functools
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("sernf_isaac", "tasks", "perception", "scripts")
SIMULATOR = ("isaaclab", "isaaclab_*", "isaacsim", "omni", "pxr", "newton", "warp")
FORBIDDEN = {
    "sernf_isaac": (*SIMULATOR, "cv2", "tasks", "perception", "scripts"),
    "perception": (*SIMULATOR, "sernf_isaac", "tasks", "scripts"),
    "tasks": ("scripts",),
}
ROOMS = {
    "tasks/cube_spin/isaac": ("tasks.cube_spin.twin",),
    "tasks/manipulation": ("tasks.cube_spin", "tasks.arm"),
    "sernf_isaac/models": ("sernf_isaac.learning", "sernf_isaac.deploy"),
    "sernf_isaac/data": ("sernf_isaac.models", "sernf_isaac.learning", "sernf_isaac.deploy"),
    "sernf_isaac/learning": ("sernf_isaac.deploy", "sernf_isaac.benchmarks", "sernf_isaac.sweep"),
    "sernf_isaac/deploy": ("sernf_isaac.learning", "sernf_isaac.benchmarks", "sernf_isaac.sweep"),
}
"""What the files of a folder must not import."""
EYES = ("tasks/cube_spin/eyes", "tasks/cube_spin/runs/demo.py")
"""Where tasks may use the eyes, which need the `vision` extra."""
ISAAC_LAB_FILES = {"isaac.py"}
ISAAC_LAB_FOLDERS = {"isaac"}
MAX_SOURCE_LINES = 330
MAX_SCRIPT_LINES = 100


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def nodes(tree: ast.AST, *, at_import_only: bool) -> Iterator[ast.AST]:
    """All nodes; with `at_import_only`, those that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if at_import_only and (lazy or is_type_checking(node)):
            continue
        yield node
        yield from nodes(node, at_import_only=at_import_only)


@functools.cache
def imported(source: str, *, at_import_only: bool = False) -> frozenset[str]:
    """Dotted names a source imports; `from a import b` counts as `a.b`."""
    found: set[str] = set()
    for node in nodes(ast.parse(source), at_import_only=at_import_only):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages or below one; `x_*` matches by prefix."""
    top = name.partition(".")[0]
    return any(
        top.startswith(package[:-1])
        if package.endswith("*")
        else f"{name}.".startswith(f"{package}.")
        for package in packages
    )


def module_file(name: str) -> Path | None:
    """The file of ours that a dotted name comes from; None for other people's."""
    path = ROOT.joinpath(*name.split("."))
    for place in (path, path.parent):
        if place.with_suffix(".py").is_file():
            return place.with_suffix(".py")
    return None


def violations(layer: str, source: str) -> set[str]:
    """Imports of a source file that its layer must not have."""
    return {name for name in imported(source) if is_in(name, FORBIDDEN.get(layer, ()))}


def needs_isaac_lab(source: str) -> bool:
    return any(is_in(name, SIMULATOR) for name in imported(source, at_import_only=True))


def is_for_isaac_lab(path: Path) -> bool:
    return path.name in ISAAC_LAB_FILES or bool(ISAAC_LAB_FOLDERS & set(path.parts))


def too_long(path: Path, lines: int) -> bool:
    script = path.parent.name == "scripts"
    return lines > (MAX_SCRIPT_LINES if script else MAX_SOURCE_LINES)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer: str) -> None:
    found = {path.relative_to(ROOT): violations(layer, path.read_text()) for path in sources(layer)}
    assert found, f"no sources under {layer}"
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_nothing_from_above(room: str) -> None:
    assert sources(room), f"no sources under {room}"
    for path in sources(room):
        found = {name for name in imported(path.read_text()) if is_in(name, ROOMS[room])}
        assert not found, path.relative_to(ROOT)


def test_tasks_use_the_eyes_only_where_they_look() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in sources("tasks")
        if any(is_in(name, ("perception",)) for name in imported(path.read_text()))
    }
    assert users
    assert {user for user in users if not user.startswith(EYES)} == set()


def test_folders_do_not_import_each_other_in_a_circle() -> None:
    for layer in ("sernf_isaac", "tasks", "perception"):
        graph = {
            path: {module_file(name) for name in imported(path.read_text(), at_import_only=True)}
            for path in sources(layer)
        }
        TopologicalSorter(graph).prepare()  # raises CycleError


def room_of(path: Path, folder: Path) -> str:
    """The file or folder inside `folder` that a path belongs to."""
    return path.relative_to(folder).parts[0]


@pytest.mark.parametrize(
    "folder",
    [
        *("sernf_isaac", "sernf_isaac/data", "sernf_isaac/deploy", "sernf_isaac/learning"),
        *("sernf_isaac/models", "tasks", "tasks/cube_spin", "perception"),
    ],
)
def test_rooms_of_a_folder_do_not_import_each_other_in_a_circle(folder: str) -> None:
    graph: dict[str, set[str]] = {}
    for path in sources(folder):
        rooms = graph.setdefault(room_of(path, ROOT / folder), set())
        files = {module_file(name) for name in imported(path.read_text())}
        rooms |= {room_of(f, ROOT / folder) for f in files if f and ROOT / folder in f.parents}
    for room, others in graph.items():
        others.discard(room)
    graph.pop("__init__.py", None)  # the public face names what is below it
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_isaac_lab_modules_need_isaac_lab() -> None:
    paths = [path for layer in LAYERS for path in sources(layer) if not is_for_isaac_lab(path)]
    assert [str(path) for path in paths if needs_isaac_lab(path.read_text())] == []


def test_shared_modules_import_no_isaac_lab_module_of_ours() -> None:
    isaac = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sources("tasks")
        if is_for_isaac_lab(path) and path.name != "__init__.py"
    }
    assert "tasks.cube_spin.isaac.env_cfg" in isaac
    for path in [p for layer in LAYERS for p in sources(layer) if not is_for_isaac_lab(p)]:
        names = imported(path.read_text(), at_import_only=True)
        assert not {name for name in names if is_in(name, tuple(isaac))}, path


@pytest.mark.parametrize("layer", LAYERS)
def test_files_stay_short(layer: str) -> None:
    counts = {path: len(path.read_text().splitlines()) for path in sources(layer)}
    assert {str(path): n for path, n in counts.items() if too_long(path, n)} == {}


# Negative controls: the checks above would see a violation.


@pytest.mark.parametrize(
    ("layer", "source", "name"),
    [
        ("sernf_isaac", "import isaaclab.sim as sim", "isaaclab.sim"),
        ("sernf_isaac", "def f():\n    import cv2", "cv2"),
        ("sernf_isaac", "from tasks import ISAAC_TASKS", "tasks.ISAAC_TASKS"),
        ("sernf_isaac", "if True:\n    from isaaclab_rl.rsl_rl import x", "isaaclab_rl.rsl_rl.x"),
        ("perception", "from sernf_isaac.spec import Contract", "sernf_isaac.spec.Contract"),
        ("perception", "from tasks.cube_spin import twin", "tasks.cube_spin.twin"),
        ("tasks", "from scripts.demo import main", "scripts.demo.main"),
    ],
)
def test_a_forbidden_import_would_be_seen(layer: str, source: str, name: str) -> None:
    assert violations(layer, source) == {name}


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("tasks", "from sernf_isaac.spec import Contract\nfrom sernf_isaac import checkpoint"),
        ("tasks", "import isaaclab"),
        (
            "sernf_isaac",
            "import torch\nfrom sernf_isaac.spec import Contract\nimport tasksomething",
        ),
    ],
)
def test_allowed_imports_pass(layer: str, source: str) -> None:
    assert violations(layer, source) == set()


def test_imports_inside_functions_and_for_types_are_lazy() -> None:
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pxr import Usd\n"
    assert not needs_isaac_lab(lazy + "def f():\n    import isaaclab")
    assert needs_isaac_lab(lazy + "class A:\n    import isaaclab_newton.physics")


def test_a_long_file_would_be_seen() -> None:
    assert too_long(ROOT / "scripts/train.py", MAX_SCRIPT_LINES + 1)
    assert not too_long(ROOT / "tasks/x.py", MAX_SCRIPT_LINES + 1)
    assert too_long(ROOT / "tasks/x.py", MAX_SOURCE_LINES + 1)
