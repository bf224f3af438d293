"""The store without crashes by signal: layouts, damage, recovery, other writers."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store import wal
from sernf_isaac.data.store.labels import Label, add_label
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.steps import Step, StepLayout
from sernf_isaac.data.store.wal import HEADER, STEP, LogWriter, read_log
from sernf_isaac.data.store.writer import RunWriter, create_run

LAYOUT = StepLayout({"state": 3, "goal": 1}, action_dim=2, policy="000000100-abc", is_offline=True)


@pytest.fixture
def run(tmp_path):
    create_run(tmp_path, {"task": "test"})
    return tmp_path


@pytest.fixture
def writer(run):
    with RunWriter(run, "robot") as made:
        yield made


def step_of(index: int, **flags) -> Step:
    observation = {"state": np.full(3, index), "goal": np.array([-index])}
    return Step(observation, action=np.array([index, 0.5]), reward=index / 2, **flags)


def whole_episode(steps=4, **options) -> Episode:
    observation = {"state": np.random.randn(steps, 3), "camera": np.zeros((steps, 2, 2), np.uint8)}
    return Episode(
        observation=observation,
        action=np.random.randn(steps, 2),
        reward=np.arange(steps),
        final_observation={"state": np.ones(3), "camera": np.ones((2, 2), np.uint8)},
        **options,
    )


def assert_same(one: Episode, other: Episode) -> None:
    assert one.to_arrays().keys() == other.to_arrays().keys()
    for name, value in one.to_arrays().items():
        np.testing.assert_array_equal(value, other.to_arrays()[name], err_msg=name)
        assert value.dtype == other.to_arrays()[name].dtype
    assert (one.policy, one.outcome) == (other.policy, other.outcome)


def log_some(writer, steps=5):
    episode = writer.begin(LAYOUT)
    for index in range(steps):
        flags = {"decision": index % 2 == 0, "overridden": index == 1}
        episode.append(step_of(index, **flags), index * 0.05)
    return episode


def test_what_was_committed_is_read(run, writer):
    episode = whole_episode(policy="p", outcome="failure")
    writer.commit(episode)
    reader = RunReader(run)
    (commit,) = reader.commits()
    assert (commit.steps, commit.outcome, commit.policy) == (4, "failure", "p")
    assert_same(reader.load(commit), episode)


def test_logged_steps_become_the_episode(run, writer):
    final = {"state": np.full(3, 9.0), "goal": np.array([8.0])}
    eid = log_some(writer).finish("success", final, planned=np.ones((2, 2)))
    reader = RunReader(run)
    (commit,) = reader.commits()
    episode = reader.load(commit)
    assert commit.id == eid
    assert (commit.start_s, commit.end_s) == (0.0, 0.2)
    assert (commit.outcome, commit.is_offline) == ("success", True)
    assert episode.observation["state"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert episode.decision.tolist() == [True, False, True, False, True]
    assert episode.overridden.tolist() == [False, True, False, False, False]
    assert episode.reward.tolist() == [0, 0.5, 1, 1.5, 2]
    assert episode.final_observation["goal"].tolist() == [8]
    assert episode.planned.tolist() == [[1, 1], [1, 1]]
    assert not list((run / "wal").glob("*.wal"))


def test_a_run_may_be_read_while_it_grows(run, writer):
    reader = RunReader(run)
    open_episode = log_some(writer)
    assert reader.new_commits() == []
    open_episode.finish("timeout")
    assert [commit.outcome for commit in reader.new_commits()] == ["timeout"]
    assert reader.new_commits() == []
    writer.commit(whole_episode())
    assert len(reader.new_commits()) == 1
    assert len(reader.commits()) == 2


def test_an_unfinished_episode_is_recovered_and_waits_for_a_label(run):
    with RunWriter(run, "robot") as writer:
        eid = log_some(writer).eid
    with RunWriter(run, "robot") as writer:
        assert writer.recover() == [eid]
        assert writer.recover() == []
    reader = RunReader(run)
    (commit,) = reader.commits()
    assert (commit.steps, commit.outcome) == (5, "recovered")
    assert not reader.may_train(commit)
    add_label(run, eid, Label("ann", success=False))
    assert reader.may_train(commit)
    assert reader.load(commit).outcome == "failure"


def test_a_commit_that_cannot_be_read_is_made_again_from_the_log(run):
    with RunWriter(run, "robot") as writer:
        eid = log_some(writer).eid
    (run / "commits" / f"{eid}.json").write_text(
        '{"schema": "sernf-isa'
    )  # a disk that lost its tail
    with RunWriter(run, "robot") as writer:
        assert writer.recover() == [eid]
    reader = RunReader(run)
    (commit,) = reader.commits()
    assert len(reader.load(commit)) == commit.steps == 5


def test_a_finished_episode_whose_commit_was_interrupted_keeps_its_ending(run, monkeypatch):
    final = {"state": np.ones(3), "goal": np.zeros(1)}
    with RunWriter(run, "robot") as writer:
        episode = log_some(writer)
        monkeypatch.setattr(writer, "_publish_commit", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            episode.finish("success", final, planned=np.ones((1, 2)))
    assert RunReader(run).commits() == []
    with RunWriter(run, "robot") as writer:
        writer.recover()
    reader = RunReader(run)
    (commit,) = reader.commits()
    assert commit.outcome == "success"
    assert reader.load(commit).final_observation["state"].tolist() == [1, 1, 1]
    assert reader.load(commit).planned.shape == (1, 2)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_log_cut_anywhere_keeps_its_whole_records(run, cut):
    with RunWriter(run, "robot") as writer:
        path = run / "wal" / f"{log_some(writer).eid}.wal"
        whole = read_log(path)
    os.truncate(path, path.stat().st_size - cut)
    log = read_log(path)
    assert log.header == whole.header
    assert log.steps == whole.steps[: len(log.steps)]
    assert 3 <= len(log.steps) < 5


def log_of(run, steps: int = 250):
    """A log as it is when its process is killed."""
    with RunWriter(run, "robot") as writer:
        return run / "wal" / f"{log_some(writer, steps).eid}.wal"


def spans(path) -> list[tuple[int, int, int]]:
    """(kind, start, end) of every record of an undamaged log."""
    data, start, found = path.read_bytes(), len(wal.MAGIC), []
    while start < len(data):
        _, kind, length, _ = wal._HEAD.unpack_from(data, start)
        end = start + wal._HEAD.size + length + wal._CRC.size
        found.append((kind, start, end))
        start = end
    return found


def recovered(run) -> tuple[list[int], list[str]]:
    """Numbers of the steps in all episodes of a run after recovery, and what was told."""
    told: list[str] = []
    with RunWriter(run, "robot") as writer:
        writer.recover(told.append)
        assert writer.recover(told.append) == []
    reader = RunReader(run)
    episodes = [reader.load(commit) for commit in reader.commits()]
    for episode in episodes:
        assert (np.diff(episode.observation["state"][:, 0]) == 1).all(), "no gap in an episode"
        assert episode.outcome == "recovered"
    return [int(x) for e in episodes for x in e.observation["state"][:, 0]], told


@pytest.mark.parametrize("step", [0, 1, 99, 100, 101, 248, 249])
@pytest.mark.parametrize("byte", [0, 5, 9, 15, 30, -1])
def test_a_flipped_bit_costs_its_step_and_nothing_else(tmp_path, step, byte):
    create_run(tmp_path, {"task": "test"})
    path = log_of(tmp_path)
    data = bytearray(path.read_bytes())
    _, start, end = [span for span in spans(path) if span[0] == STEP][step]
    data[(start if byte >= 0 else end) + byte] ^= 4
    path.write_bytes(data)
    steps, told = recovered(tmp_path)
    assert steps == [n for n in range(250) if n != step]
    assert path.with_suffix(".damaged").read_bytes() == data and not path.exists()
    assert len(told) == 1 and "249 steps were recovered" in told[0] and "lost" in told[0]


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_header_costs_no_step(run, number):
    path = log_of(run)
    data = bytearray(path.read_bytes())
    headers = [span for span in spans(path) if span[0] == HEADER]
    assert len(headers) == 4
    data[headers[number][1] + 30] ^= 1
    path.write_bytes(data)
    steps, told = recovered(run)
    assert steps == list(range(250)) and "no step is lost" in told[0]
    assert len(RunReader(run).commits()) == 1


@pytest.mark.parametrize("block", [0, 4096, 8192])
def test_a_lost_block_of_the_disk_costs_what_was_in_it(run, block):
    path = log_of(run)
    data = bytearray(path.read_bytes())
    hit = {
        n
        for n, (_, start, end) in enumerate(s for s in spans(path) if s[0] == STEP)
        if start < block + 4096 and end > block
    }
    data[block : block + 4096] = bytes(4096)
    path.write_bytes(data)
    steps, _ = recovered(run)
    assert steps == [n for n in range(250) if n not in hit] and 20 < len(hit) < 80


def test_random_damage_never_reads_a_wrong_step(run):
    path = log_of(run, 60)
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    true = set(read_log(path).steps)
    for _ in range(200):
        data = bytearray(whole)
        for place in draw.integers(len(data), size=draw.integers(1, 6)):
            data[place] = draw.integers(256)
        path.write_bytes(data[: draw.integers(len(data) // 2, len(data))])
        log = read_log(path)
        assert log is None or set(log.steps) <= true


def test_a_damaged_log_of_a_finished_episode_keeps_its_ending_and_waits_for_a_label(
    run, monkeypatch
):
    final = {"state": np.ones(3), "goal": np.zeros(1)}
    with RunWriter(run, "robot") as writer:
        episode = log_some(writer)
        monkeypatch.setattr(writer, "_publish_commit", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            episode.finish("success", final, planned=np.ones((1, 2)))
    (path,) = run.glob("wal/*.wal")
    data = bytearray(path.read_bytes())
    data[[span for span in spans(path) if span[0] == STEP][2][1] + 30] ^= 1
    path.write_bytes(data)
    with (
        pytest.warns(UserWarning, match="records 4 to 4 are lost"),
        RunWriter(run, "robot") as writer,
    ):
        assert len(writer.recover()) == 2
    reader = RunReader(run)
    first, last = (reader.load(commit) for commit in reader.commits())
    assert (len(first), len(last)) == (2, 2) and not first.final_observation
    assert last.final_observation["state"].tolist() == [1, 1, 1]
    assert not any(reader.may_train(commit) for commit in reader.commits())


def test_recovery_of_a_damaged_log_may_itself_be_interrupted(run, monkeypatch):
    path = log_of(run)
    data = bytearray(path.read_bytes())
    data[[span for span in spans(path) if span[0] == STEP][50][1] + 30] ^= 1
    path.write_bytes(data)
    with RunWriter(run, "robot") as writer:
        commit, done = writer._commit, []

        def once(*arguments):
            if done:
                raise OSError("the power failed")
            done.append(commit(*arguments))

        monkeypatch.setattr(writer, "_commit", once)
        with pytest.raises(OSError, match="power"):
            writer.recover()
    steps, _ = recovered(run)
    assert steps == [n for n in range(250) if n != 50]


def no_unlink(*_, **__):
    raise OSError("read-only")


def test_what_was_committed_from_memory_is_not_recovered_again(run, monkeypatch):
    with RunWriter(run, "robot") as writer:
        episode = log_some(writer)
        monkeypatch.setattr(
            "pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(OSError())
        )
        with pytest.raises(OSError):
            episode.finish("success")
        monkeypatch.undo()
    (path,) = run.glob("wal/*.wal")
    data = bytearray(path.read_bytes())
    data[-400] ^= 1
    path.write_bytes(data)
    with RunWriter(run, "robot") as writer:
        assert writer.recover() == []
    assert len(RunReader(run).commits()) == 1 and not list(run.glob("wal/*.wal"))


def test_recovery_leaves_open_episodes_and_other_writers_alone(run, writer):
    mine = log_some(writer)
    with RunWriter(run, "other") as other:
        theirs = log_some(other)
        assert writer.recover() == other.recover() == []
        theirs.finish("failure")
    mine.finish("success")
    assert [commit.outcome for commit in RunReader(run).commits()] == ["success", "failure"]


def test_a_log_without_steps_and_one_without_sense_do_not_stop_recovery(run):
    with RunWriter(run, "robot") as writer:
        writer.begin(LAYOUT)
    (run / "wal" / "0-robot.wal").write_bytes(b"SERN")
    (run / "wal" / "2-robot.wal").write_bytes(wal.MAGIC + b"x" * 999)
    log = LogWriter(run / "wal" / "1-robot.wal", {"schema": "other"})
    log.append(STEP, b"", 0.0)
    log.close()
    told: list[str] = []
    with RunWriter(run, "robot") as writer:
        assert writer.recover(told.append) == []
    assert len(told) == 2 and "1-robot.damaged: log schema 'other'" in told[0]
    assert "no whole header" in told[1]
    left = sorted(path.name for path in (run / "wal").iterdir() if "lock" not in path.name)
    assert left == ["1-robot.damaged", "2-robot.damaged"]


def test_a_full_disk_costs_the_step_but_not_the_log(tmp_path, monkeypatch):
    log = LogWriter(tmp_path / "a.wal", {})
    log.append(STEP, b"one", 0.0)
    write, calls = os.write, []

    def half_then_full(file, data):
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(file, data[:5])

    monkeypatch.setattr(wal.os, "write", half_then_full)
    with pytest.raises(OSError, match="No space"):
        log.append(STEP, b"two", 0.0)
    monkeypatch.undo()
    log.append(STEP, b"three", 0.0)
    assert read_log(tmp_path / "a.wal").steps == [b"one", b"three"]
    assert HEADER == 0


def test_only_one_process_writes_for_an_actor(run, writer):
    with pytest.raises(RuntimeError, match="another process writes"):
        RunWriter(run, "robot")


SECOND = """
import sys
from sernf_isaac.data.store.writer import RunWriter
with RunWriter(sys.argv[1], "robot") as writer:
    writer.recover()
