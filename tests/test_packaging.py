"""The manifests agree: pyproject.toml, extension.toml, .python-version, entry points."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from zipfile import ZipFile

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


# A wheel in an environment that has never seen the clone ------------------------------------------

BUILD = """
import sys
sys.path.insert(0, "bundling")
import backend
print(backend.build_wheel(sys.argv[1]))
"""
FIVE_LINES = """
from sernf_isaac import load_policy
from sernf_isaac.tasks.assets import DEFAULT_STUDENT
policy, contract = load_policy(DEFAULT_STUDENT)
observation, prefix = policy.example_inputs()
print(policy.decide(observation, prefix, candidates=2).shape)
"""
ENVIRONMENT = """
import gymnasium, sernf_isaac
from importlib.metadata import entry_points
from sernf_isaac.tasks.cube_spin.twin.gym_env import CubeSpinEnv
environment = CubeSpinEnv()
environment.reset(seed=0)
environment.step(environment.action_space.sample())
(entry_point,) = entry_points(group="isaaclab.tasks", name="sernf_isaac")
assert entry_point.load().__name__ == "sernf_isaac.tasks"
config = gymnasium.spec("Sernf-Orca-CubeSpin").kwargs["env_cfg_entry_point"]
assert config.startswith("sernf_isaac.tasks.cube_spin."), config
print(sernf_isaac.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with decoys, and the commands of an environment in which the wheel is installed.

    Other packages are those of this environment; a path that a .pth file adds is not searched for
    further .pth files, so that the clone's editable install is not seen.
    """
    pytest.importorskip("ensurepip", reason="this Python makes no environment with pip")
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-c", BUILD, str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    _check_complete(wheel)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel], check=True)
    (purelib,) = (venv / "lib").glob("python*/site-packages")
    (purelib / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name in ("tasks", "perception", "scripts", "assets"):
        (folder / "here" / name).mkdir(parents=True)
        decoy = "raise AssertionError('a folder of the user was imported')\n"
        (folder / "here" / name / "__init__.py").write_text(decoy)
    return folder / "here", venv / "bin"


def _check_complete(wheel):
    """Whether the wheel holds what git tracks in the folders that are installed."""
    folders = ("sernf_isaac", "tasks", "perception", "scripts", "assets")
    listed = ["git", "ls-files", "--", *folders]
    tracked = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    expected = {f"sernf_isaac/{name.removeprefix('sernf_isaac/')}" for name in tracked.split()}
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert expected <= held, sorted(expected - held)
    assert {name.partition("/")[0] for name in held} == {"sernf_isaac"}


def _run(installed, program, *arguments):
    """What a program of the environment printed, in the folder with the decoys."""
    here, commands = installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [commands / program, *arguments],
        cwd=here,
        env=environment | {"SERNF_CACHE_DIR": str(here / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_installed_wheel_has_one_name_and_its_version(installed, project):
    _, commands = installed
    (purelib,) = (commands.parent / "lib").glob("python*/site-packages")
    assert not {path.name for path in purelib.iterdir()} & {"tasks", "perception", "scripts"}
    assert _run(installed, "sernf", "--version") == f"sernf-isaac {project['version']}\n"
    assert "train-teacher" in _run(installed, "sernf", "--help")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_doctor_of_an_installed_wheel_is_well(installed):
    table = _run(installed, "sernf", "doctor")
    for name in ("grasp bank", "shipped teacher", "shipped students"):
        assert re.search(rf"^{name} +ok ", table, re.M), table


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_installed_wheel_evaluates_its_teacher(installed):
    out = _run(installed, "sernf", "evaluate", "--episodes", "4", "--json", "numbers.json")
    assert "drop_fraction" in out
    here, _ = installed
    assert json.loads((here / "numbers.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_policy_takes_five_lines_beside_folders_of_the_same_names(installed):
    here, _ = installed
    assert len(FIVE_LINES.strip().splitlines()) == 5
    (here / "five.py").write_text(FIVE_LINES)
    assert _run(installed, "python", "five.py") == "torch.Size([1, 6, 17])\n"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_environment_and_isaac_lab_find_the_tasks_of_the_wheel(installed):
    here, commands = installed
    (here / "drive.py").write_text(ENVIRONMENT)
    found = Path(_run(installed, "python", "drive.py").strip())
    assert found.is_relative_to(commands.parent.resolve())


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
