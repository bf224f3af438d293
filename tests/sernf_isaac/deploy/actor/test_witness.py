"""Whoever looks on sees every step, delays nobody and stops nothing."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from sernf_isaac.deploy.actor.live import LiveFile, read_live
from sernf_isaac.deploy.actor.witness import Aside, Glimpse, Nobody, Several
from sernf_isaac.deploy.loop.states import Reason, State


class Notebook:
    def __init__(self):
        self.seen = []

    def see(self, glimpse):
        self.seen.append(glimpse)


@pytest.fixture
def glimpse(make_hand):
    hand, clock, _ = make_hand()
    return Glimpse(
        clock.now(),
        hand.state(),
        eid="one",
        since_start_s=0.5,
        pose=np.array([0.01, 0.02, 0.03, 0.0, 0.0, 0.0, 1.0]),
        action=np.array([0.1, 0.2, 0.3]),
        planned=np.full((2, 3), 0.4),
        scores=np.array([1.0, -2.0]),
        turned_rad=1.5,
    )


def test_others_read_what_a_session_shows(tmp_path, glimpse):
    assert read_live(tmp_path, "actor") is None
    LiveFile(tmp_path, "actor").note(glimpse)
    view = read_live(tmp_path, "actor")
    assert view is not None and 0.0 <= view.age_s < 60.0
    assert (view.state, view.reason, view.eid) == (State.OFF.name, Reason.NONE.name, "one")
    np.testing.assert_allclose(view.joint_pos, glimpse.hand.joint_pos, atol=1e-5)
    np.testing.assert_allclose(view.pose, glimpse.pose)
    np.testing.assert_allclose(view.planned, [[0.1, 0.2, 0.3], [0.4] * 3, [0.4] * 3])
    np.testing.assert_allclose(view.scores, [1.0, -2.0])
    assert view.turned_rad == 1.5 and view.since_start_s == 0.5


def test_between_episodes_there_is_only_the_hand(tmp_path, glimpse):
    LiveFile(tmp_path, "actor").note(Glimpse(glimpse.time_s, glimpse.hand))
    view = read_live(tmp_path, "actor")
    assert view is not None and view.eid == ""
    assert view.pose.size == view.planned.size == view.scores.size == 0


def test_a_view_of_another_version_is_refused(tmp_path):
    (tmp_path / "live").mkdir()
    (tmp_path / "live/actor.json").write_text('{"wall_s": 1.0}')
    with pytest.raises(ValueError, match=r"actor.json is of another version"):
        read_live(tmp_path, "actor")


def test_a_slow_witness_delays_nobody_and_sees_the_newest(glimpse):
    begun, go_on, noted = threading.Event(), threading.Event(), []

    def note(seen):
        begun.set()
        go_on.wait(10.0)
        noted.append(seen.since_start_s)

    with Aside(note, pytest.fail) as witness:
        witness.see(glimpse)
        assert begun.wait(10.0)
        for number in range(100):
            witness.see(replace(glimpse, since_start_s=float(number)))
        go_on.set()
    assert noted == [0.5, 99.0]


def test_a_witness_that_fails_says_so_once_and_stops_nothing(glimpse):
    told, looked = [], threading.Event()

    def note(_):
        looked.set()
        raise OSError("disk full")

    with Aside(note, told.append) as witness:
        witness.see(glimpse)
        assert looked.wait(10.0)
        witness.see(glimpse)
    witness.see(glimpse)
    assert told == ["nobody looks on any more: OSError: disk full"]


def test_several_look_at_once(glimpse):
    first, second = Notebook(), Notebook()
    Several(first, Nobody(), second).see(glimpse)
    assert first.seen == second.seen == [glimpse]
