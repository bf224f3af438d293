"""When the policy without a camera takes over, and when it hands back."""

import numpy as np
import pytest

from sernf_isaac.deploy.actor.episode import End, EpisodeResult
from sernf_isaac.deploy.actor.fallback import EyesWatch, FallbackRule
from sernf_isaac.deploy.loop.states import Reason


def test_it_takes_over_when_poses_are_old_and_hands_back_after_some_in_a_row():
    watch = EyesWatch(FallbackRule(after_s=0.5, poses=3, longest_s=2.0))
    steps = [
        (True, 0.06, False),
        (False, 0.5, False),
        (False, 0.55, True),
        (True, 0.06, True),  # the first of three
        (False, 0.11, True),
        (True, 0.06, True),
        (False, 0.6, True),  # a gap: they are counted anew
        (True, 0.06, True),
        (True, 0.06, True),
        (True, 0.06, False),
        (False, 0.3, False),
    ]
    for number, (new, age_s, drives) in enumerate(steps):
        assert watch.update(new=new, age_s=age_s) is drives, number


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"after_s": 0.0}, r"runner.fallback.after_s \(0.0\) must be positive and finite"),
        ({"longest_s": np.inf}, "longest_s"),
        ({"poses": 0}, "at least 1"),
        ({"after_s": 2.0, "longest_s": 1.0}, "longest_s .* must be above"),
    ],
)
def test_impossible_rules_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FallbackRule(**settings)


def test_an_end_under_the_fallback_says_nothing_about_the_policy():
    numbers = (40, 2.0, 2.0, 1.0, 1.0, 0, 0)
    result = EpisodeResult("a", End.DROPPED, "failure", Reason.NONE, *numbers)
    assert result.judges_policy
    result.ended_by_fallback = True
    assert not result.judges_policy
