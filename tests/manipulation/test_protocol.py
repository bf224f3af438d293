"""Counting: intervals, times on common successes, and the table."""

import numpy as np
import pytest

from sernf_isaac.data.episode import Episode
from tasks.manipulation.protocol import Trial, common_times, share, table, trials_of


def trial(succeeded: bool, time_s: float = 5.0, milestones: int = 0) -> Trial:
    return Trial(
        2 if succeeded else milestones, succeeded, time_s, "success" if succeeded else "failure"
    )


def test_shares_have_wilson_intervals() -> None:
    found = share([True] * 14 + [False] * 2)
    assert found.value == 0.875 and str(found) == "87.5 % [64, 97] (14/16)"
    nothing = share([False] * 10)
    assert nothing.low == 0 and 0.25 < nothing.high < 0.3  # not [0, 0]
    with pytest.raises(ValueError, match="no trials"):
        share([])


def test_times_count_only_where_every_policy_succeeds() -> None:
    slow_but_able = [trial(True, 4.0), trial(True, 20.0), trial(True, 6.0)]
    quick_on_easy = [trial(True, 3.0), trial(False), trial(True, 5.0)]
    times = common_times({"able": slow_but_able, "quick": quick_on_easy})
    assert times == {"able": [4.0, 6.0], "quick": [3.0, 5.0]}
    with pytest.raises(ValueError, match="different numbers of times"):
        common_times({"one": slow_but_able, "other": quick_on_easy[:2]})


def test_the_table_has_a_row_per_policy_and_a_column_per_stage() -> None:
    policies = {
        "imitation": [trial(True, 8.0), trial(False, milestones=1)],
        "online": [trial(True, 6.0), trial(True, 7.0)],
    }
    head, _, imitation, online = table(policies, ("lifted", "in the bowl")).splitlines()
    assert "lifted | in the bowl" in head and "where all succeed [s] (1)" in head
    assert "100.0 %" in imitation and "50.0 %" in imitation and "8.00 | 8.00" in imitation
    assert online.count("100.0 %") == 2 and "6.00 |" in online
    nobody = table({"bad": [trial(False)]}, ("lifted", "in the bowl"))
    assert nobody.splitlines()[-1].endswith("| - | - |")


def test_episodes_become_trials() -> None:
    shown = Episode(
        {"pose": np.zeros((40, 7))}, np.zeros((40, 24)), np.eye(40)[0], outcome="timeout"
    )
    assert trials_of([shown], 10.0) == [Trial(1, False, 4.0, "timeout")]
