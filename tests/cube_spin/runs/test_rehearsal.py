"""Rehearsals: sessions without waiting, the iterations, and what is told of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_student import CRITIC, save_tiny_student

from sernf_isaac.config import ImprovementConfig, LearnerConfig
from sernf_isaac.data.store.channel import first_checkpoint
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.actor.episode import End, EpisodeResult, RunnerSettings
from sernf_isaac.deploy.loop.states import Reason
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.models.build import build_reflex
from sernf_isaac.models.reflex import ReflexConfig
from sernf_isaac.policy import ChunkPolicy, load_policy
from tasks.cube_spin.hand.report import curve_table, point
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun, TwinOptions
from tasks.cube_spin.runs.rehearse import Rehearsal, RehearsalRun
from tasks.cube_spin.student.policy import load_student, save_student
from tasks.orca.hands import FIRST_HAND, load_hand

HAND = HandRun(
    runner=RunnerSettings(max_episode_s=1.5, supported_s=0.5),
    decisions=DecisionSettings(candidates=2),
    twin=TwinOptions(physics="nominal", support_s=0.5),
)
SMALL = RehearsalRun(
    minutes_per_test=0.02,
    hand=HAND,
    minutes_per_iteration=0.03,
    updates_per_iteration=2,
    warm_up_iterations=1,
    offline_iterations=1,
    online_iterations=1,
    rl_batch_size=8,
    learner=LearnerConfig(critic=CRITIC, improvement=ImprovementConfig(sigma=None)),
    log_every=1,
    save_every=2,
)


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("policy") / "student.pt", with_critics=False)


def a_run(student: Path, folder: Path, seed: int) -> tuple[list, np.ndarray]:
    hand = replace(HAND, seed=seed)
    prepare(hand, folder, student)
    with open_virtual_session(hand, folder, lambda _: None) as session:
        results = list(session.episodes(count=2))
    reader = RunReader(folder)
    seen = [reader.load(commit).observation["history"] for commit in reader.commits()]
    return results, np.concatenate(seen)


def test_a_session_that_does_not_wait_is_repeatable_and_stored(student, tmp_path):
    results, seen = a_run(student, tmp_path / "a", seed=0)
    assert [result.underruns for result in results] == [0, 0]
    assert all(0.0 < result.duration_s <= 1.5 for result in results)
    np.testing.assert_array_equal(seen, a_run(student, tmp_path / "b", seed=0)[1])
    other = a_run(student, tmp_path / "c", seed=1)[1]
    assert other.shape != seen.shape or not np.array_equal(other, seen)


def test_time_of_a_real_hand_is_not_skipped(student, tmp_path):
    hand = HandRun(hand="mock", pose="still")
    prepare(hand, tmp_path / "run", student)
    with (
        pytest.raises(ValueError, match="time cannot be skipped for a 'mock' hand"),
        open_virtual_session(hand, tmp_path / "run", lambda _: None),
    ):
        pass


def test_a_rehearsal_tests_before_and_after_learning_and_goes_on_where_it_stopped(
    student, tmp_path
):
    told: list[str] = []

    def stop_after_the_second_test(message: str) -> None:
        told.append(message)
        if sum("turns per minute" in line for line in told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rehearsal(SMALL, student, tmp_path, stop_after_the_second_test).play()
    first = json.loads((tmp_path / "tests/0.json").read_text())
    curve = Rehearsal(SMALL, student, tmp_path, told.append).play()
    assert [row["iteration"] for row in curve] == [0, 1, 2, 3] and curve[0] == first
    assert [row["frozen"] for row in curve] == [False, True, False, False]
    np.testing.assert_allclose([row["real_minutes"] for row in curve], [0.0, 0.03, 0.06, 0.09])
    assert json.loads((tmp_path / "curve.json").read_text())["iterations"] == curve
    commits = RunReader(tmp_path / "robot").commits()
    assert sum(commit.steps for commit in commits) / 20.0 / 60.0 >= 0.09 - 1e-6
    trained = list((tmp_path / "robot/checkpoints").glob("*.json"))
    assert len(trained) == 3  # the student, and one after each iteration that moved the policy
    assert (tmp_path / "curve.png").stat().st_size > 5_000
    tested = [first_checkpoint(tmp_path / f"tests/{number}") for number in range(4)]
    policies = [
        load_policy(test.file.check(tmp_path / f"tests/{i}"))[0] for i, test in enumerate(tested)
    ]
    assert [policy.critics is not None for policy in policies] == [False, True, True, True]


def test_a_student_with_critics_is_tested_after_every_iteration(tmp_path):
    warm = save_tiny_student(tmp_path / "warm.pt", with_critics=True)
    curve = Rehearsal(SMALL, warm, tmp_path / "out", lambda _: None).play()
    assert [row["iteration"] for row in curve] == [0, 1, 2, 3]
    assert not any(row["frozen"] for row in curve)
    trained = list((tmp_path / "out/robot/checkpoints").glob("*.json"))
    assert len(trained) == 4, "what the warm-up learned is published too"


def test_a_session_sends_and_stores_what_the_reflex_makes_of_the_chunk(student, tmp_path):
    calm, _ = load_policy(student)
    layout = replace(calm.layout, reflex=ReflexConfig(bound=0.1, width=4))
    reflex = build_reflex(layout)
    torch.nn.init.constant_(reflex.layers[-1].bias, 100.0)  # always the bound
    pushed = ChunkPolicy(layout, calm.actor, None, calm.normalizer, sigma=calm.sigma, reflex=reflex)
    task, seen = load_student(student).task, load_student(student).observation
    save_student(tmp_path / "pushed.pt", pushed, task, seen, {})
    first = []
    for name, policy in (("calm", student), ("pushed", tmp_path / "pushed.pt")):
        a_run(policy, tmp_path / name, seed=0)
        reader = RunReader(tmp_path / name)
        first.append(reader.load(reader.commits()[0]).action[0])
    upper = np.array(load_hand(FIRST_HAND).driver.upper_rad)
    np.testing.assert_allclose(first[1], np.minimum(first[0] + 0.1, upper), atol=1e-5)


def test_a_rehearsal_does_not_go_on_as_another_one(student, tmp_path):
    Rehearsal(SMALL, student, tmp_path, print)
    Rehearsal(SMALL, student, tmp_path, print)
    with pytest.raises(ValueError, match="began with another 'settings'"):
        Rehearsal(replace(SMALL, seed=1), student, tmp_path, print)
    other = save_tiny_student(tmp_path / "other.pt", with_critics=True)
    with pytest.raises(ValueError, match="began with another 'student'"):
        Rehearsal(SMALL, other, tmp_path, print)


def result(turns: float, seconds: float, outcome: str = "failure") -> EpisodeResult:
    turned = 2.0 * np.pi * turns
    values = (round(20 * seconds), seconds + 3.0, seconds, turned, 4 * turns, 0, 0)
    return EpisodeResult("x", End.DROPPED, outcome, Reason.NONE, *values)


def test_the_numbers_of_a_test():
    row = point([result(1.0, 10.0), result(3.0, 20.0, "timeout"), result(-1.0, 0.0)], wall_s=60.0)
    assert row["rpm_in_hand"] == pytest.approx(6.0) and row["rpm_wall"] == pytest.approx(3.0)
    assert row["turns_per_run"] == pytest.approx(1.0) and row["in_hand_s"] == pytest.approx(10.0)
    assert row["dropped"] == pytest.approx(2 / 3)
    low, high = row["turns_per_run_ci95"]
    assert -1.0 <= low < 1.0 < high <= 3.0
    nothing = point([result(0.0, 0.0)], wall_s=5.0)
    assert nothing["rpm_in_hand"] == 0.0 and nothing["rpm_in_hand_ci95"] == [0.0, 0.0]
    with pytest.raises(ValueError, match="without episodes"):
        point([], wall_s=1.0)


def test_curves_are_told():
    curve = [
        {"real_minutes": 15.0 * k} | point([result(k, 10.0), result(k + 1, 9.0)], wall_s=30.0)
        for k in range(3)
    ]
    lines = curve_table(curve).splitlines()
    assert len(lines) == 4 and lines[3].split()[0] == "30"
