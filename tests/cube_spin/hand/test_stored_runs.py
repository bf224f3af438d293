"""Stored episodes say the same as the session that recorded them."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_student import save_tiny_student

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.steps import Step, StepLayout
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.actor.episode import RunnerSettings
from sernf_isaac.deploy.actor.recorder import log_layout
from sernf_isaac.deploy.policy.local import DecisionSettings
from tasks.cube_spin.hand.report import point, run_report, run_table
from tasks.cube_spin.hand.session import open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun, TwinOptions

SUPPORT_S = 0.475  # between two control steps
HAND = HandRun(
    runner=RunnerSettings(max_episode_s=1.5, supported_s=SUPPORT_S),
    decisions=DecisionSettings(candidates=2),
    twin=TwinOptions(physics="nominal", support_s=SUPPORT_S),
)


def test_a_report_equals_what_the_session_counted(tmp_path):
    student = save_tiny_student(tmp_path / "student.pt", with_critics=False)
    run = tmp_path / "run"
    prepare(HAND, run, student)
    with open_virtual_session(HAND, run, lambda _: None) as session:
        results = list(session.episodes(count=3))
        wall_s = session.totals.wall_s
    (row,) = run_report(run, supported_s=SUPPORT_S)
    counted = point(results, wall_s)
    assert row["runs"] == 3
    assert row["turns_per_run"] == pytest.approx(counted["turns_per_run"], abs=1e-3)
    assert row["in_hand_s"] == pytest.approx(counted["in_hand_s"], abs=1e-3)
    assert row["dropped"] == counted["dropped"]
    assert row["rpm_wall"] == pytest.approx(counted["rpm_wall"], rel=0.3, abs=0.3)
    assert row["policy"] in run_table([row])


def test_a_run_is_judged_by_its_times_and_not_by_its_rate(tmp_path):
    """A control loop that slips: every step takes twice as long as the rate says."""
    run = tmp_path / "run"
    create_run(run, {"task": "test", "control_rate_hz": 20.0})
    layout = log_layout({"goal": 1}, 2, "p")
    angles = 0.2 * np.arange(101)  # 2 rad/s in 10 s
    with RunWriter(run, "robot") as writer:
        episode = writer.begin(layout)
        for step, angle in enumerate(angles[:-1]):
            episode.append(Step(seen(angle, step), np.zeros(2)), 1000.0 + 0.1 * step)
        episode.finish("timeout", seen(angles[-1], 100))
    (row,) = run_report(run)
    assert row["in_hand_s"] == pytest.approx(10.0, abs=1e-4)
    assert row["rpm_in_hand"] == pytest.approx(2.0 / (2 * np.pi) * 60.0, rel=1e-3)
    (row,) = run_report(run, supported_s=4.0)  # it was placed 1 s before
    assert row["in_hand_s"] == pytest.approx(7.0, abs=1e-4)


def seen(angle: float, step: int) -> dict[str, np.ndarray]:
    pose = np.array([0, 0, 0, 0, 0, np.sin(angle / 2), np.cos(angle / 2)])
    timing = np.array([0, 0, 0, 0, 0, 0.1 * step, 1.0 + 0.1 * step])
    return {"goal": np.ones(1), "log_pose": pose, "log_sent": np.zeros(2), "log_timing": timing}


def test_older_episodes_are_judged_by_the_times_of_their_commits(tmp_path):
    run = tmp_path / "run"
    create_run(run, {"task": "test", "control_rate_hz": 20.0})
    layout = StepLayout({"goal": 1, "log_pose": 7}, 2)
    with RunWriter(run, "robot") as writer:
        episode = writer.begin(layout)
        for step in range(100):
            kept = {name: seen(0.2 * step, step)[name] for name in layout.observation}
            episode.append(Step(kept, np.zeros(2)), 1000.0 + 0.1 * step)
        episode.finish("timeout")
    (row,) = run_report(run)
    assert row["in_hand_s"] == pytest.approx(10.0)


def turning(goal: float, rad_s: float, steps: int = 100) -> Episode:
    """A cube that turns about the vertical for 5 s and is dropped."""
    half = 0.5 * rad_s * np.arange(steps) / 20.0
    pose = np.zeros((steps, 7))
    pose[:, 5], pose[:, 6] = np.sin(half), np.cos(half)
    return Episode(
        observation={"log_pose": pose, "goal": np.full((steps, 1), goal)},
        action=np.zeros((steps, 2)),
        reward=np.zeros(steps),
        terminated=np.arange(steps) == steps - 1,
        outcome="failure",
    )


@pytest.mark.parametrize("goal", [1.0, -1.0])
def test_turns_count_in_the_commanded_direction_and_only_in_the_hand(tmp_path, goal):
    run = tmp_path / "run"
    create_run(run, {"task": "test", "control_rate_hz": 20.0})
    with RunWriter(run, "robot") as writer:
        writer.commit(turning(goal, rad_s=2.0))
    (row,) = run_report(run, supported_s=2.0)
    assert row["in_hand_s"] == pytest.approx(3.0)
    assert row["turns_per_run"] == pytest.approx(np.sign(goal) * 3.0 * 2.0 / (2 * np.pi), abs=0.02)
    assert row["drops_per_minute"] == pytest.approx(20.0)


def test_what_no_hand_recorded_is_refused(tmp_path):
    run = tmp_path / "run"
    create_run(run, {"task": "test"})
    with pytest.raises(ValueError, match="no finished episodes"):
        run_report(run)
    episode = turning(1.0, 1.0)
    with RunWriter(run, "robot") as writer:
        writer.commit(replace(episode, observation={"goal": episode.observation["goal"]}))
    with pytest.raises(ValueError, match=r"lacks \['log_pose'\]"):
        run_report(run)
