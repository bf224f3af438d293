"""A run of two episodes of a turning cube, and the page's server for it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.actor.recorder import Moment, StepRecorder, log_layout

TOKEN = "open sesame"
HERE = "http://127.0.0.1"
STEPS = 60


def record(writer: RunWriter, turn_rad: float, outcome: str = "failure") -> str:
    """An episode of a cube that turns at a constant rate."""
    recorder = StepRecorder(writer, log_layout({"history": 4, "goal": 1}, 2, "first"))
    moments = [
        Moment(
            time_s=0.05 * step,
            observation={"history": np.zeros(4), "goal": np.ones(1)},
            pose=np.concatenate([[0, 0, -0.06], Rotation.from_rotvec([0, 0, a]).as_quat()]),
            sent=np.full(2, 0.01 * step),
            pose_age_s=0.05,
            latency_s=0.04,
            lateness_s=0.001,
            underrun=step == 7,
        )
        for step, a in enumerate(np.linspace(0.0, turn_rad, STEPS + 1))
    ]
    for step, moment in enumerate(moments[:-1]):
        last = step == STEPS - 1
        over = {"terminated": last} if outcome == "failure" else {"truncated": last}
        recorder.add(moment, np.zeros(2), 0.0, decision=step % 6 == 0, **over)
    return recorder.finish(outcome, moments[-1], np.zeros((0, 2)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    create_run(tmp_path, {"task": "test"})
    with RunWriter(tmp_path, "robot") as writer:
        for turns, outcome in ((1.1, "failure"), (0.6, "timeout")):
            record(writer, 2 * np.pi * turns, outcome)
    return tmp_path


@pytest.fixture
def eids(run: Path) -> list[str]:
    return [commit.id for commit in RunReader(run).commits()]


@pytest.fixture
def eid(eids: list[str]) -> str:
    return eids[0]


@pytest.fixture
def app(run: Path):
    """Its pictures hold the step's number."""
    pytest.importorskip("fastapi", reason="the labelling page needs the extra 'label'")
    from sernf_isaac.deploy.labelling.server import make_app

    return make_app(run, TOKEN, lambda _, step: b"\xff\xd8" + bytes([step]))


@pytest.fixture
def client(app):
    """Somebody on this machine who knows the token."""
    from fastapi.testclient import TestClient

    return TestClient(app, base_url=HERE, headers={"X-Token": TOKEN})


@pytest.fixture
def stranger(app):
    """Somebody on this machine who does not."""
    from fastapi.testclient import TestClient

    return TestClient(app, base_url=HERE)
