"""Factors on covariances: errors become as large as poses tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_cube import drawn_sample
from test_pose_report import Scripted, seeing

from perception.detector.files import DetectorFile, load_detector, save_detector
from perception.pose.solver import PoseConfig, PoseStatus
from perception.report.consistency import CLIPPED, pose_factors
from perception.report.frames import FrameRecord, judge_frames
from perception.runs.scale import nees_before_and_after

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def record(rng):
    sample = drawn_sample(rng)
    return judge_frames(Scripted([seeing(sample)]), [sample], PoseConfig())[0]


def told(record: FrameRecord, count: int, factor: float, rng) -> list[FrameRecord]:
    """Pictures whose errors are as if their covariance had to be `factor` times as large."""
    sigma = rng.uniform(0.02, 0.1, count)
    nees = factor * rng.chisquare(6, count)
    return [
        replace(record, rotation_sigma_rad=s, nees=float(n))
        for s, n in zip(sigma, nees, strict=True)
    ]


def test_what_is_told_too_small_is_made_larger(record, rng):
    factors = pose_factors([told(record, 800, 2.5, rng)])
    assert len(factors) == 4 and all(0.02 < at < 0.1 for at, _ in factors)
    assert [at for at, _ in factors] == sorted(at for at, _ in factors)
    np.testing.assert_allclose([factor for _, factor in factors], 2.5, rtol=0.15)
    before, after = nees_before_and_after(told(record, 800, 2.5, rng), factors)
    assert before == pytest.approx(15.0, rel=0.1) and after == pytest.approx(6.0, rel=0.1)


def test_sets_count_alike_and_pictures_without_a_pose_do_not(record, rng):
    many, few = told(record, 3000, 1.0, rng), told(record, 300, 3.0, rng)
    lost = [replace(record, status=PoseStatus.NO_CUBE, nees=float("nan"))] * 50
    factors = pose_factors([many + lost, few + lost])
    np.testing.assert_allclose([factor for _, factor in factors], 2.0, rtol=0.15)


def test_a_face_taken_for_another_does_not_decide(record, rng):
    good = told(record, 400, 1.0, rng)
    flipped = [replace(good[0], nees=4000.0)]
    most = 1.0 + CLIPPED / 6.0 / 100
    assert max(factor for _, factor in pose_factors([good + flipped])) < 1.2 * most


def test_too_few_pictures_are_refused(record, rng):
    with pytest.raises(ValueError, match="30 pictures with a pose; 4 factors need at least 80"):
        pose_factors([told(record, 30, 1.0, rng)])


def test_factors_survive_their_file_and_older_files_have_none(tmp_path):
    shipped = load_detector(ROOT / "assets" / "detector.pt")
    path = tmp_path / "detector.pt"
    factors = ((0.02, 0.7), (0.1, 1.5))
    save_detector(path, replace(shipped, pose_factors=factors))
    assert load_detector(path).pose_factors == factors
    save_detector(path, replace(shipped, pose_factors=()))
    assert load_detector(path).pose_factors == ()


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (((0.1, 1.0), (0.02, 1.0)), "growing"),
        (((0.1, -1.0),), "above 0"),
        (((float("nan"), 1.0),), "not finite"),
    ],
)
def test_factors_that_cannot_be_are_refused(tmp_path, factors, message):
    shipped: DetectorFile = load_detector(ROOT / "assets" / "detector.pt")
    save_detector(tmp_path / "d.pt", replace(shipped, pose_factors=factors))
    with pytest.raises(ValueError, match=message):
        load_detector(tmp_path / "d.pt")
