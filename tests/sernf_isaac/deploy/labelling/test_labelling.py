"""The labelling page, through its API and in a real browser."""

import shutil
import socket
import threading
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sernf_isaac.data.store.labels import Label, add_label, read_label, revisions
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.actor.recorder import EpisodeRecorder, Moment, log_layout
from sernf_isaac.deploy.labelling.view import agreement

pytest.importorskip("fastapi", reason="the labelling page needs the extra 'label'")
from fastapi.testclient import TestClient

from sernf_isaac.deploy.labelling.server import make_app

TOKEN = "open sesame"
STEPS = 60


def record(writer: RunWriter, turn_rad: float) -> str:
    """An episode of a cube that turns at a constant rate."""
    recorder = EpisodeRecorder(writer, log_layout({"history": 4, "goal": 1}, 2, "first"))
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
        recorder.add(moment, np.zeros(2), 0.0, decision=step % 6 == 0, terminated=last)
    return recorder.finish("failure", moments[-1], np.zeros((0, 2)))


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path, {"task": "test"})
    with RunWriter(tmp_path, "robot") as writer:
        for turns in (1.1, 0.6):
            record(writer, 2 * np.pi * turns)
    return tmp_path


@pytest.fixture
def eid(run) -> str:
    return RunReader(run).commits()[0].id


@pytest.fixture
def client(run) -> TestClient:
    draw = lambda episode, step: b"\xff\xd8" + bytes([step])  # noqa: E731
    return TestClient(make_app(run, TOKEN, draw), headers={"X-Token": TOKEN})


def test_nothing_is_told_without_the_token(run, eid):
    stranger = TestClient(make_app(run, TOKEN))
    for path in ("/", "/api/episodes", f"/api/episodes/{eid}", "/openapi.json", "/docs"):
        assert stranger.get(path).status_code in (401, 404)
    answer = stranger.post(f"/api/episodes/{eid}/labels", json={"annotator": "eve"})
    assert answer.status_code == 401 and revisions(run, eid) == []
    assert stranger.get("/", params={"token": TOKEN}).status_code == 200


def test_an_episode_is_shown_with_curves_and_proposals(client, eid):
    shown = client.get(f"/api/episodes/{eid}").json()
    assert shown["steps"] == STEPS and len(shown["proposed"]) == 4
    for name in ("quarters", "height_mm", "command_rad", "pose_age_s", "underrun"):
        assert len(shown[name]) == STEPS
    assert shown["quarters"][-1] == pytest.approx(4.4, abs=0.1)
    assert shown["underrun"][7] == 1.0 and shown["decision"][:2] == [0, 6]
    assert shown["label"] is None


def test_labels_become_revisions_and_change_what_is_learnt(client, run, eid):
    new = {"annotator": "ann", "events": [[20, 1, "person"], [10, 1, "yaw"]], "success": False}
    assert client.post(f"/api/episodes/{eid}/labels", json=new).json() == {"revision": 1}
    again = new | {"annotator": "bob", "events": [[30, 1, "person"]], "success": None}
    assert client.post(f"/api/episodes/{eid}/labels", json=again).json() == {"revision": 2}
    assert read_label(run, eid, 1).events == ((10, 1.0, "yaw"), (20, 1.0, "person"))
    reader = RunReader(run)
    reward = reader.load(reader.commits()[0]).reward
    assert np.flatnonzero(reward).tolist() == [30]
    listed = client.get("/api/episodes").json()["episodes"][0]
    assert listed["revisions"] == 2 and listed["annotator"] == "bob"


