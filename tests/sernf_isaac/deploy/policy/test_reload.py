"""A robot takes what is newer, whole and passes its tests; and takes it back if it is worse."""

import json
import shutil

import pytest

from sernf_isaac.data.store.channel import beat, clear_pointer, point, publish_checkpoint
from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.writer import create_run
from sernf_isaac.deploy.policy.follower import CheckpointFollower, RollbackRule
from sernf_isaac.deploy.status import status_page


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path / "run", {"task": "test"})
    return tmp_path / "run"


def test_a_checkpoint_of_a_run_with_another_hand_is_refused(run, follower, tmp_path):
    first = publish(run, "first", 0)
    follower.refresh()
    create_run(tmp_path / "other", {"task": "other"})
    (tmp_path / "policy.pt").write_text("second")
    second = publish_checkpoint(tmp_path / "other", tmp_path / "policy.pt", 100)
    shutil.copytree(tmp_path / "other/checkpoints", run / "checkpoints", dirs_exist_ok=True)
    (run / "channel/latest.json").write_text(json.dumps({"checkpoint": second.name}))
    assert "another run.json" in follower.refresh() and follower.name == first.name
    record = run / "checkpoints" / f"{second.name}.json"
    older = {name: value for name, value in read_json(record).items() if name != "run"}
    record.write_text(json.dumps(older))  # of a time when records did not say it
    assert "driving with" in follower.refresh()


def test_the_status_page_shows_every_robot_and_what_the_learner_said_before_it_waited(run):
    page = status_page(run, lambda: 10.0)
    assert "robot\n  sign of life               never" in page and "published" in page
    for who in ("left", "right"):
        beat(run, who, {"runs": 3, "eid": "not so important"}, lambda: 4.0)
    beat(run, "learner", {"iteration": 2.0, "stage": "online"}, lambda: 5.0)
    beat(run, "learner", {"waiting_for_minutes": 45.0}, lambda: 9.0, keep=True)
    page = status_page(run, lambda: 10.0)
    assert "robot left\n" in page and "robot right\n" in page and "robot\n" not in page
    assert "runs" in page and "not so important" not in page  # one page, however many
    learner = page[page.index("learner\n") :]
    for words in ("1 s ago", "iteration ", "online", "waiting_for_minutes"):
        assert words in learner
    beat(run, "learner", {"iteration": 3.0}, lambda: 9.5)
    assert "waiting" not in status_page(run, lambda: 10.0)
    (run / "heartbeat/learner.json").write_text("")  # a power failure
    beat(run, "learner", {"waiting_for_minutes": 60.0}, lambda: 9.8, keep=True)
    assert "60" in status_page(run, lambda: 10.0)


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


def test_a_checkpoint_that_was_too_old_is_taken_once_it_is_pinned(run, follower, loaded):
    old = publish(run, "old", 100)
    new = publish(run, "new", 200)
    follower.refresh()
    point(run, "blessed", old.name)
    assert "not newer" in follower.refresh()
    assert follower.refresh() == ""  # it was said
    point(run, "pinned", old.name)
    assert "driving with" in follower.refresh() and loaded == ["new", "old"]
    clear_pointer(run, "pinned")
    clear_pointer(run, "blessed")
    assert "driving with" in follower.refresh() and follower.name == new.name


def test_a_machine_that_was_too_busy_for_a_policy_tries_again(run, loaded):
    busy = [True]

    def load(path):
        if busy[0] and path.read_text() == "second":
            raise ValueError("a decision takes 90 ms")
        loaded.append(path.read_text())

    follower = CheckpointFollower(run, load)
    publish(run, "first", 0)
    follower.refresh()
    publish(run, "second", 100)
    assert "90 ms" in follower.refresh() and follower.refresh() == ""
    busy[0] = False
    assert "driving with" in follower.refresh() and loaded == ["first", "second"]


def rolled_back(run, follower):
    """The first and the worse second of a run whose robot went back to the first."""
    first = publish(run, "first", 0)
    follower.refresh()
    [follower.report(1.0) for _ in range(2)]
    second = publish(run, "second", 100)
    follower.refresh()
    assert "rolled back" in [follower.report(0.1) for _ in range(2)][-1]
    return first, second


def test_what_was_rolled_back_stays_so_when_the_actor_is_started_again(run, follower, loaded):
    first, _ = rolled_back(run, follower)
    assert "rolled back" in status_page(run)
    again = CheckpointFollower(run, lambda path: loaded.append(path.read_text()))
    assert first.name in again.refresh() and loaded[-1] == "first"
    assert again.refresh() == "" and again.name == first.name
    publish(run, "third", 200)
    again.refresh()
    assert loaded[-1] == "third"


def test_a_person_may_pin_what_was_rolled_back_and_it_stays(run, follower, loaded):
    _, second = rolled_back(run, follower)
    point(run, "pinned", second.name)
    assert "driving with" in follower.refresh() and loaded[-1] == "second"
    assert [follower.report(0.1) for _ in range(3)] == [""] * 3
    assert follower.name == second.name
    clear_pointer(run, "pinned")
    again = CheckpointFollower(run, lambda path: None)
    again.refresh()
    assert again.name == second.name


def test_a_verdict_that_cannot_be_removed_does_not_hide_who_drives(
    run, follower, loaded, monkeypatch
):
    _, second = rolled_back(run, follower)
    point(run, "pinned", second.name)

    def refuse(*_, **__):
        raise PermissionError("read-only folder")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    said = follower.refresh()
    assert "driving with" in said and "read-only folder" in said
    assert loaded[-1] == "second" and follower.name == second.name
    assert follower.refresh() == ""


@pytest.mark.parametrize(
    ("good", "score", "worse"),
    [(-1, -0.9, False), (-1, -1.4, False), (-1, -1.6, True), (1, 0.6, False), (0, 0, False)],
)
def test_a_negative_score_is_compared_the_right_way_round(run, follower, good, score, worse):
    publish(run, "first", 0)
    follower.refresh()
    [follower.report(good) for _ in range(2)]
    publish(run, "second", 100)
    follower.refresh()
    said = [follower.report(score) for _ in range(2)]
    assert ("rolled back" in said[-1]) == worse


def test_a_share_of_zero_never_rolls_back():
    rule = RollbackRule(share=0.0)
    assert not rule.worse(-5.0, 1.0) and not rule.worse(-5.0, -1.0)


def test_a_good_checkpoint_that_is_gone_does_not_end_the_session(run, follower):
    first = publish(run, "first", 0)
    follower.refresh()
    [follower.report(1.0) for _ in range(2)]
    second = publish(run, "second", 100)
    follower.refresh()
    (run / first.file.path).unlink()
    follower.report(0.1)
    assert "though worse" in follower.report(0.1) and follower.name == second.name


def test_a_pointer_to_nothing_changes_nothing(run, follower):
    first = publish(run, "first", 0)
    follower.refresh()
    (run / "channel" / "latest.json").write_text('{"checkpoint": "000000007-00000000"}')
    assert "kept" in follower.refresh() and follower.name == first.name


def test_a_rule_must_make_sense():
    with pytest.raises(ValueError, match="rollback after 0"):
        RollbackRule(episodes=0)
