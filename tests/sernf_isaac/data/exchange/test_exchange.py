"""A robot here, a learner there, a bad network between: nothing is lost, nothing is torn."""

import os
import random
import shutil
import signal
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from object_store import BUCKET, s3_server
from tiny_finetune import begin, commit, quick

from sernf_isaac.data.episode import Episode
from sernf_isaac.data.exchange.exchange import Exchange
from sernf_isaac.data.exchange.remotes import FolderRemote, RsyncRemote, remote_of
from sernf_isaac.data.exchange.rounds import keep_in_step
from sernf_isaac.data.store.channel import (
    beat,
    clear_pointer,
    point,
    publish_checkpoint,
    published,
    read_checkpoint,
    silent_for_s,
    wanted_checkpoint,
)
from sernf_isaac.data.store.labels import Label, add_label, read_label
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.policy.follower import CheckpointFollower
from sernf_isaac.learning.finetune.run import finetune
from sernf_isaac.policy import load_policy

SKEW_S = 600.0
"""How far the learner's clock is ahead."""


def fast_clock() -> float:
    return time.time() + SKEW_S


class BadNetwork:
    """A remote whose connection is cut within operations: some files get through, one in part."""

    def __init__(self, remote, seed: int, cut: float = 0.25) -> None:
        self.remote, self.draw, self.cut = remote, random.Random(seed), cut

    def names(self, folders):
        self._maybe_cut()
        return self.remote.names(folders)

    def has(self, name):
        self._maybe_cut()
        return self.remote.has(name)

    def remove(self, name):
        self._maybe_cut()
        self.remote.remove(name)

    def send(self, root, names):
        names = list(names)
        if names and self.draw.random() < self.cut:
            self.remote.send(root, names[: self.draw.randrange(len(names))])
            raise ConnectionError("cut")
        self.remote.send(root, names)

    def fetch(self, names, into):
        names = list(names)
        self.remote.fetch(names, into)
        if names and self.draw.random() < self.cut:
            for name in names[self.draw.randrange(len(names)) :]:
                (into / name).write_bytes((into / name).read_bytes()[:-7])
            raise ConnectionError("cut")

    def _maybe_cut(self):
        if self.draw.random() < self.cut / 4:
            raise ConnectionError("cut")


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "rsync", "s3"])
def remote(request, tmp_path):
    """A meeting place of each kind."""
    if request.param == "folder":
        return FolderRemote(tmp_path / "there")
    if request.param == "rsync":
        if not shutil.which("rsync"):
            pytest.skip("rsync is not installed")
        return RsyncRemote(str(tmp_path / "there"))
    request.getfixturevalue("server")
    return remote_of(f"s3://{BUCKET}/{tmp_path.name}")


@pytest.fixture
def robot_run(tmp_path) -> Path:
    create_run(tmp_path / "robot", {"task": "test", "control_rate_hz": 20.0})
    return tmp_path / "robot"


def episode(number: int) -> Episode:
    state = np.full((20, 300), number, np.float32)
    return Episode({"state": state}, action=np.zeros((20, 2)), reward=np.arange(20) == 3)


def assert_whole(run: Path) -> list[str]:
    """All that can be seen in a run is what was committed; ids of its episodes."""
    if not (run / "run.json").is_file():
        return []
    reader = RunReader(run)
    commits = reader.commits()
    for seen in commits:
        assert len(reader.load(seen)) == seen.steps
    for name in published(run):
        read_checkpoint(run, name).file.check(run)
    wanted_checkpoint(run)
    return [seen.id for seen in commits]


def try_round(exchange: Exchange) -> bool:
    try:
        exchange.round()
    except ConnectionError:
        return False
    return True


