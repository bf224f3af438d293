"""Policies, sessions and pictures say for which object they are; another one is refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from first_hand import V1
from tiny_student import save_tiny_student

from perception.marked import CUBE, MarkedObject, refuse_other_marks
from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.policy import load_policy
from tasks.cube_spin.config import tuned_task
from tasks.cube_spin.eyes.marks import marks_of
from tasks.cube_spin.eyes.rendering import check_isaac
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student, sees_symmetric
from tasks.cube_spin.hand.which_hand import object_of_run
from tasks.cube_spin.held_object import HeldObject, object_named, object_of_flags
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.pictures.states import StateSource
from tasks.cube_spin.student.policy import load_student
from tasks.cube_spin.teacher.policy import TeacherPolicy, load_teacher, save_teacher

SPHERE, CYLINDER = HeldObject("sphere", 0.05), HeldObject("cylinder", 0.05)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a sphere."""
    return save_tiny_student(tmp_path_factory.mktemp("policy") / "student.pt", held=SPHERE)


def a_teacher(held: HeldObject) -> TeacherPolicy:
    task = replace(tuned_task(), object=held)
    constants = task_constants(task)
    sizes = sum(observation_sizes(task.observation, V1).values())
    return TeacherPolicy(task, constants.action_centre, constants.action_scale, (8,), sizes)


def test_a_teacher_keeps_its_object(tmp_path: Path) -> None:
    save_teacher(tmp_path / "t.pt", a_teacher(CYLINDER), {})
    assert load_checkpoint(tmp_path / "t.pt").contract.object == "cylinder 50 x 50 mm"
    loaded = load_teacher(tmp_path / "t.pt")
    assert loaded.task.object == CYLINDER
    assert (loaded.constants.shape, loaded.constants.size_ratio) == ("cylinder", CYLINDER.ratio)


def test_a_student_keeps_its_object_and_is_refused_on_another(student: Path) -> None:
    assert load_student(student).task.object == SPHERE
    policy, contract = load_policy(student)
    assert sees_symmetric(contract) and "history.sphere_no_rotation" in contract.observations
    there = {"hand": V1, "symmetric_rotation": True, "smoothing": 0.5}
    check_student(policy, contract, held=SPHERE, **there)
    with pytest.raises(ValueError, match=r"for the object sphere 50 mm, not for cube 45 mm; give"):
        check_student(policy, contract, **there)


def test_a_session_holds_what_it_is_told(student: Path, tmp_path: Path) -> None:
    run, told = HandRun(object=SPHERE), []
    prepare(run, tmp_path / "run", student)
    assert object_of_run(tmp_path / "run").label == SPHERE.label
    with open_virtual_session(run, tmp_path / "run", told.append) as session:
        result = next(iter(session.episodes(count=1)))
    assert result.steps > 0


def test_a_session_refuses_a_policy_for_another_object(student: Path, tmp_path: Path) -> None:
    run, told = HandRun(), []
    prepare(run, tmp_path / "run", student)
    assert object_of_run(tmp_path / "run") == HeldObject()
    with (
        pytest.raises(ValueError, match="for the object sphere 50 mm, not for cube 45 mm"),
        open_virtual_session(run, tmp_path / "run", told.append),
    ):
        pass


def test_states_for_pictures_are_of_the_object_that_is_asked_for() -> None:
    source = StateSource(load_teacher(), num_envs=4, held=SPHERE)
    states = source.draw(8, 0)
    source.close()
    assert len(states) == 8 and np.isfinite(states.cube_pos).all()
    assert source._twin.held == SPHERE
    np.testing.assert_allclose(source._twin.world.models[0].geom_size[-2], (0.025, 0, 0), atol=2e-3)


def test_eyes_are_told_of_the_object_and_isaac_lab_draws_one_cube_only() -> None:
    assert marks_of(HeldObject()) == CUBE
    assert marks_of(CYLINDER) == MarkedObject("cylinder", 0.05, 0.05)
    with pytest.raises(ValueError, match=r"draw the cube of 45 mm alone, not the sphere 50 mm"):
        check_isaac(SPHERE)
    with pytest.raises(ValueError, match="is for the object cube 45 mm, the session for sphere"):
        refuse_other_marks(CUBE, marks_of(SPHERE), "the detector", "the session")


def test_flags_name_an_object_or_none() -> None:
    assert object_of_flags(None, None, None) is None
    assert object_of_flags("cube", 45.0, None) == HeldObject()
    assert object_of_flags(None, 60.0, None) == HeldObject(size_m=0.06)
    assert object_of_flags("cylinder", 40.0, 60.0) == HeldObject("cylinder", 0.04, 0.06)
    with pytest.raises(ValueError, match=r"'a ball' is no object, such as 'cube 45 mm'"):
        object_named("a ball")
