"""A whole session on each of orca_core's v2 mocks: what is recorded is what the hand has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sernf_isaac.data.store.reader import RunReader

orca_core = pytest.importorskip("orca_core", reason="needs the extra 'hand'")
pytestmark = pytest.mark.slow

MODELS = Path(orca_core.__file__).parent / "models/v2"
KINDS = ("", "joint-", "touch-", "full-")
NAMES = [f"orcahand-{kind}{side}" for side in ("right", "left") for kind in KINDS]
HELPERS = Path(__file__).resolve().parents[2] / "helpers"
ALWAYS = {"log_pose": 7, "log_sent": 17, "log_timing": 7}
ENCODERS = {"log_motor_pos": 17, "log_measured": 17}
TOUCH = {"log_touch": 15, "log_touch_age_s": 1}
LEAST_STEP_RAD = 2.0e-4
"""Half a step of an encoder."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict], Path]:
    """What came of all eight, by the model's name, and where the runs are."""
    folder = tmp_path_factory.mktemp("sessions")
    paths = [str(MODELS / name / "config.yaml") for name in NAMES]
    script = str(HELPERS / "orca_mock_sessions.py")
    places = os.pathsep.join([str(HELPERS), *(entry for entry in sys.path if entry)])
    done = subprocess.run(
        [sys.executable, script, str(folder), *paths],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" ")[2] for line in done.stdout.splitlines() if "played " in line[:7]]
    return {found["model"]: found for found in map(json.loads, lines)}, folder


@pytest.mark.parametrize("name", NAMES)
def test_a_session_records_what_the_model_measures(name: str, played) -> None:
    found = played[0][name]
    encoders, touch = ("joint" in name or "full" in name), ("touch" in name or "full" in name)
    assert found["steps"] == 20 and found["outcome"] == "timeout", found
    assert found["off"] and found["error"] == ""
    assert found["sizes"] == ALWAYS | (ENCODERS if encoders else {}) | (TOUCH if touch else {})
    assert found["measured"] == (1.0 if encoders else None)
    if encoders:
        assert 0.0 < found["from_motors"] < LEAST_STEP_RAD, "an encoder's angle has steps"
        assert "joint angles are measured by encoders on 17 of 17 joints" in found["told"]
    else:
        assert not any("encoders" in message for message in found["told"])
    if touch:
        assert found["touch"][3:6] == pytest.approx([0.5, -0.2, 3.0], abs=1e-6)
        assert found["plotted_touch"][-1] == pytest.approx(3.0)
    else:
        assert found["plotted_touch"] is None


@pytest.mark.parametrize("name", NAMES)
def test_the_run_says_what_its_columns_are(name: str, played) -> None:
    run = played[0][name]["run"]
    side = name.rpartition("-")[2]
    if name == f"orcahand-{side}":
        assert "sensors" not in run and "columns" not in run
        return
    columns = run["columns"]
    sizes = {group: len(names) for group, names in columns.items()}
    assert sizes.items() <= played[0][name]["sizes"].items()
    encoders = f"{side}_index_mcp" in run["sensors"]["encoders"]
    assert encoders == ("log_measured" in columns)
    assert bool(run["sensors"]["touch"]) == ("log_touch" in columns)
    if "log_touch" in columns:
        assert columns["log_touch"][3:6] == ["index x", "index y", "index z"]


def test_touch_is_learned_from_only_if_it_is_named(played) -> None:
    from sernf_isaac.data.sources import load_episodes

    number = NAMES.index("orcahand-full-right")
    source = played[1] / str(number)
    assert RunReader(source).commits()
    (silent,) = load_episodes([source], []).values()
    (named,) = load_episodes([source], ["history", "log_touch"]).values()
    assert not any(name.startswith("log_") for name in silent.observation)
    assert named.observation["log_touch"].shape[1] == 15