def test_a_bad_network_loses_nothing_and_tears_nothing(remote, robot_run, tmp_path):
    learner_run, policy = tmp_path / "learner", tmp_path / "policy.pt"
    sides = (
        Exchange(robot_run, BadNetwork(remote, 1), "robot"),
        Exchange(learner_run, BadNetwork(remote, 2), "learner", clock=fast_clock),
    )
    ids, cuts, step = [], 0, 0
    policy.write_bytes(b"first")
    publish_checkpoint(robot_run, policy, 0)
    with RunWriter(robot_run, "actor") as writer:
        for number in range(9):
            ids.append(writer.commit(episode(number)))
            add_label(robot_run, ids[-1], Label("ann", success=number % 2 == 0))
            beat(robot_run, "actor", {"episode": number})
            cuts += sum(not try_round(side) for side in sides * 2)
            if assert_whole(learner_run) and number % 3 == 2 and published(learner_run):
                step += 10
                policy.write_bytes(b"policy " * step)
                publish_checkpoint(learner_run, policy, step)
                beat(learner_run, "learner", {"update": step}, fast_clock)
            assert_whole(robot_run)
    assert cuts > 3, "the network was not bad enough to prove anything"
    for side in sides:
        side.remote = remote  # the network is back
    for side in (*sides, *sides):
        side.round()
    assert assert_whole(learner_run) == assert_whole(robot_run) == ids
    assert published(robot_run) == published(learner_run) and len(published(robot_run)) > 1
    assert wanted_checkpoint(robot_run) == wanted_checkpoint(learner_run)
    assert wanted_checkpoint(robot_run).step == step
    labels = [[read_label(run, eid) for eid in ids] for run in (robot_run, learner_run)]
    assert labels[0] == labels[1]
    assert 0 <= silent_for_s(robot_run, "learner") < 300
    assert 0 <= silent_for_s(learner_run, "actor", fast_clock) < 300
    nothing_new = [side.round() for side in sides]
    assert [(moved.sent, moved.fetched) for moved in nothing_new] == [(0, 0), (0, 0)]
    for side in sides:
        side.close()


def test_a_server_that_does_not_answer_is_waited_for(server, robot_run):
    remote = remote_of(f"s3://{BUCKET}/silent", patience_s=1.0)
    said, naps = [], []
    with RunWriter(robot_run, "actor") as writer:
        writer.commit(episode(1))

    def sleep(_):
        naps.append(1)
        if len(naps) == 1:
            writer.commit(episode(2))
            server.send_signal(signal.SIGSTOP)
        if len(naps) == 2:
            server.send_signal(signal.SIGCONT)
        if len(naps) == 3:
            raise KeyboardInterrupt

    with (
        RunWriter(robot_run, "actor") as writer,
        closing(Exchange(robot_run, remote, "robot")) as exchange,
        pytest.raises(KeyboardInterrupt),
    ):
        keep_in_step(exchange, 1.0, sleep=sleep, say=said.append)
    assert said[0] == "sent 3, fetched 0 files" and said[2] == "sent 2, fetched 0 files"
    assert said[1].startswith("waiting for a connection: s3://lab/silent: ")
    assert len(remote.names(["commits"])) == len(remote.names(["episodes"])) == 2


def test_a_learner_there_learns_from_a_robot_here_and_drives_it(tmp_path):
    robot_run = begin(tmp_path)
    for folder in ("episodes", "commits"):  # the robot has recorded nothing yet
        shutil.rmtree(robot_run / folder)
        (robot_run / folder).mkdir()
    there, learner_run = FolderRemote(tmp_path / "there"), tmp_path / "learner" / "run"
    robot = Exchange(robot_run, BadNetwork(there, 3), "robot")
    learner = Exchange(learner_run, BadNetwork(there, 4), "learner", clock=fast_clock)
    follower = CheckpointFollower(robot_run, load_policy)
    assert "driving with 000000000-" in follower.refresh()
    recorded = []

    def wait(there_minutes, needed):
        assert len(recorded) < 40, "nothing arrives"
        recorded.append(commit(robot_run, len(recorded), is_offline=True))
        try_round(robot), try_round(learner)

    while not (learner_run / "run.json").is_file() or not published(learner_run):
        try_round(robot), try_round(learner)
    finetune(quick(), learner_run, wait=wait)
    while follower.step != 12:
        try_round(learner), try_round(robot)
        follower.refresh()
    assert set(assert_whole(learner_run)) <= set(recorded)
    robot.close(), learner.close()


