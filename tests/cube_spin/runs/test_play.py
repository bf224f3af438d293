"""Films and the viewer: what a policy has not been trained for, keys, names of files."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.config import CommandConfig, tuned_task
from tasks.cube_spin.evaluation.figures import run_figure
from tasks.cube_spin.physics import NOMINAL, RANDOMIZED
from tasks.cube_spin.runs import play
from tasks.cube_spin.runs.outside import outside_training
from tasks.cube_spin.view.keys import DOWN, PUSH, RESET, UP, Keys

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/play.py"


@pytest.mark.parametrize(
    ("command", "spin", "warns"),
    [
        ({}, 1.0, False),
        ({}, -1.0, True),
        ({}, 2.0, True),
        ({}, 0.1, True),
        ({"both_directions": True}, -1.0, False),
        ({"clockwise": True}, -1.0, False),
        ({"clockwise": True}, 1.0, True),
        ({}, None, False),
    ],
)
def test_a_spin_outside_training_is_told(command: dict, spin: float | None, warns: bool) -> None:
    task = replace(tuned_task(), command=CommandConfig(**command))
    found = outside_training(task, NOMINAL, spin)
    assert bool(found) == warns
    assert all(f"a spin of {spin:g} rad/s is outside" in text for text in found)


@pytest.mark.parametrize("changed", [{"cube_size_m": (0.06, 0.06)}, {"cube_mass_kg": (0.3, 0.3)}])
def test_a_cube_outside_training_is_told(changed: dict) -> None:
    (found,) = outside_training(tuned_task(), replace(NOMINAL, **changed))
    assert found.startswith(next(iter(changed))) and "outside the training's" in found
    assert outside_training(tuned_task(), RANDOMIZED) == []


def test_keys_change_the_spin_push_and_start_again(make_twin) -> None:
    twin = make_twin(1)
    keys = Keys(twin)
    before = float(twin.command[0])
    assert keys.do() is None and float(twin.command[0]) == before
    for key in (UP, UP, DOWN):
        keys.press(key)
    assert keys.do() == f"spin {before + 0.25:+.2f} rad/s"
    assert float(twin.command[0]) == pytest.approx(before + 0.25)
    twin.step(torch.zeros(1, 17))
    keys.do()
    assert float(twin.command[0]) == pytest.approx(before + 0.25)  # stays
    still = twin.world.state.copy()
    keys.press(PUSH)
    assert "a push of 0.3 m/s" in str(keys.do())
    assert abs(twin.world.state - still).max() == pytest.approx(0.3)
    keys.press(RESET)
    assert keys.do() == "a new episode" and twin.finished is None
    twin.step(torch.zeros(1, 17))
    assert len(twin.finished) == 1 and int(twin.episode_length_buf) == 0
    keys.press(ord("X"))
    assert keys.do() is None


def test_a_film_is_called_by_its_policy(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    written: list[Path] = []
    monkeypatch.setattr(play, "film_policy", lambda _, path, **__: written.append(path))
    for policy in (DEFAULT_TEACHER, DEFAULT_TEACHER.with_name("student.pt")):
        monkeypatch.setattr(sys, "argv", ["play.py", "--policy", str(policy)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert written == [Path("runs/play/teacher.mp4"), Path("runs/play/student.mp4")]
    assert "student.mp4" in capsys.readouterr().out


def test_stored_episodes_are_drawn(tmp_path: Path) -> None:
    row = {"rpm_in_hand": 2.0, "rpm_in_hand_ci95": [1.0, 3.0], "turns_per_run": 0.5}
    row |= {"turns_per_run_ci95": [0.2, 0.9], "runs": 3, "policy": "000000000-abc"}
    run_figure(tmp_path / "new" / "run.png", [row, row], "stored episodes")
    assert (tmp_path / "new" / "run.png").read_bytes()[1:4] == b"PNG"
