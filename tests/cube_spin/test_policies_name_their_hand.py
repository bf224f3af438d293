"""Policies say for which hand they are; another hand refuses them by name."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_hand import V1
from tiny_student import save_tiny_student

from sernf_isaac.checkpoint import load_checkpoint, read_whole, write_whole
from sernf_isaac.policy import load_policy
from sernf_isaac.spec import Contract
from tasks.cube_spin.config import TaskConfig, tuned_task
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import check_student
from tasks.cube_spin.hand.which_hand import with_model
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.student.policy import load_student
from tasks.cube_spin.teacher.policy import TeacherPolicy, load_teacher, save_teacher
from tasks.orca.hands import hand_of_run, load_hand

V2 = load_hand("orca_v2_right")


def a_teacher(task: TaskConfig) -> TeacherPolicy:
    constants = task_constants(task)
    sizes = sum(observation_sizes(task.observation, load_hand(task.hand)).values())
    return TeacherPolicy(task, constants.action_centre, constants.action_scale, (8,), sizes)


@pytest.fixture
def teacher_of_v2(tmp_path: Path) -> Path:
    save_teacher(tmp_path / "v2.pt", a_teacher(replace(tuned_task(), hand=V2.name)), {})
    return tmp_path / "v2.pt"


@pytest.fixture(scope="module")
def student_of_v2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("policy") / "student.pt", hand=V2)


def without_hand(path: Path) -> Path:
    """The file as it was before hands had names."""
    content = read_whole(path)
    assert isinstance(content, dict)
    del content["contract"]["hand"]
    kept = content["config"] if "task" in content["config"] else content["config"]["notes"]
    del kept["task"]["hand"]
    write_whole(path, content)
    return path


def test_policies_that_name_no_hand_are_for_the_first_one(tmp_path: Path) -> None:
    save_teacher(tmp_path / "teacher.pt", a_teacher(tuned_task()), {})
    teacher = without_hand(tmp_path / "teacher.pt")
    student = without_hand(save_tiny_student(tmp_path / "student.pt"))
    assert load_checkpoint(teacher).contract.hand == load_checkpoint(student).contract.hand == ""
    assert load_teacher(teacher).task.hand == load_student(student).task.hand == V1.name
    check_student(*load_policy(student), hand=V1, symmetric_rotation=True, smoothing=0.5)
    with pytest.raises(ValueError, match="for the hand orca_v1_right, not for orca_v2_right"):
        check_student(*load_policy(student), hand=V2, symmetric_rotation=True, smoothing=0.5)


def test_a_teacher_keeps_its_hand(teacher_of_v2: Path) -> None:
    contract = load_checkpoint(teacher_of_v2).contract
    assert contract.hand == V2.name and contract.joint_names == V2.joint_names
    teacher = load_teacher(teacher_of_v2)
    assert teacher.task.hand == V2.name
    assert teacher.constants.cube_origin.tolist() == pytest.approx(V2.grasp_point_m)


def test_a_teacher_that_contradicts_its_own_task_is_refused(teacher_of_v2: Path) -> None:
    content = read_whole(teacher_of_v2)
    assert isinstance(content, dict)
    content["contract"]["hand"] = V1.name
    write_whole(teacher_of_v2, content)
    with pytest.raises(ValueError, match="hand is orca_v1_right, expected orca_v2_right"):
        load_teacher(teacher_of_v2)


def test_a_students_hand_is_asked_for_by_name(student_of_v2: Path) -> None:
    policy, contract = load_policy(student_of_v2)
    for_v2 = {"symmetric_rotation": True, "smoothing": 0.5, "hand": V2}
    check_student(policy, contract, **for_v2)
    with pytest.raises(ValueError, match="for the hand orca_v2_right, not for orca_v1_right"):
        check_student(policy, contract, **(for_v2 | {"hand": V1}))


def test_a_contract_may_lack_a_hand_but_nothing_else() -> None:
    values = Contract("a", "b", ("j",), (0.0,), (1.0,), 20.0, "xyzw", {}, {}, hand="h").to_dict()
    without = {name: value for name, value in values.items() if name != "hand"}
    assert Contract.from_dict(without).hand == "" and Contract.from_dict(values).hand == "h"
    assert Contract.from_dict(values).to_dict() == values
    with pytest.raises(ValueError, match=r"lacks .*task"):
        Contract.from_dict({name: v for name, v in values.items() if name != "task"})


def test_a_session_takes_the_hand_of_its_policy(student_of_v2: Path, tmp_path: Path) -> None:
    run, told = HandRun(), []
    prepare(run, tmp_path / "run", student_of_v2)
    assert with_model(run, tmp_path / "run").model == V2.name
    assert hand_of_run(tmp_path / "run") is V2
    with open_virtual_session(run, tmp_path / "run", told.append) as session:
        result = next(iter(session.episodes(count=1)))
    assert result.steps > 0 and f"the hand is {V2.name} (twin)" in told


def test_a_policy_for_another_hand_than_there_is_does_not_begin_a_run(
    student_of_v2: Path, tmp_path: Path
) -> None:
    orca_core = pytest.importorskip("orca_core", reason="needs the extra 'hand'")
    config = Path(orca_core.__file__).parent / "models/v1/orcahand-right/config.yaml"
    run = HandRun(hand="mock", pose="still", hand_config=str(config))
    with pytest.raises(ValueError, match=r"student\.pt is for the hand orca_v2_right, not"):
        prepare(run, tmp_path / "run", student_of_v2)
    named = HandRun(model="orca_v2_left")
    with pytest.raises(ValueError, match="is for the hand orca_v2_right, not for orca_v2_left"):
        prepare(named, tmp_path / "run", student_of_v2)
    both = replace(run, model="orca_v2_right")
    with pytest.raises(ValueError, match="is of the hand orca_v1_right, but model says orca_v2"):
        prepare(both, tmp_path / "run", student_of_v2)


def test_environments_do_not_change_hands_while_running(make_twin) -> None:
    twin = make_twin(2)
    with pytest.raises(ValueError, match="only command and episode"):
        twin.use_task(replace(twin.task, hand=V2.name))
    with pytest.raises(ValueError, match="hand = 'orca_v9'"):
        TaskConfig(hand="orca_v9")
    assert torch.isfinite(twin.step(torch.zeros(2, 17))[1]).all()
