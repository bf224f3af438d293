"""Each fault of data or training is found where it is, not found where it is not, and has a remedy.

The measurements are made up here, one fault at a time.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sernf_isaac.learning.report import findings
from sernf_isaac.learning.report.calibration import Calibration
from sernf_isaac.learning.report.candidates import Candidates
from sernf_isaac.learning.report.corrections import Corrections
from sernf_isaac.learning.report.curves import Curves
from sernf_isaac.learning.report.measurements import Measurements
from sernf_isaac.learning.report.overview import Overview

DATA = Overview(
    length_s=np.array([4.0, 5.0, 9.0]),
    total=np.array([1.0, 1.0, 0.0]),
    outcome=("success", "success", "timeout"),
    held_out=1,
    rewards=(0.0, 1.0),
    returns=(0.0, 1.0),
    ends=2,
)
RISING = [(10, 1.0), (20, 1.5), (30, 1.8), (40, 1.9)]
CURVES = Curves(
    stages={"imitation": 40, "warm_up": 60, "offline": 100},
    imitated=RISING,
    held_out=[(10, 0.9), (20, 1.2), (30, 1.3), (40, 1.28), (50, 1.28), (80, 0.4)],
    drift=[(70, 0.0), (80, 0.08), (90, 0.11), (100, 0.1)],
    weight=[(70, 1.0), (100, 2.0)],
    budget=0.1,
    clamped=0.01,
)
CORRECTIONS = Corrections(8, np.ones((2, 16)), width=14.0)
CANDIDATES = Candidates(
    count=8,
    sigma=0.7,
    deviation=np.full((5, 2), 0.2),
    half_range=np.ones(2),
    spread=np.full(5, 0.3),
    disagreement=np.full(5, 0.1),
    same_best=np.ones(5, bool),
)
CLEAN = Measurements(
    data=DATA,
    curves=CURVES,
    corrections=CORRECTIONS,
    candidates=CANDIDATES,
    calibration=Calibration(*(np.linspace(0, 1, 5) for _ in range(2)), *2 * (np.ones(5, bool),)),
    judged_on="all episodes",
    action_names=("x", "y"),
    noise_std=0.05,
    support=(0.0, 1.0),
    wants_critics=True,
)
FAULTS = {
    "None of 3 episodes failed": (
        "data",
        {"outcome": ("success", "recovered", "success")},
        "failed attempts",
    ),
    "No episode says whether it succeeded": ("data", {"outcome": 3 * ("unknown",)}, "label.py"),
    "All rewards are 0, so critics have nothing to learn": (
        "data",
        {"rewards": (0.0, 0.0)},
        "only imitate",
    ),
    "All rewards are -1, so critics know only how long": (
        "data",
        {"rewards": (-1.0, -1.0)},
        "Reward success",
    ),
    "returns in the data reach from -20 to 0": ("data", {"returns": (-20.0, 0.0)}, "support=null"),
    "30 % of the critics' newest targets": ("curves", {"clamped": 0.3}, "support_headroom"),
    "Deviations of the actions from their trend last 5.5 steps": (
        "corrections",
        {"width": 5.5},
        "spec.horizon",
    ),
    "Half of the 4 interventions last less than 5 steps": (
        "corrections",
        {"interventions": (3, 5, 5, 20)},
        "spec.horizon",
    ),
    "Held-out chunks were likeliest at update 20": (
        "curves",
        {"held_out": [(10, 0.9), (20, 1.3), (30, 1.2), (40, 1.0)]},
        "imitation_steps=20",
    ),
    "The policy left its budget": (
        "curves",
        {"drift": [(70, 0.0), (80, 0.1), (90, 0.2), (100, 0.25)]},
        "rl_learning_rate",
    ),
    "Candidates hardly differ": ("candidates", {"deviation": np.full((5, 2), 0.03)}, "sigma"),
    "The critics' choice is noise": (
        "candidates",
        {"disagreement": np.full(5, 0.4)},
        "likeliest candidate",
    ),
}


def told(found: Measurements) -> list[str]:
    return [str(finding) for finding in found.findings()]


def test_clean_data_and_trainings_have_no_faults() -> None:
    assert told(CLEAN) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_alone_and_says_what_to_do(fault: str) -> None:
    part, changes, remedy = FAULTS[fault]
    broken = replace(CLEAN, **{part: replace(getattr(CLEAN, part), **changes)})
    (sentence,) = told(broken)
    assert fault in sentence and remedy in sentence


def test_a_run_that_only_imitates_needs_neither_failures_nor_rewards() -> None:
    data = replace(DATA, outcome=3 * ("success",), rewards=(0.0, 0.0), returns=(-0.5, 0.5))
    alone = replace(CLEAN, data=data, wants_critics=False, calibration=None, support=None)
    assert told(alone) == []
    assert len(told(replace(alone, wants_critics=True))) == 2


@pytest.mark.parametrize(
    ("find", "found"),
    [
        (findings.chunk_too_long, replace(CORRECTIONS, width=None)),
        (findings.chunk_too_long, replace(CORRECTIONS, interventions=(3, 3))),
        (findings.imitated_too_long, replace(CURVES, held_out=[])),
        (findings.imitated_too_long, replace(CURVES, imitated=[])),
        (findings.left_budget, replace(CURVES, budget=None)),
        (findings.left_budget, replace(CURVES, drift=[])),
        (findings.left_budget, replace(CURVES, stages={"imitation": 40})),
        (findings.choice_is_noise, replace(CANDIDATES, disagreement=None)),
    ],
)
def test_what_was_not_measured_is_no_fault(find: Callable, found: object) -> None:
    assert find(found) is None


def test_held_out_data_may_fall_in_the_later_stages_and_together_with_imitated_ones() -> None:
    both_fall = replace(
        CURVES,
        imitated=[(10, 1.0), (20, 1.5), (30, 1.3), (40, 1.2)],
        held_out=[(10, 0.9), (20, 1.3), (30, 1.2), (40, 1.0)],
    )
    assert findings.imitated_too_long(both_fall) is None
    assert findings.imitated_too_long(CURVES) is None  # 0.4 in stage III


def test_a_policy_far_beyond_its_budget_is_said_to_imitate_only() -> None:
    far = findings.left_budget(replace(CURVES, drift=[(100, 0.5)]))
    near = findings.left_budget(replace(CURVES, drift=[(100, 0.15)]))
    assert far and near and "only imitates" in far.fault and "only imitates" not in near.fault


def test_what_candidates_must_differ_by_grows_with_the_noise_of_imitation() -> None:
    near = replace(CANDIDATES, deviation=np.full((5, 2), 0.02))
    assert findings.alike(near, noise_std=0.05) and not findings.alike(near, noise_std=0.01)
    assert findings.alike(replace(near, count=1), noise_std=0.05) is None
