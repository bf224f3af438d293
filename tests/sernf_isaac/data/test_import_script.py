"""The command line: bags into a store, out as a LeRobot data set, and back."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from bags import HAND, POSE, usual, write

from sernf_isaac.data.sources import load_episodes

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/import_data.py"
LAYOUT = """
observation:
  pose: [{topic: /arm/pose}]
  wrist: [{topic: /wrist/image_raw/compressed, height: 16, width: 16}]
action: [{topic: /hand/command, joints: [wrist, index_mcp]}]
reward: {topic: /operator/reward, clock: receive}
"""


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs the script; returns what it printed, or what it ended with."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            return f"{end.code}{capsys.readouterr().err}"
        return capsys.readouterr().out

    return run


@pytest.fixture
def bags_and_layout(tmp_path):
    """Two good bags and one without the arm's pose."""
    good = [write(tmp_path / f"demo_{i}", usual(), s) for i, s in enumerate(("mcap", "sqlite3"))]
    without = {name: topic for name, topic in usual().items() if name != POSE}
    (tmp_path / "layout.yaml").write_text(LAYOUT)
    return good, write(tmp_path / "bad", without), tmp_path / "layout.yaml"


def test_bags_go_in_and_a_lerobot_data_set_comes_out(script, bags_and_layout, tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra 'lerobot'")
    good, bad, layout = bags_and_layout
    assert f"{HAND:40s} sensor_msgs/msg/JointState" in script("topics", good[0])
    out = tmp_path / "demos"
    options = ("--layout", layout, "--out", out, "--threads", 1)
    said = script("bags", *good, bad, *options)
    assert said.startswith("error: 1 of 3 could not be read") and f"bad: no topic {POSE}" in said
    assert not out.exists()
    said = script("bags", *good, bad, *options, "--skip_bad", "--outcome", "success")
    assert f"left out: {bad}: no topic {POSE}" in said and f"2 episodes -> {out}" in said
    assert f"demo_0 and 1 more: {POSE}: rotations come to 0.004 of where" in said
    assert json.loads((out / "run.json").read_text())["layout"]["rate_hz"] == 10.0
    first, second = load_episodes([str(out)], []).values()
    assert len(first) == len(second) == 100 and first.outcome == "success"
    assert sorted(first.observation) == ["pose", "wrist", "wrist_age_s"]

    assert "2 episodes, 200 frames" in script("export", out, "--to", tmp_path / "le", "--png")
    back = ("lerobot", tmp_path / "le", "--out", tmp_path / "back", "--keys", "pose", "wrist")
    assert "2 episodes ->" in script(*back, "--image_size", 8, 8)
    again = next(iter(load_episodes([str(tmp_path / "back")], []).values()))
    assert again.observation["wrist"].shape == (100, 3, 8, 8)
    assert (again.action == first.action).all() and (again.reward == first.reward).all()


def test_mistakes_end_with_one_line(script, bags_and_layout, tmp_path):
    (good, _), _, layout = bags_and_layout
    options = ("--layout", layout, "--out", tmp_path / "out")
    assert "demo_0 exists" in script("bags", good, "--layout", layout, "--out", good)
    assert script("bags", good, good, *options) == f"error: named twice: {good}"
    assert "no bag at" in script("bags", tmp_path / "none", *options)
    assert "--threads: must be a whole number of at least 1" in script(
        "bags", good, *options, "--threads", 0
    )
    assert "no data set at" in script(
        "robomimic", layout.with_suffix(".x"), "--keys", "a", *options[2:]
    )
    assert "is no run" in script("export", tmp_path, "--to", tmp_path / "out")
