"""In a clone, `sernf_isaac.tasks` is `tasks`: one module, not two, and never somebody else's."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tasks.cube_spin.config
from sernf_isaac.clone_names import LongNames, offer_long_names

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["tasks", "tasks.cube_spin.config", "perception.geometry"])
def test_both_names_are_one_module(name: str) -> None:
    short = import_module(name)
    spec = short.__spec__
    assert import_module(f"sernf_isaac.{name}") is short
    assert short.__name__ == name and short.__spec__ is spec


def test_names_come_from_the_long_import_too() -> None:
    from sernf_isaac.tasks.cube_spin.config import CONTROL_DT_S

    assert CONTROL_DT_S == tasks.cube_spin.config.CONTROL_DT_S


def test_what_the_clone_lacks_is_missing_by_its_long_name() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'sernf_isaac\.tasks\.nothing'"):
        import_module("sernf_isaac.tasks.nothing")
    with pytest.raises(ModuleNotFoundError):
        import_module("sernf_isaac.nothing")


def test_the_finder_is_there_once() -> None:
    offer_long_names(ROOT)
    assert sum(isinstance(finder, LongNames) for finder in sys.meta_path) == 1


def test_a_folder_of_the_users_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").write_text("raise AssertionError('imported')\n")
    program = tmp_path / "mine.py"
    program.write_text(
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "try:\n    from sernf_isaac.tasks import ISAAC_TASKS\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert f"{tmp_path / 'tasks' / '__init__.py'} and not {ROOT / 'tasks'}" in done.stdout
    assert f"pip install {ROOT}" in done.stdout
