"""The manifests agree: pyproject.toml, extension.toml, .python-version, entry points."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path

import gymnasium as gym
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]


def _toml(name):
    return tomllib.loads((ROOT / name).read_text())


@pytest.fixture
def project():
    return _toml("pyproject.toml")["project"]


@pytest.fixture
def extension():
    return _toml("extension.toml")


@pytest.mark.parametrize("field", ["version", "description", "keywords", "readme"])
def test_the_extension_manifest_repeats_the_project(field, project, extension):
    assert extension["package"][field] == project[field]


def test_the_extension_manifest_names_the_project_and_its_authors(project, extension):
    assert extension["package"]["title"] == project["name"]
    assert extension["package"]["authors"] == [author["name"] for author in project["authors"]]


def test_kit_imports_the_package_isaac_lab_imports(project, extension):
    modules = [module["name"] for module in extension["python"]["module"]]
    assert modules == list(project["entry-points"]["isaaclab.tasks"].values())


def test_the_readme_and_the_licence_are_there(project):
    assert (ROOT / project["readme"]).stat().st_size > 0
    for name in project["license-files"]:
        assert (ROOT / name).read_text().startswith("BSD 3-Clause License")
    assert project["license"] == "BSD-3-Clause"


def test_the_installed_version_is_the_one_in_the_tree(project):
    assert version(project["name"]) == project["version"]


def test_the_isaac_lab_entry_point_registers_the_tasks(project):
    (entry_point,) = entry_points(group="isaaclab.tasks", name="sernf_isaac")
    assert entry_point.value == project["entry-points"]["isaaclab.tasks"]["sernf_isaac"]
    tasks = entry_point.load()
    assert tasks is import_module("tasks")
    for task in tasks.ISAAC_TASKS:
        assert task in gym.registry


def test_one_python_version_is_asked_for_everywhere(project):
    pinned = (ROOT / ".python-version").read_text().strip()
    assert pinned == "3.12"
    assert f"{pinned}.0" in SpecifierSet(project["requires-python"])
    assert _toml("pyproject.toml")["tool"]["pyright"]["pythonVersion"] == pinned


def test_isaac_lab_is_pinned(project):
    requirements = map(Requirement, project["optional-dependencies"]["isaac"])
    pins = {requirement.name: str(requirement.specifier) for requirement in requirements}
    assert pins["isaaclab"] == "==3.0.0"


def test_isaac_lab_is_no_requirement_of_the_laptop_install(project):
    names = {Requirement(line).name for line in project["dependencies"]}
    assert not {name for name in names if name.startswith(("isaac", "newton", "warp"))}


@pytest.mark.slow
def test_plugins_of_a_sourced_ros_do_not_stop_pytest(tmp_path):
    info = tmp_path / "launch_testing_ros-0.26.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: launch-testing-ros\nVersion: 0.26\n"
    )
    (info / "entry_points.txt").write_text(
        "[pytest11]\nlaunch_testing_ros = launch_testing_ros_pytest_entrypoint\n"
    )
    module = tmp_path / "launch_testing_ros_pytest_entrypoint.py"
    module.write_text("import lark_of_ros  # as ROS has it, and this environment not\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_presets.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-500:]


def test_make_leaves_the_paths_of_a_sourced_ros_behind():
    assert re.search(r"^unexport PYTHONPATH$", (ROOT / "Makefile").read_text(), re.M)
