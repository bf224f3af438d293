"""The student as a file and as a run: what it promises, what is refused, what both doors do."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from first_hand import JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, V1
from unused_settings import unused_settings

from sernf_isaac.checkpoint import load_checkpoint, save_checkpoint
from sernf_isaac.config import LearnerConfig, PolicyConfig
from sernf_isaac.learning.distill.config import DistillConfig
from sernf_isaac.metrics import read_metrics
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import ChunkPolicy
from tasks.assets import DEFAULT_STUDENT, DEFAULT_TEACHER
from tasks.cube_spin.config import EpisodeConfig
from tasks.cube_spin.evaluation.metrics import to_json
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate, load_any
from tasks.cube_spin.student import settings as settings
from tasks.cube_spin.student.environment import GROUPS
from tasks.cube_spin.student.policy import (
    Student,
    is_student,
    load_student,
    student_normalizer,
)
from tasks.cube_spin.teacher.policy import TeacherPolicy

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "distill.py"


def tiny_run() -> settings.StudentRun:
    """Short episodes, a flow of a few thousand weights."""
    return settings.StudentRun(
        num_envs=3,
        batch_size=8,
        episode=EpisodeConfig(length_s=2.0, support_s=(1.0, 1.5)),
        distill=DistillConfig(
            iterations=2,
            rollout_steps=10,
            updates_per_iteration=2,
            teacher_decay=0.5,
            save_every=1,
        ),
        learner=LearnerConfig(
            policy=PolicyConfig(token_dim=16, width=16, num_couplings=3, num_heads=2)
        ),
        eval_every=0,
    )


@pytest.fixture(scope="module")
def student_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of two iterations."""
    torch.set_num_threads(1)
    path = distil(tiny_run(), tmp_path_factory.mktemp("runs"), threads=1)
    assert path is not None
    return path


def test_a_run_leaves_a_student_its_numbers_and_its_settings(student_file: Path) -> None:
    folder = student_file.parent
    assert {"student.pt", "config.yaml", "metrics.csv", "training_state.pt"} <= {
        path.name for path in folder.iterdir()
    }
    assert len(read_metrics(folder, "distill/nll")) == 2
    assert not read_metrics(folder, "eval/rpm_in_hand"), "switched off"
    assert {name for name in JOINT_NAMES if read_metrics(folder, f"action_error/{name}")} == set(
        JOINT_NAMES
    )
    assert settings.load_run(folder).distill.rollout_steps == 10
    notes = load_checkpoint(student_file).config["notes"]
    assert notes["iteration"] == 2 and notes["run"]["seed"] == 0


def test_every_setting_is_used_or_refused(tmp_path: Path) -> None:
    run = replace(tiny_run(), eval_every=1, eval_episodes=3)
    run.episode.length_s = 0.6
    unused = unused_settings(run, lambda: distil(run, tmp_path, threads=1))
    in_file = ["spec.discount", "spec.drop_early_terminals", "learner.policy.rl_dropout"]
    assert unused == in_file, "which fine-tuning reads from the file"
    (file,) = tmp_path.glob("*/student.pt")
    layout = load_checkpoint(file).config["layout"]
    assert layout["policy"]["rl_dropout"] == 0.1 and layout["spec"]["discount"] == 0.997
    assert layout["spec"]["drop_early_terminals"] is False


@pytest.mark.parametrize(("every", "at"), [(1, [1, 2]), (100, [2])])
def test_a_run_is_judged_on_the_way_and_in_the_end_and_its_teacher_once(
    tmp_path: Path, every: int, at: list[int]
) -> None:
    path = distil(replace(tiny_run(), eval_every=every, eval_episodes=1), tmp_path, threads=1)
    assert path is not None
    for name in ("rpm_in_hand", "spin_ratio", "drop_fraction", "drops_per_minute"):
        assert [step for step, _ in read_metrics(path.parent, f"eval/{name}")] == at
        assert [step for step, _ in read_metrics(path.parent, f"eval_teacher/{name}")] == at[:1]
    best = read_metrics(path.parent, "eval_teacher/rpm_in_hand")[0][1]
    assert best > 2.0, "it sees the truth and turns the cube"


