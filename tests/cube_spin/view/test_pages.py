"""Pages for browsers: what they draw is where it is, and a slider steers the twin."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
import torch

from sernf_isaac.data.store.channel import publish_first
from sernf_isaac.data.store.writer import create_run
from tasks.assets import DEFAULT_STUDENT, DEFAULT_TEACHER
from tasks.cube_spin.runs import play
from tasks.cube_spin.runs.evaluate import load_any
from tasks.cube_spin.view import session_page
from tasks.cube_spin.view.bars import bars
from tasks.cube_spin.view.scene import HandScene, open_server
from tasks.cube_spin.view.session_page import SessionPage, hand_of_run
from tasks.cube_spin.view.twin_page import TwinPage
from tasks.orca.hands import FIRST_HAND, load_hand

ROOT = Path(__file__).resolve().parents[3]
HAND = load_hand(FIRST_HAND)


@pytest.fixture
def server():
    pytest.importorskip("viser", reason="needs the extra 'viewer'")
    opened = open_server(0, "test")
    yield opened
    opened.stop()


def test_bars_are_as_long_as_scores_are_good():
    drawn = bars(np.array([1.0, 3.0, 2.0]), "value")
    widths = [float(part.split('"')[0]) for part in drawn.split('width="')[2:]]
    assert widths == sorted(widths, reverse=True) and len(widths) == 3
    assert widths[1] - widths[2] == pytest.approx(widths[0] - widths[1])
    assert "best 3" in drawn and "of 3 the least 1" in drawn
    assert "none" in bars(np.zeros(0), "value") and "<rect" in bars(np.zeros(1), "value")


def test_the_scene_is_where_the_joints_are(server):
    scene = HandScene(server, HAND)
    joints = np.array(HAND.typical_rad)
    scene.show_hand(joints)
    data = mujoco.MjData(scene.model)
    data.qpos[: len(joints)] = joints
    mujoco.mj_forward(scene.model, data)
    for body, frame in scene._frames.items():
        np.testing.assert_allclose(frame.position, data.xpos[body], atol=1e-6)
        np.testing.assert_allclose(frame.wxyz, data.xquat[body], atol=1e-6)
    assert len(scene._frames) > 17
    plan = np.stack([joints, joints + 0.1, joints + 0.2])
    scene.show_plan(plan)
    assert scene._plan.points.shape == (2 * 5, 2, 3)
    tip = (
        data.xpos[scene._tips[0]]
        + data.xmat[scene._tips[0]].reshape(3, 3) @ (HAND.fingertip_centres_m[0])
    )
    np.testing.assert_allclose(scene._plan.points[0, 0], tip, atol=1e-6)
    scene.show_plan(np.zeros((0, 0)))
    assert not len(scene._plan.points)
    assert not scene._estimate.visible
    scene.show_estimate(np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0]))
    assert scene._estimate.visible and scene._estimate.position.tolist() == [0.1, 0.2, 0.3]
    scene.show_estimate(None)
    assert not scene._estimate.visible


@pytest.mark.parametrize("file", [DEFAULT_TEACHER, DEFAULT_STUDENT])
def test_a_slider_steers_the_twin(server, file):
    policy = load_any(file)
    twin, env = play._stage(policy, 3, "nominal", 1.0, 1.0)
    page = TwinPage(server, policy, twin, env)
    for _ in range(3):
        page.step()
    assert float(twin.command[0]) == pytest.approx(1.0)
    page._command(-0.5)  # what the slider calls
    for _ in range(6):
        page.step()
    assert float(twin.command[0]) == pytest.approx(-0.5)
    scene = page.scene
    assert scene._cube.visible and scene._platform.visible
    place = twin.world.state[0, 1 + 17 : 1 + 20]
    np.testing.assert_allclose(scene._cube.position, place, atol=1e-6)
    student = file == DEFAULT_STUDENT
    assert scene._estimate.visible == student and bool(len(scene._plan.points)) == student
    if student:
        np.testing.assert_allclose(scene._estimate.position, place, atol=0.05)
    assert "of -0.50 rad/s" in page._told()


def test_more_candidates_are_ranked_by_value_where_there_are_critics():
    student = load_any(DEFAULT_STUDENT)
    for critics, expected in ((None, 1), (torch.nn.Identity(), play.CANDIDATES)):
        chunks = SimpleNamespace(
            critics=critics, device=torch.device("cpu"), layout=student.policy.layout
        )
        chunks.decide, chunks.correct = student.policy.decide, student.policy.correct
        same = SimpleNamespace(policy=chunks, task=student.task, observation=student.observation)
        decide = play.choosing(same, None)._act._decide
        rank = "value" if critics else "likelihood"
        assert (decide.keywords["candidates"], decide.keywords["rank"]) == (expected, rank)
        assert play.choosing(same, 7)._act._decide.keywords["candidates"] == 7


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path / "run", {"control_rate_hz": 20.0})
    publish_first(tmp_path / "run", DEFAULT_STUDENT)
    return tmp_path / "run"


def view(**changes):
    seen = {
        "wall_s": 0.0,
        "state": "FOLLOW",
        "reason": "NONE",
        "eid": "one",
        "since_start_s": 2.5,
        "joint_pos": list(HAND.typical_rad),
        "pose": [*HAND.grasp_point_m, 0.6, 0.0, 0.0, 0.8],
        "planned": [list(HAND.typical_rad)] * 3,
        "scores": [1.0, 2.0],
        "turned_rad": 6.2832,
    }
    return json.dumps(seen | changes)


def test_a_session_is_seen_from_its_folder_and_nothing_is_written_there(server, run):
    hand = hand_of_run(run)
    assert hand.name == FIRST_HAND
    page = SessionPage(server, run, "actor", hand)
    before = sorted(run.rglob("*"))
    page.look(0.0)
    assert "has shown anything" in page.text.content and "need a label" in page.status.content
    assert sorted(run.rglob("*")) == before
    (run / "live").mkdir()
    (run / "live/actor.json").write_text(view())
    page.look(1.0)
    assert "FOLLOW" in page.text.content and "s ago" in page.text.content
    assert "+1.00 turns in one" in page.text.content
    scene = page.scene
    np.testing.assert_allclose(scene._estimate.wxyz, [0.8, 0.6, 0.0, 0.0])
    assert scene._estimate.visible and not scene._cube.visible and len(scene._plan.points) == 10
    assert "best 2" in scene._bars.content
    between = view(eid="", pose=[], planned=[], scores=[], state="OFF", reason="STOPPED")
    (run / "live/actor.json").write_text(between)
    page.look(2.0)
    assert "OFF" in page.text.content and "STOPPED" in page.text.content
    assert not scene._estimate.visible and not len(scene._plan.points)


def test_a_run_without_a_policy_is_told(tmp_path):
    create_run(tmp_path / "run", {})
    with pytest.raises(ValueError, match="has no policy yet"):
        hand_of_run(tmp_path / "run")


def test_watch_opens_the_page_of_a_run(run, monkeypatch, capsys):
    pytest.importorskip("viser", reason="needs the extra 'viewer'")

    def once(page):
        page.look(0.0)
        raise SystemExit

    monkeypatch.setattr(session_page.SessionPage, "run", once)
    monkeypatch.setattr(sys, "argv", ["watch.py", "--run", str(run), "--port", "0"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "scripts/watch.py"), run_name="__main__")
    assert "page -> http://127.0.0.1:" in capsys.readouterr().out
