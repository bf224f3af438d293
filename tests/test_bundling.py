"""The wheel's copy of the tree: one top-level package, in which every import finds its module."""

import ast
import runpy
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BACKEND = runpy.run_path(str(ROOT / "bundling" / "backend.py"))
renamed, MOVED = BACKEND["renamed"], BACKEND["MOVED"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    BACKEND["bundle"](ROOT, folder)
    return folder


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_imports_and_names_in_quotes_move_and_lines_stay() -> None:
    source = (
        '"""Tasks."""\n\nfrom tasks import A\nfrom tasks.arm.settings import (\n    B,\n)\n'
        "from sernf_isaac.spec import C\nfrom tasksomething import D\n"
        'WHERE = "tasks.arm.settings:B"\nWORD = "tasks"\n\n\n'
        "def f():\n    from perception.cube import E\n\n    return E, 'perception.cube'\n"
    )
    assert renamed(source, "x.py").splitlines() == (
        source.replace("from tasks ", "from sernf_isaac.tasks ")
        .replace("from tasks.arm", "from sernf_isaac.tasks.arm")
        .replace('"tasks.arm', '"sernf_isaac.tasks.arm')
        .replace("perception.cube", "sernf_isaac.perception.cube")
        .splitlines()
    )


@pytest.mark.parametrize(
    "line",
    [
        "import tasks",
        "import perception.cube as c",
        "x = 1; from tasks.arm import y",
        "import scripts",
    ],
)
def test_an_import_that_cannot_move_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"x\.py, line 2: a wheel cannot have"):
        renamed(f"import os\n{line}\n", "x.py")


def test_the_copy_has_one_package_and_what_its_verbs_need(copy: Path) -> None:
    assert {path.name for path in copy.iterdir()} == {"sernf_isaac", *BACKEND["KEPT"]}
    inside = copy / "sernf_isaac"
    assert all((inside / name).is_dir() for name in MOVED)
    for folder in ("scripts", "assets"):
        names = {path.name for path in (ROOT / folder).iterdir() if path.name[0] not in "_."}
        assert {path.name for path in (inside / folder).iterdir()} == names
    assert (inside / "tasks/robomimic/server/requirements.txt").is_file()


def test_every_import_of_ours_in_the_copy_has_its_file(copy: Path) -> None:
    sources = sorted((copy / "sernf_isaac").rglob("*.py"))
    modules = {dotted(path.relative_to(copy)) for path in sources}
    count = 0
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            assert node.module.partition(".")[0] not in MOVED, path
            if node.module.startswith("sernf_isaac"):
                count += 1
                assert node.module in modules, f"{path.relative_to(copy)}, line {node.lineno}"
    assert count > 1000


def test_every_module_in_quotes_exists(copy: Path) -> None:
    found = {
        node.value.partition(":")[0]
        for path in (copy / "sernf_isaac").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("sernf_isaac.tasks.", "sernf_isaac.perception."))
        and " " not in node.value
    }
    assert len(found) > 5
    missing = [name for name in found if find_spec(name.removeprefix("sernf_isaac.")) is None]
    assert not missing


def test_isaac_lab_is_led_into_the_package(copy: Path) -> None:
    project = tomllib.loads((copy / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["isaaclab.tasks"] == {
        "sernf_isaac": "sernf_isaac.tasks"
    }
    assert "sernf_isaac.tasks.robomimic.server" in project["tool"]["setuptools"]["package-data"]