def test_a_second_annotator_is_not_shown_the_marks_of_the_first(client, eid):
    path = f"/api/episodes/{eid}"
    label_of = lambda name: client.get(path, params={"annotator": name}).json()["label"]  # noqa: E731
    for name, step in (("ann", 10), ("ann", 20), ("bob", 30)):
        events = [[step, 1, "person"]]
        client.post(f"{path}/labels", json={"annotator": name, "events": events, "success": True})
    assert label_of("ann")["events"] == [[20, 1.0, "person"]]
    assert label_of("bob")["events"] == [[30, 1.0, "person"]]
    assert label_of(" bob ") == label_of("bob")
    assert label_of("eve") is None and label_of("") is None
    assert client.get(path).json()["label"] is None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/episodes/{eid}/labels", {"annotator": ""}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "  "}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[60, 1, "x"]]}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[1, 1e9, "x"]]}, 422),
        ("/api/episodes/nobody/labels", {"annotator": "a"}, 404),
        ("/api/episodes/..%2F..%2Fx/labels", {"annotator": "a"}, 404),
    ],
)
def test_labels_that_make_no_sense_are_refused(client, run, eid, path, body, status):
    assert client.post(path.format(eid=eid), json=body).status_code == status
    assert revisions(run, eid) == []


def test_frames_are_exact_and_end_with_the_episode(client, eid):
    assert client.get(f"/api/episodes/{eid}/frames/17.jpg").content[-1] == 17
    assert client.get(f"/api/episodes/{eid}/frames/{STEPS}.jpg").status_code == 404


def test_agreement_pairs_marks_that_are_close(run, client):
    first, second = (commit.id for commit in RunReader(run).commits())
    mark = lambda *steps: tuple((step, 1.0, "person") for step in steps)  # noqa: E731
    add_label(run, first, Label("ann", mark(10, 20, 50), success=True))
    add_label(run, first, Label("bob", mark(12, 40), success=True))
    add_label(run, second, Label("ann", mark(), success=None))
    with pytest.raises(ValueError, match="labelled by both 'ann' and 'eve'"):
        agreement(run, "ann", "eve")
    found = client.get("/api/agreement", params={"first": "ann", "second": "bob"}).json()
    assert (found["episodes"], found["both"]) == (1, 1)
    assert (found["only_first"], found["only_second"]) == (2, 1)
    assert found["f1"] == pytest.approx(0.4) and found["same_verdict"] == 1


@pytest.fixture
def address(run):
    """A server in this process, at a free port."""
    uvicorn = pytest.importorskip("uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(make_app(run, TOKEN), port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/?token=open%20sesame"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    """A headless one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs the system's chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """The page in a browser."""
    page = browser.new_page(viewport={"width": 1200, "height": 860})
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    page.wait_for_selector("aside button.here")
    yield page
    page.close()


def test_a_person_can_label_with_the_keyboard_in_a_browser(page, run, eid):
    page.fill("#annotator", "ann")
    page.click("#title")
    page.keyboard.press("a")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert "step 12 of 60" in page.inner_text("#title")
    page.keyboard.press("r")
    assert "rewards: 5 marked, 4 proposed" in page.inner_text("#numbers")
    page.keyboard.press("r")
    page.keyboard.press("z")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#message').textContent.includes('revision 1')")
    label = read_label(run, eid)
    assert label.annotator == "ann" and label.success is False
    assert len(label.events) == 5 and (12, 1.0, "person") in label.events
    page.keyboard.press("n")
    page.wait_for_function("document.querySelectorAll('aside button')[1].className === 'here'")
    page.keyboard.press("s")
    page.keyboard.press("d")  # a drop is a failure
    page.keyboard.press("z")
    assert page.inner_text(".verdict button.on") == "success"
    assert page.problems == []


def test_a_label_without_a_name_is_not_saved(page, run, eid):
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#message').textContent.includes('annotator')")
    assert revisions(run, eid) == []


def test_who_says_another_name_sees_another_label(page, run, eid):
    add_label(run, eid, Label("ann", ((3, 1.0, "person"), (5, 1.0, "person")), success=True))
    for name, marks, verdict in (("ann", 2, "success"), ("bob", 0, "unsure")):
        page.fill("#annotator", name)
        page.press("#annotator", "Tab")
        shown = f"document.querySelector('#numbers').textContent.includes('rewards: {marks} mark')"
        page.wait_for_function(shown)
        assert page.inner_text(".verdict button.on") == verdict
    assert page.problems == []