def test_a_gaussian_student_is_a_student_like_any_other(tmp_path: Path) -> None:
    path = distil(replace(tiny_run(), kind="gaussian"), tmp_path, threads=1)
    assert path is not None
    student = load_student(path)
    assert student.policy.layout.architecture.kind == "gaussian"
    result, _ = evaluate(EvaluationRequest(path, episodes=1, threads=1, pose_noise=True))
    assert result["episodes"] == 1
    with pytest.raises(ValueError, match="kind must be 'flow' or 'gaussian', not 'act'"):
        replace(tiny_run(), kind="act")


def test_an_interrupted_distillation_ends_with_the_same_student(
    tmp_path: Path, student_file: Path
) -> None:
    half = tiny_run()
    half.distill.final_learning_rate = 1.0  # constant, so that a shorter run is a beginning
    half.distill.iterations = 1
    first = distil(half, tmp_path, threads=1)
    assert first is not None
    distil(tiny_run(), tmp_path, threads=1, resume=first.parent)
    whole, parts = load_checkpoint(student_file), load_checkpoint(first)
    assert whole.weights.keys() == parts.weights.keys()
    for name, weight in whole.weights.items():
        assert torch.equal(weight, parts.weights[name]), name


def test_a_file_gives_the_student_that_was_saved(student_file: Path) -> None:
    student = load_student(student_file, candidates=2, seed=3)
    again = load_student(student_file, candidates=2, seed=3)
    groups = {"history": torch.randn(5, 4, 24), "command": torch.randn(5, 34)}
    groups |= {"goal": torch.randn(5, 1), "hold": torch.randn(5, 17)}
    groups["fresh"] = torch.ones(5, dtype=torch.bool)
    assert torch.equal(student(groups), groups["hold"]), "the first two steps hold still"
    groups["fresh"][:] = False
    assert torch.equal(student(groups), groups["hold"])
    planned = student(groups)
    again(groups | {"fresh": torch.ones(5, dtype=torch.bool)})
    again(groups)
    assert torch.equal(again(groups), planned)
    lower, upper = torch.from_numpy(JOINT_LOWER), torch.from_numpy(JOINT_UPPER)
    assert (planned >= lower - 1e-6).all() and (planned <= upper + 1e-6).all()


def test_both_kinds_of_file_come_through_one_door(student_file: Path) -> None:
    assert is_student(student_file) and not is_student(DEFAULT_TEACHER)
    assert isinstance(load_any(student_file), Student)
    assert isinstance(load_any(DEFAULT_TEACHER), TeacherPolicy)


def changed(source: Path, target: Path, **contract: object) -> Path:
    """A copy of a policy file that promises something else."""
    content = load_checkpoint(source)
    save_checkpoint(
        target,
        contract=replace(content.contract, **contract),
        config=content.config,
        weights=content.weights,
    )
    return target


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"control_rate_hz": 30.0}, r"control_rate_hz is 30.0, expected 20"),
        ({"joint_names": JOINT_NAMES[::-1]}, "joint_names"),
        ({"observations": {"history.joint_pos": 17}}, "cube_rotation_of_24"),
    ],
)
def test_a_student_of_another_hand_is_refused(
    student_file: Path, tmp_path: Path, contract: dict, message: str
) -> None:
    path = changed(student_file, tmp_path / "other.pt", **contract)
    with pytest.raises(ValueError, match=message):
        load_student(path)


def test_a_chunk_policy_of_another_task_is_refused(student_file: Path, tmp_path: Path) -> None:
    student = load_student(student_file)
    policy, contract = student.policy, load_checkpoint(student_file).contract
    ChunkPolicy(policy.layout, policy.actor, None, policy.normalizer).save(
        tmp_path / "p.pt", contract, {}
    )
    with pytest.raises(ValueError, match=r"no student of the cube spin.*task"):
        load_student(tmp_path / "p.pt")


def test_limits_are_the_ends_of_the_scale() -> None:
    normalizer = student_normalizer(V1)
    for value in (JOINT_UPPER, JOINT_LOWER):
        scaled = normalizer.normalize("action", torch.from_numpy(value).float())
        torch.testing.assert_close(scaled.abs(), torch.ones(17))
    turned = torch.tensor([0.0, 0.0, np.sin(0.2), np.cos(0.2)]).expand(1, 4)
    joints = torch.tensor(V1.typical_rad)[None]
    for symmetric, z in ((True, np.sin(0.2) / 0.45), (False, np.sin(0.2))):
        normalizer = student_normalizer(V1, symmetric_rotation=symmetric)
        row = torch.cat([joints, torch.zeros(1, 3), turned], dim=1).float()
        scaled = normalizer.normalize("history", row)[0]
        torch.testing.assert_close(scaled[:20], torch.zeros(20))
        assert scaled[22] == pytest.approx(z) and scaled[23].abs() <= 1
    assert set(GROUPS) < set(normalizer.groups)


