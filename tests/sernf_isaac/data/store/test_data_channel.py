"""Labels, published checkpoints and signs of life."""

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.channel import (
    beat,
    clear_pointer,
    point,
    publish_checkpoint,
    silent_for_s,
    wanted_checkpoint,
)
from sernf_isaac.data.store.labels import Label, add_label, read_label, revisions
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path, {"task": "test"})
    return tmp_path


@pytest.fixture
def eid(run) -> str:
    """A committed episode with rewards 0, 1, 2, 3."""
    episode = Episode({"state": np.zeros((4, 3))}, action=np.zeros((4, 2)), reward=np.arange(4))
    with RunWriter(run, "robot") as writer:
        return writer.commit(episode)


def test_labels_only_ever_get_more_and_the_newest_counts(run, eid):
    first = Label("ann", events=((1, 1.0, "person"), (1, 1.0, "yaw")), success=True, note="ok")
    assert add_label(run, eid, first) == 1
    assert add_label(run, eid, Label("bob", success=False)) == 2
    assert revisions(run, eid) == [1, 2]
    assert read_label(run, eid, 1) == first
    reader = RunReader(run)
    episode = reader.load(reader.commits()[0])
    assert episode.outcome == "failure"
    assert episode.reward.tolist() == [0, 1, 2, 3]
    add_label(run, eid, first)
    assert reader.load(reader.commits()[0]).reward.tolist() == [0, 2, 0, 0]
    assert reader.load(reader.commits()[0], labelled=False).outcome == "unknown"


def test_two_annotators_at_once_both_keep_their_revision(run, eid, monkeypatch):
    add_label(run, eid, Label("ann"))
    monkeypatch.setattr("sernf_isaac.data.store.labels.revisions", lambda *_: [])
    assert add_label(run, eid, Label("bob")) == 2
    assert read_label(run, eid, 1).annotator == "ann"


def test_labels_of_nothing_and_beyond_the_end_are_refused(run, eid):
    with pytest.raises(ValueError, match="no committed episode 'x'"):
        add_label(run, "x", Label("ann"))
    add_label(run, eid, Label("ann", events=((4, 1.0, "yaw"),)))
    reader = RunReader(run)
    with pytest.raises(ValueError, match=r"\(yaw\) at step 4 of an episode with 4"):
        reader.load(reader.commits()[0])


def test_a_robot_takes_pinned_before_blessed_before_latest(run):
    assert wanted_checkpoint(run) is None
    published = []
    for step in (100, 200, 300):
        source = run / "trained.pt"
        source.write_bytes(b"weights %d" % step)
        published.append(publish_checkpoint(run, source, step))
    wanted = wanted_checkpoint(run)
    assert wanted == published[2]
    assert wanted.file.check(run).read_bytes() == b"weights 300"
    point(run, "blessed", published[1].name)
    assert wanted_checkpoint(run).step == 200
    point(run, "pinned", published[0].name)
    assert wanted_checkpoint(run).step == 100
    clear_pointer(run, "pinned")
    assert wanted_checkpoint(run).step == 200
    assert list((run / "staging").iterdir()) == []


def test_damaged_and_unpublished_checkpoints_are_refused(run):
    (run / "trained.pt").write_bytes(b"weights")
    published = publish_checkpoint(run, run / "trained.pt", 7)
    (run / published.file.path).write_bytes(b"weighty")
    with pytest.raises(ValueError, match="damaged"):
        wanted_checkpoint(run).file.check(run)
    for name in ("000000008-00000000", "../x"):
        with pytest.raises(ValueError, match="no published checkpoint"):
            point(run, "latest", name)
    with pytest.raises(ValueError, match="pointer 'newest' is none of"):
        point(run, "newest", published.name)


def test_signs_of_life_tell_their_age(run):
    assert silent_for_s(run, "learner") is None
    beat(run, "learner", {"updates": 3}, clock=lambda: 100.0)
    assert silent_for_s(run, "learner", clock=lambda: 103.5) == 3.5
