"""What the labelling page's server says of episodes, and what it makes of labels."""

import numpy as np
import pytest

from sernf_isaac.data.store.labels import Label, add_label, read_label, revisions
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.labelling.view import agreement, view_episode

STEPS = 60
"""Of each episode of the fixture `run`."""


def test_an_episode_is_shown_with_curves_and_proposals(client, eid):
    shown = client.get(f"/api/episodes/{eid}").json()
    assert shown["steps"] == STEPS and len(shown["proposed"]) == 4
    for name in ("quarters", "height_mm", "command_rad", "pose_age_s", "underrun"):
        assert len(shown[name]) == STEPS
    assert shown["quarters"][-1] == pytest.approx(4.4, abs=0.1)
    assert shown["underrun"][7] == 1.0 and shown["decision"][:2] == [0, 6]
    assert shown["label"] is None and shown["revision"] == 0 and shown["problems"] == []


def test_labels_become_revisions_and_change_what_is_learnt(client, run, eid):
    new = {"annotator": "ann", "events": [[20, 1, "person"], [10, 1, "yaw"]], "success": False}
    assert client.post(f"/api/episodes/{eid}/labels", json=new).json() == {"revision": 1}
    again = new | {"annotator": "bob", "events": [[30, -2.5, "person"]], "success": None}
    assert client.post(f"/api/episodes/{eid}/labels", json=again).json() == {"revision": 2}
    assert read_label(run, eid, 1).events == ((10, 1.0, "yaw"), (20, 1.0, "person"))
    reader = RunReader(run)
    reward = reader.load(reader.commits()[0]).reward
    assert np.flatnonzero(reward).tolist() == [30] and reward[30] == -2.5
    listed = client.get("/api/episodes").json()["episodes"][0]
    assert listed["revisions"] == 2 and listed["annotator"] == "bob"


def test_a_second_annotator_is_not_shown_the_marks_of_the_first(client, eid):
    path = f"/api/episodes/{eid}"
    label_of = lambda name: client.get(path, params={"annotator": name}).json()["label"]  # noqa: E731
    for name, step, seen in (("ann", 10, 0), ("ann", 20, 1), ("bob", 30, 0)):
        new = {"annotator": name, "events": [[step, 1, "person"]], "success": True, "seen": seen}
        assert client.post(f"{path}/labels", json=new).status_code == 200
    assert label_of("ann")["events"] == [[20, 1.0, "person"]]
    assert label_of("bob")["events"] == [[30, 1.0, "person"]]
    assert label_of(" bob ") == label_of("bob")
    assert label_of("eve") is None and label_of("") is None
    assert client.get(path).json()["label"] is None


def test_the_page_begins_with_what_the_robot_recorded_until_there_is_a_label(run, eids):
    reader = RunReader(run)
    failed, timed_out = reader.commits()
    as_recorded = {"events": None, "success": False, "note": ""}
    assert view_episode(reader, failed, "ann")["start"] == as_recorded
    assert view_episode(reader, timed_out, "ann")["start"] == as_recorded | {"success": None}
    add_label(run, failed.id, Label("ann", ((3, 2.0, "person"),), success=None, note="who knows"))
    start = view_episode(reader, failed, "ann")["start"]
    assert (start["events"], start["success"]) == ([[3, 2.0, "person"]], None)
    assert start["note"] == "who knows"


def test_a_label_begun_before_another_of_the_same_name_is_not_saved_over_it(client, run, eid):
    path, mine = f"/api/episodes/{eid}/labels", {"annotator": "ann", "note": "first window"}
    theirs = {"annotator": "ann", "events": [[7, 1, "person"]], "success": True, "note": "second"}
    seen = client.get(f"/api/episodes/{eid}", params={"annotator": "ann"}).json()["revision"]
    assert client.post(path, json=theirs | {"seen": seen}).json() == {"revision": 1}
    refused = client.post(path, json=mine | {"seen": seen})
    assert refused.status_code == 409 and revisions(run, eid) == [1]
    detail = refused.json()["detail"]
    assert detail["revision"] == 1 and "revision 1 by 'ann'" in detail["message"]
    assert detail["label"] == theirs | {"events": [[7, 1.0, "person"]]}
    assert client.post(path, json=mine | {"annotator": "bob"}).json() == {"revision": 2}
    assert client.post(path, json=mine | {"seen": 1}).json() == {"revision": 3}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/episodes/{eid}/labels", {"annotator": ""}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "  "}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[60, 1, "x"]]}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[-1, 1, "x"]]}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[1, 1e9, "x"]]}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "events": [[1.5, 1, "x"]]}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "note": "n" * 2001}, 422),
        ("/api/episodes/{eid}/labels", {"annotator": "a", "seen": -1}, 422),
        ("/api/episodes/nobody/labels", {"annotator": "a"}, 404),
        ("/api/episodes/..%2F..%2Fx/labels", {"annotator": "a"}, 404),
    ],
)
def test_labels_that_make_no_sense_are_refused(client, run, eid, path, body, status):
    assert client.post(path.format(eid=eid), json=body).status_code == status
    assert revisions(run, eid) == []


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_rewards_that_are_no_numbers_are_refused(client, run, eid, value):
    body = '{"annotator": "a", "events": [[1, %s, "x"]]}' % value  # noqa: UP031
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"/api/episodes/{eid}/labels", content=body, headers=headers)
    assert answer.status_code == 422 and revisions(run, eid) == []
    assert answer.json()["detail"].startswith("events.0.1: ")


def test_frames_are_exact_and_end_with_the_episode(client, eid):
    assert client.get(f"/api/episodes/{eid}/frames/17.jpg").content[-1] == 17
    assert client.get(f"/api/episodes/{eid}/frames/{STEPS}.jpg").status_code == 404


def test_an_episode_that_cannot_be_opened_says_what_is_wrong_with_which_file(client, run, eids):
    archive = next(run.glob(f"episodes/**/*{eids[0]}*"))
    archive.write_bytes(archive.read_bytes()[:-7])
    for path in (f"/api/episodes/{eids[0]}", f"/api/episodes/{eids[0]}/frames/3.jpg"):
        answer = client.get(path)
        assert answer.status_code == 422 and str(archive) in answer.json()["detail"]
    archive.unlink()
    assert "missing" in client.get(f"/api/episodes/{eids[0]}").json()["detail"]
    assert client.get(f"/api/episodes/{eids[1]}").status_code == 200
    assert len(client.get("/api/episodes").json()["episodes"]) == 2


def test_an_episode_whose_commit_names_no_archive_says_so(client, run, eid):
    commit = run / "commits" / f"{eid}.json"
    commit.write_text(commit.read_text().replace(".zip", ".txt"))
    for archive in run.glob("episodes/*.zip"):
        archive.rename(archive.with_suffix(".txt"))
    answer = client.get(f"/api/episodes/{eid}")
    assert answer.status_code == 422 and "names no archive" in answer.json()["detail"]


def test_agreement_pairs_marks_that_are_close(run, client, eids):
    first, second = eids
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


def test_agreement_counts_negative_rewards_and_leaves_out_damaged_labels_by_name(run, eids):
    for eid in eids:
        add_label(run, eid, Label("ann", ((10, -2.0, "person"),)))
        add_label(run, eid, Label("bob", ((10, 0.5, "person"),)))
    damaged = run / "labels" / eids[1] / "0002.json"
    damaged.write_text("")
    found = agreement(run, "ann", "bob")
    assert (found.episodes, found.both, found.only_first) == (1, 1, 1)
    assert len(found.damaged) == 1 and str(damaged) in found.damaged[0]