def test_pins_reach_the_other_side_and_are_taken_back(robot_run, tmp_path):
    policy, there = tmp_path / "policy.pt", FolderRemote(tmp_path / "there")
    policy.write_bytes(b"first")
    name = publish_checkpoint(robot_run, policy, 0).name
    robot = Exchange(robot_run, there, "robot")
    learner = Exchange(tmp_path / "learner", there, "learner")
    point(robot_run, "pinned", name)
    robot.round(), learner.round()
    assert (tmp_path / "learner" / "channel" / "pinned.json").is_file()
    clear_pointer(robot_run, "pinned")
    robot.round(), learner.round()
    assert not (tmp_path / "learner" / "channel" / "pinned.json").exists()
    assert wanted_checkpoint(tmp_path / "learner").name == name


def test_what_is_damaged_or_missing_there_is_left_and_told_once(robot_run, tmp_path):
    there, told = tmp_path / "there", []
    with RunWriter(robot_run, "actor") as writer:
        ids = [writer.commit(episode(number)) for number in range(3)]
    Exchange(robot_run, FolderRemote(there), "robot").round()
    damaged, missing = (there / "episodes" / f"{eid}.zarr.zip" for eid in ids[:2])
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    whole = missing.read_bytes()
    missing.unlink()
    learner = Exchange(tmp_path / "learner", FolderRemote(there), "learner", tell=told.append)
    for _ in range(2):
        learner.round()
        assert assert_whole(tmp_path / "learner") == [ids[2]]
    assert len(told) == 2
    assert any(f"{ids[0]}.json: left there" in text and "damaged" in text for text in told)
    assert any(f"{ids[1]}.json: left there" in text and "missing" in text for text in told)
    missing.write_bytes(whole)
    learner.round()
    assert assert_whole(tmp_path / "learner") == ids[1:]


def test_another_run_another_process_and_a_lost_mount_are_refused(robot_run, tmp_path):
    there = tmp_path / "there"
    create_run(there, {"task": "other"})
    with closing(Exchange(robot_run, FolderRemote(there), "robot")) as exchange:
        with pytest.raises(RuntimeError, match="another process"):
            Exchange(robot_run, FolderRemote(there), "robot")
        with pytest.raises(ValueError, match=r"there is another run: its run.json differs"):
            exchange.round()
        shutil.copy(robot_run / "run.json", there / "run.json")
        exchange.round()
        shutil.rmtree(there)
        there.mkdir()
        with pytest.raises(ConnectionError, match="is it still mounted"):
            exchange.round()
        assert not os.listdir(there)
    with pytest.raises(ValueError, match=r"is no run: start the robot's session first"):
        Exchange(tmp_path / "nothing", FolderRemote(there), "robot")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("runs/there", "FolderRemote"),
        ("/mnt/lab:2/run", "FolderRemote"),
        ("lab:runs/first", "RsyncRemote"),
        ("me@lab:/runs", "RsyncRemote"),
        ("rsync://lab/module/first", "RsyncRemote"),
        ("s3://lab/first", "ObjectRemote"),
    ],
)
def test_an_address_says_what_it_is(address, kind, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/rsync")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert type(remote_of(address)).__name__ == kind


def test_addresses_of_no_known_kind_and_a_missing_rsync_are_told(monkeypatch):
    with pytest.raises(ValueError, match=r"ftp:// is none of s3, gs, az, rsync; a folder is"):
        remote_of("ftp://lab/first")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match=r"rsync is not installed"):
        remote_of("lab:first")
