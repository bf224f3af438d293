"""The list of episodes: filters, damage that stays with its episode, thousands of episodes."""

import json
import re
import shutil
import time

import pytest

from sernf_isaac.data.store.files import write_json
from sernf_isaac.data.store.labels import Label, add_label
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.labelling.listing import Filter, Histories, Labelled, list_episodes
from sernf_isaac.deploy.labelling.view import view_episode
from sernf_isaac.deploy.status import status_page

DAMAGE = ["", "{", "[]", "\x00\xff", '{"schema": "sernf-isaac-label/1"}', '{"schema": "other"}']


def listed(run, annotator: str = "ann", **conditions) -> list[str]:
    """Ids of the episodes that pass a filter."""
    wanted = Filter(**conditions)
    return [row["id"] for row in list_episodes(RunReader(run), annotator) if wanted.passes(row)]


def test_filters_by_text_outcome_and_label(run, eids):
    first, second = eids
    assert listed(run) == listed(run, text="FIRST robot") == eids
    assert listed(run, text=f"first {first}") == [first] and listed(run, text="first x") == []
    assert listed(run, outcome="timeout") == listed(run, text="timeout") == [second]
    assert listed(run, labelled=Labelled.NOBODY) == eids
    add_label(run, first, Label("ann"))
    add_label(run, second, Label("bob"))
    assert listed(run, labelled=Labelled.NOBODY) == listed(run, labelled=Labelled.NEEDED) == []
    assert listed(run, labelled=Labelled.MINE) == listed(run, "bob", labelled=Labelled.OTHERS)
    assert listed(run, labelled=Labelled.MINE, text="robot") == [first]
    assert listed(run, labelled=Labelled.OTHERS, outcome="failure") == []


def test_the_server_filters_and_says_how_many_there_are(client, eids):
    found = client.get("/api/episodes", params={"outcome": "failure", "labelled": "nobody"}).json()
    assert [row["id"] for row in found["episodes"]] == eids[:1]
    assert found["total"] == 2 and found["outcomes"] == ["failure", "timeout"]
    assert client.get("/api/episodes", params={"labelled": "maybe"}).status_code == 422


def test_what_is_listed_as_in_need_of_a_label_is_what_the_status_counts(run, eids):
    def needed() -> list[str]:
        found = listed(run, labelled=Labelled.NEEDED)
        assert re.search(rf"need a label +{len(found)}$", status_page(run), re.MULTILINE)
        return found

    assert needed() == []  # failures and timeouts count as recorded
    commit = run / "commits" / f"{eids[0]}.json"
    write_json(commit, json.loads(commit.read_text()) | {"outcome": "recovered"})
    assert needed() == [eids[0]]
    for eid in eids:
        add_label(run, eid, Label("ann"))
    assert needed() == []
    for eid in eids:
        (run / "labels" / eid / "0001.json").write_text("{")
    assert needed() == eids


@pytest.mark.parametrize("content", DAMAGE)
def test_one_damaged_label_is_shown_with_its_episode_and_nowhere_else(client, run, eids, content):
    add_label(run, eids[0], Label("ann", note="older"))
    add_label(run, eids[0], Label("ann"))
    damaged = run / "labels" / eids[0] / "0002.json"
    damaged.write_bytes(content.encode("latin-1"))
    rows = client.get("/api/episodes").json()["episodes"]
    assert str(damaged) in rows[0]["problem"] and rows[1]["problem"] is None
    assert listed(run, labelled=Labelled.DAMAGED) == eids[:1]
    shown = client.get(f"/api/episodes/{eids[0]}", params={"annotator": "ann"}).json()
    assert shown["label"]["note"] == "older" and shown["revision"] == 1
    assert str(damaged) in shown["problems"][0] and "newest" in shown["problems"][0]
    body = {"annotator": "ann", "note": "again", "seen": 1}
    assert client.post(f"/api/episodes/{eids[0]}/labels", json=body).json() == {"revision": 3}
    reader = RunReader(run)
    reader.load(reader.commits()[0])  # and can be learned from again
    view = view_episode(reader, reader.commits()[0], "ann")
    assert view["label"]["note"] == "again" and "a newer label counts" in view["problems"][0]


def test_a_label_of_steps_the_episode_lacks_is_a_problem_of_its_episode(run, eids):
    add_label(run, eids[0], Label("ann", ((900, 1.0, "person"),)))
    assert listed(run, labelled=Labelled.DAMAGED) == eids[:1]


def test_remembered_labels_are_read_again_when_a_file_is_new_or_changed(run, eid):
    reader, histories = RunReader(run), Histories()
    row = lambda: list_episodes(reader, "ann", histories)[0]  # noqa: E731
    assert row()["revisions"] == 0
    add_label(run, eid, Label("ann"))
    assert row()["mine"] and row()["problem"] is None
    (run / "labels" / eid / "0001.json").write_text("{")
    assert row()["problem"] is not None and not row()["mine"]


def test_thousands_of_episodes_are_listed_in_no_time(run, eid):
    add_label(run, eid, Label("ann", ((1, 1.0, "person"),)))
    commit = json.loads((run / "commits" / f"{eid}.json").read_text())
    for number in range(3000):
        name = f"20260101T{number:012d}-robot"
        write_json(run / "commits" / f"{name}.json", commit | {"id": name})
        if number % 2:
            shutil.copytree(run / "labels" / eid, run / "labels" / name)
    reader, histories = RunReader(run), Histories()
    assert sum(row["mine"] for row in list_episodes(reader, "ann", histories)) == 1501
    began_s = time.perf_counter()
    assert len(list_episodes(reader, "ann", histories)) == 3002
    assert time.perf_counter() - began_s < 2.0  # 0.15 s on a laptop; reading all again is slower
