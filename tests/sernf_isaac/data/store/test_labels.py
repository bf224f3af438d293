"""Labels that nobody overwrites and whose damage is named."""

import json
import threading

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.labels import (
    Label,
    LabelConflictError,
    add_label,
    label_path,
    read_history,
    read_label,
    revisions,
)
from sernf_isaac.data.store.writer import RunWriter, create_run

GOOD = {"schema": "sernf-isaac-label/1", "annotator": "a", "events": None, "success": None}
GOOD["note"] = ""


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path, {"task": "test"})
    return tmp_path


@pytest.fixture
def eid(run) -> str:
    episode = Episode({"state": np.zeros((4, 3))}, action=np.zeros((4, 2)), reward=np.arange(4))
    with RunWriter(run, "robot") as writer:
        return writer.commit(episode)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "not json",
        "[" * 100_000,
        "{}",
        json.dumps(GOOD | {"schema": "sernf-isaac-label/9"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "events"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "annotator"}),
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"annotator": None}),
        json.dumps(GOOD | {"annotator": ""}),
        json.dumps(GOOD | {"success": "yes"}),
        json.dumps(GOOD | {"note": 5}),
        json.dumps(GOOD | {"events": 5}),
        json.dumps(GOOD | {"events": [[1, 1.0]]}),
        json.dumps(GOOD | {"events": [[1.5, 1.0, "x"]]}),
        json.dumps(GOOD | {"events": [[-1, 1.0, "x"]]}),
        json.dumps(GOOD | {"events": [[None, 1.0, "x"]]}),
        json.dumps(GOOD | {"events": [[1, float("nan"), "x"]]}),
        json.dumps(GOOD | {"events": [[float("inf"), 1.0, "x"]]}),
    ],
)
def test_a_damaged_label_is_an_error_that_names_its_file(run, eid, content):
    for annotator in ("ann", "bob"):
        add_label(run, eid, Label(annotator))
    path = label_path(run, eid, 2)
    path.write_text(content)
    with pytest.raises(ValueError, match=r"0002\.json"):
        read_label(run, eid)
    history = read_history(run, eid)
    assert list(history.labels) == [1] and str(path) in history.damaged[2]
    assert history.newest == 2 and history.newest_of("ann") == 1 and not history.newest_of("bob")


def test_a_folder_where_a_label_should_be_is_a_damaged_label(run, eid):
    label_path(run, eid, 3).mkdir(parents=True)
    assert list(read_history(run, eid).damaged) == [3]
    assert add_label(run, eid, Label("ann"), seen=0) == 4


def test_what_is_no_label_is_refused_before_it_is_stored():
    with pytest.raises(ValueError, match="annotator is ''"):
        Label("")
    with pytest.raises(ValueError, match="event 1 is nan at step 3"):
        Label("ann", ((0, 1.0, "x"), (3, float("nan"), "x")))


def test_a_label_begun_before_a_newer_one_of_the_same_name_is_refused(run, eid):
    assert add_label(run, eid, Label("ann", note="first"), seen=0) == 1
    assert add_label(run, eid, Label("bob"), seen=0) == 2
    with pytest.raises(LabelConflictError, match="revision 1 by 'ann'") as refused:
        add_label(run, eid, Label("ann", note="second"), seen=0)
    assert refused.value.revision == 1 and refused.value.label == read_label(run, eid, 1)
    assert add_label(run, eid, Label("ann", note="second"), seen=1) == 3
    with pytest.raises(LabelConflictError, match="no label by 'carl'"):
        add_label(run, eid, Label("carl"), seen=3)
    assert revisions(run, eid) == [1, 2, 3]


def test_of_many_windows_at_once_one_saves_and_the_others_hear_of_it(run, eid):
    barrier, saved, refused = threading.Barrier(8), [], []

    def save(number: int) -> None:
        label = Label("ann", note=f"window {number}")
        barrier.wait()
        try:
            saved.append((add_label(run, eid, label, seen=0), label))
        except LabelConflictError as error:
            refused.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(saved) == 1 and len(refused) == 7
    assert saved == [(1, read_label(run, eid))]


def test_threads_that_do_not_care_all_keep_their_own_label(run, eid):
    saved = {}

    def save(number: int) -> None:
        saved[add_label(run, eid, Label(f"window {number}"))] = f"window {number}"

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = read_history(run, eid).labels
    assert {revision: label.annotator for revision, label in labels.items()} == saved
    assert sorted(saved) == list(range(1, 9))
