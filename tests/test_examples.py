"""Every example is short, is run here, and says what its page promises."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from sernf_isaac import load_policy

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


def run(name: str, *arguments: object) -> str:
    """What an example printed, from another folder than the project's."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_at_most_sixty_lines_and_is_run(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 60
    assert f'"{name}"' in Path(__file__).read_text() or name.startswith("my_")


@pytest.mark.slow
def test_the_notebook_shows_that_a_flow_keeps_both_doors() -> None:
    notebook = nbformat.read(EXAMPLES / "two_doors.ipynb", as_version=4)
    resources = {"metadata": {"path": str(EXAMPLES.parent)}}
    NotebookClient(notebook, timeout=280, resources=resources).execute()
    told = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    )
    success = dict(re.findall(r"(Gaussian|flow), imitation(?: \(I\))? +(\d+\.\d)%", told))
    assert float(success["Gaussian"]) < 50 < 70 < float(success["flow"])
    assert "image/png" in notebook.cells[-1].outputs[0].data


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(EXAMPLES / "two_doors.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)


def test_a_policy_is_loaded_described_and_asked() -> None:
    told = run("drive_policy.py", EXAMPLES.parent / "assets/student.pt")
    assert "takes history (B, 4, 24)" in told and "the next 6 actions" in told


@pytest.mark.slow
def test_a_policy_answers_from_another_process() -> None:
    told = run("policy_process.py", EXAMPLES.parent / "assets/student.pt")
    assert told.count("chunk of 6 actions") == 3


def test_episodes_are_written_and_read(tmp_path: Path) -> None:
    told = run("episode_store.py", tmp_path / "run")
    assert "50 steps, reward 0, success" in told and "20 steps, reward 1, success" in told


@pytest.mark.slow
def test_a_hand_of_ones_own_moves_within_its_limits(tmp_path: Path) -> None:
    steps, index = re.search(
        r"(\d+) steps, .*index (\d\.\d+)", run("own_hand.py", tmp_path / "run")
    ).groups()
    assert 30 <= int(steps) <= 40
    assert 0.9 <= float(index) <= 1.0


@pytest.mark.slow
def test_four_stages_on_an_environment_of_ones_own_end_better_than_imitation(
    tmp_path: Path,
) -> None:
    told = run("own_environment.py", tmp_path)
    success = {stage: int(value) for stage, value in re.findall(r"(\w+) (\d+)% of 100", told)}
    assert list(success) == ["imitation", "warm_up", "offline", "online"]
    assert success["imitation"] < 90 < success["online"]


@pytest.mark.slow
def test_a_student_comes_close_to_a_teacher_of_ones_own(tmp_path: Path) -> None:
    told = run("distill_my_teacher.py", tmp_path)
    first, last = re.search(r"by (\d\.\d+), then (\d\.\d+)", told).groups()
    assert float(last) < 0.5 * float(first)
    policy, contract = load_policy(tmp_path / "student.pt")
    assert contract.task == "points" and "takes target (B, 2)" in policy.describe()
