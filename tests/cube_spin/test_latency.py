"""A measured latency is what a policy is trained with, on either simulator; never another one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tasks.cube_spin.latency import physics_for_isaac, physics_with_latency
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs import simulators, train_teacher
from tasks.cube_spin.runs.distill import make_env
from tasks.cube_spin.student.settings import LATENCY_STEPS, StudentRun
from tasks.cube_spin.teacher.policy import load_teacher

MakeFile = Callable[[str], str]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(text: str) -> str:
        path = tmp_path / "my_hand.yaml"
        path.write_text(text)
        return str(path)

    return make


class SeenError(Exception):
    """Carries the physics that an environment was to be built with."""


def seen_in(monkeypatch: pytest.MonkeyPatch, module: ModuleType, build: Callable[[], object]):
    """The physics that a training gives to the twin, named in `module`."""

    def environment(num_envs: int, task: object, physics: object, **_: object) -> None:
        raise SeenError(physics)

    monkeypatch.setattr(module, "CubeSpinTwin", environment)
    with pytest.raises(SeenError) as seen:
        build()
    return seen.value.args[0]


def trained_with(monkeypatch: pytest.MonkeyPatch, run: train_teacher.TwinRun, out: Path):
    return seen_in(monkeypatch, train_teacher, lambda: train_teacher.train(run, out))


def distilled_with(monkeypatch: pytest.MonkeyPatch, run: StudentRun, out: Path):
    teacher = load_teacher(run.teacher)
    return seen_in(monkeypatch, simulators, lambda: make_env(run, teacher, "twin", out, 0))


@pytest.mark.parametrize("delay", ["1", "[2, 3]", "0"])
def test_a_measured_latency_is_trained_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_file: MakeFile, delay: str
) -> None:
    file = make_file(f"base: randomized\naction_delay_steps: {delay}\n")
    measured = load_physics(file)
    run = train_teacher.TwinRun(physics=file)
    assert trained_with(monkeypatch, run, tmp_path) == measured
    assert distilled_with(monkeypatch, StudentRun(physics=file), tmp_path) == measured
    assert physics_for_isaac(file, None, LATENCY_STEPS, tmp_path) == file


@pytest.mark.parametrize("physics", ["file", "reality", "on hard"])
def test_two_latencies_are_refused_on_either_simulator(
    tmp_path: Path, make_file: MakeFile, physics: str
) -> None:
    files = {"file": "action_delay_steps: 1", "on hard": "base: hard\ncube_mass_kg: 0.06"}
    given = make_file(files[physics]) if physics in files else physics
    run, teacher = StudentRun(physics=given, latency_steps=2), load_teacher()
    for ask in (
        lambda: make_env(run, teacher, "twin", tmp_path, 0),
        lambda: physics_for_isaac(given, 2, LATENCY_STEPS, tmp_path),
        lambda: train_teacher.train(
            train_teacher.TwinRun(physics=given, latency_steps=2), tmp_path
        ),
    ):
        with pytest.raises(ValueError, match=r"latency_steps=2 would replace .*\[1.0, 1.0\]"):
            ask()


def test_where_none_was_measured_the_run_draws_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_file: MakeFile
) -> None:
    file = make_file("base: randomized\ncube_mass_kg: 0.061\n")
    for given in (file, "randomized"):
        usual = trained_with(monkeypatch, train_teacher.TwinRun(physics=given), tmp_path)
        assert usual.action_delay_steps == (0.0, 2.0)
        drawn = distilled_with(monkeypatch, StudentRun(physics=given), tmp_path)
        assert drawn.action_delay_steps == (0.0, 1.0)
        none = StudentRun(physics=given, latency_steps=0)
        assert distilled_with(monkeypatch, none, tmp_path) == load_physics(given)
        assert physics_for_isaac(given, 0, LATENCY_STEPS, tmp_path) == given


@pytest.mark.parametrize("latency_steps", [None, 3])
def test_isaac_lab_is_told_what_the_twin_is(
    tmp_path: Path, make_file: MakeFile, latency_steps: int | None
) -> None:
    for given in ("distillation", make_file("base: mixed\ncollisions: hulls\n")):
        told = physics_for_isaac(given, latency_steps, 1, tmp_path)
        assert load_physics(told) == physics_with_latency(given, latency_steps, 1)
