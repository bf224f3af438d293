"""The same border with robosuite behind it.

    ROBOSUITE_PYTHON=.cache/robosuite/bin/python python -m pytest -m slow tests/robomimic

Left out unless that variable names an interpreter that has `server/requirements.txt` installed.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from sernf_isaac.data.importers.robomimic import load_robomimic
from tasks.robomimic.client import PYTHON_VARIABLE, RobosuiteClient, RobosuiteSettings
from tasks.robomimic.demonstrations import demonstrate, record_demonstrations
from tasks.robomimic.demonstrator import KEYS, OPERATORS
from tasks.robomimic.hdf5 import settings_of
from tasks.robomimic.preset import CAMERAS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(PYTHON_VARIABLE not in os.environ, reason=f"needs {PYTHON_VARIABLE}"),
]

V14_CONTROLLER = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
    "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
    "kp": 150,
    "damping": 1,
    "impedance_mode": "fixed",
    "kp_limits": [0, 300],
    "damping_limits": [0, 10],
    "position_limits": None,
    "orientation_limits": None,
    "uncouple_pos_ori": True,
    "control_delta": True,
    "interpolation": None,
    "ramp_ratio": 0.2,
}
"""The arm's controller as files of robosuite up to 1.4 describe it."""


@pytest.fixture(scope="module")
def lift():
    with RobosuiteClient(RobosuiteSettings()) as client:
        yield client


def test_a_careful_operator_lifts_the_cube_and_a_replay_lifts_it_again(lift):
    shown = demonstrate(lift, OPERATORS[0], np.random.default_rng(0))
    heights = [seen["object"][2] for seen in shown.seen]
    assert shown.succeeded and shown.rewards[-1] == 1.0
    assert heights[-1] - heights[0] > 0.03
    assert "cube" in shown.model_xml
    lift.reset(int(np.random.default_rng(0).integers(2**31)))
    again = [lift.step(action) for action in shown.actions]
    assert [seen.succeeded for seen in again] == shown.successes
    assert np.array_equal([seen.state for seen in again[:-1]], shown.states[1:])


def test_a_start_depends_on_its_seed_alone(lift):
    first = lift.reset(3).state
    lift.step(np.full(7, 0.5))
    assert not np.array_equal(lift.reset(4).state, first)
    assert np.array_equal(lift.reset(3).state, first)
    with RobosuiteClient(RobosuiteSettings(keys=KEYS)) as other:
        seen = other.reset(3)
    assert np.array_equal(seen.state, first) and sorted(seen.observation) == sorted(KEYS)


def test_images_are_upright_and_go_through_a_file(tmp_path: Path):
    """From the front the robot is at the top; the wrist's camera sees its fingers at the bottom."""
    path = tmp_path / "images.hdf5"
    with RobosuiteClient(RobosuiteSettings(cameras=CAMERAS)) as client:
        seen = client.reset(0).observation
        for camera in CAMERAS:
            assert seen[f"{camera}_image"].shape == (84, 84, 3)
        front = seen["agentview_image"].astype(int)
        assert front[:21].mean() < front[-21:].mean() - 20
        wrist = seen["robot0_eye_in_hand_image"].astype(int)
        assert wrist[:21].mean() > wrist[-14:].mean() + 20
        red = (front[..., 0] > 1.5 * front[..., 2]) & (front[..., 0] > 100)
        assert 5 < red.sum() < 400
        record_demonstrations(path, client, 1)
    (episode,) = load_robomimic(path, keys=["agentview_image", "object"])
    assert episode.outcome == "success"
    assert episode.observation["agentview_image"].shape[1:] == (3, 84, 84)
    assert settings_of(path).kwargs["camera_heights"] == 84


@pytest.mark.parametrize(("name", "numbers"), [("PickPlaceCan", 14), ("NutAssemblySquare", 14)])
def test_the_other_tasks_and_files_of_older_robosuite_run(name: str, numbers: int):
    kwargs = {"robots": "Panda", "control_freq": 20, "controller_configs": V14_CONTROLLER}
    with RobosuiteClient(RobosuiteSettings(name, kwargs)) as client:
        first = client.reset(0)
        assert first.observation["object"].shape == (numbers,)
        assert np.array_equal(client.reset(0).state, first.state)
        before = client.step(np.zeros(7)).observation["robot0_eef_pos"]
        for _ in range(10):
            seen = client.step(np.array([0, 0, 0.5, 0, 0, 0, -1.0]))
        assert seen.observation["robot0_eef_pos"][2] > before[2] + 0.05
        assert not seen.succeeded
