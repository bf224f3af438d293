"""A film's measurements are kept, replayed with mishaps, and filtered well.

The film in `data/` shows the smooth teacher at 1.5 rad/s for 20 s; no setting was chosen on it:

    python scripts/record_camera.py --out runs/recordings/fast --policy assets/teacher_smooth.pt \
      --spin 1.5 --seed 21
    python scripts/evaluate_pose.py --detector assets/detector.pt --threads 1 \
      --sequence runs/recordings/fast --replay tests/perception/data/fast_teacher.npz
"""

from pathlib import Path

import numpy as np
import pytest

from perception.report.replay import MeasuredFilm, Mishaps, replay
from perception.tracking.filter import GATE_997, FilterConfig
from perception.tracking.state import MotionConfig

FILM = Path(__file__).parent / "data" / "fast_teacher.npz"
RUNAWAY = FilterConfig(
    gate=GATE_997,
    motion=MotionConfig(
        jerks_m2_s=0.0, jerks_rad2_s=0.0, acceleration_m2_s3=0.02, spin_acceleration_rad2_s3=10.0
    ),
)
"""What takes every jerk for a new spin."""


@pytest.fixture(scope="module")
def film():
    return MeasuredFilm.load(FILM)


def test_a_film_is_kept_as_it_was(film, tmp_path):
    gaps = film.poses.copy()
    gaps[3] = np.nan
    kept = MeasuredFilm(film.times_s, gaps, film.covariances, film.truths)
    kept.save(tmp_path / "film.npz")
    loaded = MeasuredFilm.load(tmp_path / "film.npz")
    for name in ("times_s", "poses", "covariances", "truths"):
        np.testing.assert_allclose(getattr(loaded, name), getattr(kept, name), atol=1e-6)


def test_another_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        MeasuredFilm.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", times_s=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is no file of measurements"):
        MeasuredFilm.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("poses")
    with pytest.raises(ValueError, match=r"text\.npz is no file of measurements"):
        MeasuredFilm.load(tmp_path / "text.npz")


def test_filtered_poses_are_as_good_as_measured_ones(film):
    numbers = replay(film, FilterConfig())
    assert numbers["refused"] == 0 and numbers["lost"] == 0.0
    for quantity in ("deg_mean", "deg_p95", "mm_mean", "mm_p95"):
        assert numbers[f"filtered_{quantity}"] < 1.1 * numbers[f"measured_{quantity}"]
    assert numbers["later_deg_mean"] < 6.0


@pytest.mark.parametrize("seed", [0, 1])
def test_outliers_and_gaps_cost_little(film, seed):
    numbers = replay(film, FilterConfig(), Mishaps(outliers=0.1, dropout=0.15, seed=seed))
    assert numbers["believed"] == 0 and numbers["refused"] == 0 and numbers["lost"] == 0.0
    for quantity in ("mean", "p95"):
        assert numbers[f"filtered_deg_{quantity}"] < 1.3 * numbers[f"measured_deg_{quantity}"]
    assert numbers["later_deg_mean"] < 6.0


def test_covariances_of_a_film_are_about_right(film):
    numbers = replay(film, FilterConfig())
    assert 3.0 < numbers["nees_mean"] < 9.0
    assert 1.5 < numbers["nis_mean"] < 9.0 and 1.5 < numbers["nees_later_mean"] < 9.0


def test_a_filter_that_takes_jerks_for_spins_runs_away(film):
    """Negative control."""
    numbers = replay(film, RUNAWAY)
    assert numbers["refused"] > 20
    assert numbers["filtered_deg_p95"] > 2.0 * numbers["measured_deg_p95"]
    assert numbers["later_deg_mean"] > 6.0