# Evaluation ---------------------------------------------------------------------------------------


def test_the_protocol_plays_students_too(student_file: Path) -> None:
    request = EvaluationRequest(
        student_file, episodes=2, num_envs=2, threads=1, candidates=2, sigma=0.1, pose_noise=True
    )
    result, records = evaluate(request)
    again, _ = evaluate(request)
    assert to_json(result) == to_json(again)
    assert len(records) == result["episodes"] == 2
    assert (result["policy"], result["candidates"], result["sigma"]) == ("student.pt", 2, 0.1)
    assert result["pose_noise"] is True and "rpm_in_hand_ci95" in result


def test_a_teacher_cannot_be_shown_a_noisy_pose() -> None:
    with pytest.raises(ValueError, match="pose_noise is for students"):
        evaluate(EvaluationRequest(DEFAULT_TEACHER, pose_noise=True))


def test_ranking_by_value_needs_critics(student_file: Path) -> None:
    with pytest.raises(ValueError, match="no critics yet"):
        evaluate(EvaluationRequest(student_file, episodes=1, rank="value", threads=1))


# The script ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill.teacher_decai=0.9"], "did you mean 'distill.teacher_decay'"),
        (["distill.teacher_decay=1.9"], r"teacher_decay \(1.9\) must be in 0..1"),
        (["--resume", "nowhere", "seed=3"], "a resumed run keeps its settings"),
        (["--resume", "nowhere"], "--resume nowhere: no such folder"),
        (["--teacher", "nobody.pt"], "no policy file at .*nobody.pt"),
    ],
)
def test_the_script_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    fixed = ["distill.py", "--sim", "twin", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", fixed + arguments)
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("wide", lambda run: run.command.both_directions and run.distill.learns == "all"),
        ("reflex", lambda run: run.reflex.bound > 0.0 and run.distill.teacher_share == 0.0),
        ("blind", lambda run: not run.observation.camera and run.spec.history > 4),
        ("small", lambda run: run.distill.teacher_decay < 0.95 and run.num_envs < 1024),
        ("paper", lambda run: (run.num_envs, run.distill.teacher_decay) == (1024, 0.999)),
    ],
)
def test_presets_are_what_they_are_called(name: str, check) -> None:
    assert check(settings.preset(name))


def test_an_unknown_preset_or_simulator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be one of .*'wide'.*, not 'huge'"):
        settings.preset("huge")
    with pytest.raises(ValueError, match="'twin' or 'isaac', not 'gazebo'"):
        distil(tiny_run(), tmp_path, sim="gazebo")


def test_a_reflex_is_learned_behind_a_students_chunks(student_file: Path, tmp_path: Path) -> None:
    run = tiny_run()
    reflex = {"reflex": ReflexConfig(bound=0.2, width=8), "start_from": str(student_file)}
    run = replace(run, **reflex, distill=replace(run.distill, learns="reflex"))
    path = distil(run, tmp_path, threads=1)
    assert path is not None
    first, second = load_student(student_file).policy, load_student(path).policy
    assert first.reflex is None and second.reflex is not None
    theirs = second.actor.state_dict()
    assert all(torch.equal(theirs[k], v) for k, v in first.actor.state_dict().items())
    assert load_checkpoint(path).config["notes"]["run"]["start_from"] == student_file.name
    with pytest.raises(ValueError, match=r"has a reflex of .*'bound': 0\.2"):
        distil(replace(run, start_from=str(path), reflex=ReflexConfig(0.1)), tmp_path, threads=1)
    with pytest.raises(ValueError, match=r"give start_from=STUDENT\.pt"):
        distil(replace(run, start_from=""), tmp_path, threads=1)


def test_the_shipped_student_is_whole_and_turns_the_cube() -> None:
    assert is_student(DEFAULT_STUDENT) and DEFAULT_STUDENT.stat().st_size < 8e6
    request = EvaluationRequest(DEFAULT_STUDENT, episodes=8, num_envs=8, seed=7)
    summary, _ = evaluate(request)
    assert float(summary["hold_median_s"]) > 10.0 and 0.4 < float(summary["spin_ratio"]) < 1.2
