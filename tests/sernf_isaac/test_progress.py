"""Bars over minutes end full and show round numbers."""

import io

import pytest

from sernf_isaac.progress import MinutesBar


@pytest.mark.parametrize("steps", [[0.7, 0.42], [0.1] * 12, [5.0]])
def test_more_minutes_than_asked_for_fill_the_bar(steps):
    drawn = io.StringIO()
    with MinutesBar(1.0, "data", file=drawn) as bar:
        bar.mininterval = 0
        for minutes in steps:
            bar.add(minutes)
    last = drawn.getvalue().split("\r")[-1]
    assert "100%" in last and "1.0 of 1.0 min" in last
    assert "99999" not in drawn.getvalue() and "112%" not in drawn.getvalue()


def test_a_bar_without_an_end_counts_minutes():
    drawn = io.StringIO()
    with MinutesBar(None, "data", file=drawn) as bar:
        bar.mininterval = 0
        bar.reach(0.3)
        bar.reach(1.26)
    assert "data: 1.3 min [" in drawn.getvalue().split("\r")[-1]