"""


def test_a_writer_whose_lock_was_removed_loses_nothing_to_a_second_one(run, writer):
    episode = log_some(writer, 20)
    (run / "wal" / "robot.lock").unlink()
    second = [sys.executable, "-c", SECOND, str(run)]
    done = subprocess.run(second, capture_output=True, text=True, check=False)
    assert done.returncode and "another process writes" in done.stderr
    for index in range(20, 40):
        episode.append(step_of(index), index * 0.05)
    episode.finish("success")
    assert [commit.steps for commit in RunReader(run).commits()] == [40]
    for act in (
        lambda: writer.begin(LAYOUT),
        lambda: writer.commit(whole_episode()),
        writer.recover,
    ):
        with pytest.raises(RuntimeError, match=r"robot\.lock was removed or replaced"):
            act()


def test_a_lock_that_another_writer_replaced_is_noticed_by_the_first(run, writer):
    (run / "wal" / "robot.lock").unlink()
    with RunWriter(run, "robot") as second:
        second.commit(whole_episode())
        with pytest.raises(RuntimeError, match="removed or replaced"):
            writer.begin(LAYOUT)


def test_several_threads_may_share_a_reader(run, writer):
    for _ in range(40):
        writer.commit(whole_episode())
    for attempt in range(5):
        reader, found, start = RunReader(run), [], threading.Barrier(4)

        def read(reader=reader, found=found, start=start):
            start.wait()
            found.append((len(reader.commits()), len(reader.new_commits())))

        threads = [threading.Thread(target=read) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert [count for count, _ in found] == [40] * 4, attempt
        assert sum(new for _, new in found) == 40


def test_names_sort_by_time_even_if_the_clock_stands_still(run):
    names = []
    for _ in range(2):
        with RunWriter(run, "robot", clock=lambda: 1.7e9) as writer:
            names += [writer.commit(whole_episode()) for _ in range(3)]
    assert len(set(names)) == 6
    assert names == sorted(names)


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove"])
def test_a_damaged_episode_is_refused_by_name(run, writer, damage):
    eid = writer.commit(whole_episode())
    path = run / "episodes" / f"{eid}.zarr.zip"
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "shorten":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    reader = RunReader(run)
    with pytest.raises(ValueError, match=eid):
        reader.load(reader.commits()[0])


def test_unknown_schemas_and_broken_commits_are_skipped_with_a_warning(run, writer):
    writer.commit(whole_episode())
    (run / "commits" / "future.json").write_text(json.dumps({"schema": "sernf-isaac-episode/2"}))
    (run / "commits" / "broken.json").write_text("{")
    reader = RunReader(run)
    with pytest.warns(UserWarning, match="skipped") as caught:
        assert len(reader.commits()) == 1
    assert len(caught) == 2
    assert len(reader.commits()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "another"}, "a copy: it commits episode 'another'"),
        ({"steps": "4"}, "steps of the wrong type"),
        ({"files": []}, "at least one"),
        ({"files": "x"}, "at least one"),
        ({"files": [{"path": 5, "size": 1, "sha256": ""}]}, "wrong type"),
        ({"files": [{"path": "x"}]}, "must be described by"),
    ],
)
def test_a_commit_that_says_what_cannot_be_is_skipped(run, writer, change, message):
    path = run / "commits" / f"{writer.commit(whole_episode())}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.warns(UserWarning, match=message):
        assert RunReader(run).commits() == []


@pytest.mark.parametrize("outside", ["/etc/hostname.zip", "../x.zip", "episodes/../../x.zip"])
def test_a_commit_cannot_name_files_outside_its_run(run, writer, outside):
    path = run / "commits" / f"{writer.commit(whole_episode())}.json"
    content = json.loads(path.read_text())
    content["files"][0]["path"] = outside
    path.write_text(json.dumps(content))
    reader = RunReader(run)
    with pytest.raises(ValueError, match="outside the run"):
        reader.load(reader.commits()[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": {"state": np.zeros(3)}}, r"groups \['state'\], expected"),
        ({"action": np.zeros(3)}, "action"),
        ({"observation": {"state": np.zeros(2), "goal": np.zeros(2)}}, r"'state' of shape \(2,\)"),
        ({"reward": np.nan}, "not finite"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(writer, change, message):
    episode = writer.begin(LAYOUT)
    with pytest.raises(ValueError, match=message):
        episode.append(replace(step_of(0), **change), 0.0)


def test_a_run_is_not_taken_for_another(run, tmp_path):
    create_run(run, {"task": "test"})
    with pytest.raises(ValueError, match="task differ"):
        create_run(run, {"task": "something else"})
    with pytest.raises(ValueError, match="is no run"):
        RunReader(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="must consist of"):
        RunWriter(run, "a-b")
