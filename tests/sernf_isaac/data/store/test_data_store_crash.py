"""Writers killed at random moments: nothing acknowledged is lost, nothing half-written is read."""

import pytest
from store_crash import stress


def check(report) -> None:
    assert report.losses == []
    assert report.torn == []
    assert report.leftovers == []
    assert report.acknowledged_steps > report.kills
    assert report.loaded > 0
    assert report.recovered > 0


def test_twenty_kills_lose_nothing(tmp_path):
    report = stress(tmp_path, kills=24)
    check(report)
    assert report.kills_in_recovery > 0


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(tmp_path):
    report = stress(tmp_path, kills=200, seed=1)
    check(report)
    assert report.kills_in_recovery >= 20


def test_announcing_before_the_data_are_there_would_be_seen(tmp_path):
    assert any(stress(tmp_path / str(i), 8, "commit first", seed=i).torn for i in range(20))


@pytest.mark.filterwarnings("ignore:.*is no JSON")
def test_writing_without_a_rename_would_be_seen(tmp_path):
    reports = (stress(tmp_path / str(i), 12, "no rename", seed=i) for i in range(8))
    assert any(report.losses or report.torn for report in reports)
