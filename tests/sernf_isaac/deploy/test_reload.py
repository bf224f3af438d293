"""A robot takes what is newer, whole and passes its tests; and takes it back if it is worse."""

import pytest

from sernf_isaac.data.channel import point, publish_checkpoint
from sernf_isaac.data.store import create_run
from sernf_isaac.deploy.reload import CheckpointFollower, RollbackRule


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path / "run", {"task": "test"})
    return tmp_path / "run"


@pytest.fixture
def loaded():
    return []


@pytest.fixture
def follower(run, loaded):
    def load(path):
        content = path.read_text()
        if "bad" in content:
            raise ValueError("its weights are not finite")
        loaded.append(content)

    return CheckpointFollower(run, load, RollbackRule(episodes=2, share=0.5))


def publish(run, content: str, step: int):
    source = run.parent / "policy.pt"
    source.write_text(content)
    return publish_checkpoint(run, source, step)


def test_newer_checkpoints_are_taken_once(run, follower, loaded):
    assert follower.refresh() == "" and follower.name == ""
    first = publish(run, "first", 0)
    assert "driving with" in follower.refresh() and follower.name == first.name
    assert follower.refresh() == ""
    publish(run, "second", 100)
    follower.refresh()
    assert loaded == ["first", "second"] and follower.step == 100


def test_one_that_fails_its_tests_is_refused_once_and_the_old_one_stays(run, follower, loaded):
    first = publish(run, "first", 0)
    follower.refresh()
    publish(run, "bad", 100)
    assert "refused" in (message := follower.refresh()) and "not finite" in message
    assert follower.refresh() == "" and follower.name == first.name


def test_a_damaged_file_is_refused(run, follower):
    first = publish(run, "first", 0)
    follower.refresh()
    second = publish(run, "second", 100)
    (run / second.file.path).write_text("other.")
    assert "damaged" in follower.refresh() and follower.name == first.name


def test_an_older_step_is_refused_unless_a_person_pins_it(run, follower, loaded):
    old = publish(run, "old", 100)
    publish(run, "new", 200)
    follower.refresh()
    point(run, "latest", old.name)
    assert "not newer" in follower.refresh()
    other = publish(run, "other", 50)
    point(run, "pinned", other.name)
    follower.refresh()
    assert loaded == ["new", "other"]


def test_a_clearly_worse_checkpoint_is_rolled_back_and_not_taken_again(run, follower, loaded):
    first = publish(run, "first", 0)
    follower.refresh()
    assert [follower.report(1.0) for _ in range(3)] == ["", "", ""]
    publish(run, "second", 100)
    follower.refresh()
    assert follower.report(0.1) == ""
    assert "rolled back" in follower.report(0.2)
    assert follower.name == first.name and loaded == ["first", "second", "first"]
    assert follower.refresh() == ""
    publish(run, "third", 200)
    follower.refresh()
    assert [follower.report(0.8) for _ in range(2)] == ["", ""]
    assert loaded[-1] == "third"


def test_a_pointer_to_nothing_changes_nothing(run, follower):
    first = publish(run, "first", 0)
    follower.refresh()
    (run / "channel" / "latest.json").write_text('{"checkpoint": "000000007-00000000"}')
    assert "kept" in follower.refresh() and follower.name == first.name


def test_a_rule_must_make_sense():
    with pytest.raises(ValueError, match="rollback after 0"):
        RollbackRule(episodes=0)
