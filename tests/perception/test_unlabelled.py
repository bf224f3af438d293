"""Pictures without labels: neighbours, a second camera and counted turns find what is wrong."""

import time
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perception.calibration.file import CalibratedRig, save_rig
from perception.cameras.frames import Frame
from perception.cameras.oak import OakSettings
from perception.cameras.recording import Recording
from perception.geometry import inverse, look_at, transform
from perception.pose.projection import move
from perception.pose.solver import PoseResult, PoseStatus
from perception.report.unlabelled import (
    Glimpse,
    against_another,
    against_neighbours,
    summarize_disagreements,
    summarize_unlabelled,
    turned_deg,
    worst,
)
from tasks.cube_spin.eyes import real_cameras

RATE_HZ = 30.0
DEVIATIONS = np.array([0.0005, 0.0005, 0.002, 0.02, 0.02, 0.01])
"""Of position [m] and rotation [rad], in the camera's axes."""
CUBE = np.array([0.0, 0.18, -0.06])
UP = np.array([0.0, 1.0, 0.0])
BELOW, BESIDE = (look_at(CUBE + np.array(at), CUBE, UP) for at in ((0, 0, -0.3), (0.2, 0, -0.2)))


def truth(time_s: float, spin_rad_s: float = 1.0) -> np.ndarray:
    """A cube that spins about the vertical, in the hand's frame."""
    turn = Rotation.from_rotvec([0, 0, spin_rad_s * time_s]) * Rotation.from_rotvec([0.2, 0.1, 0])
    return transform(CUBE, turn.as_quat())


def seen_from(T_hand_camera, seconds=20.0, seed=0, noise=1.0, spin_rad_s=1.0) -> list[Glimpse]:
    rng, covariance = np.random.default_rng(seed), np.diag(DEVIATIONS**2)
    found = []
    for number in range(round(seconds * RATE_HZ)):
        time_s = number / RATE_HZ
        pose = inverse(T_hand_camera) @ truth(time_s, spin_rad_s)
        pose = move(pose, noise * DEVIATIONS * rng.normal(size=6))
        found.append(Glimpse(time_s, PoseResult(PoseStatus.OK, pose, covariance, None, 0.4)))
    return found


def without_pose(glimpse: Glimpse) -> Glimpse:
    return Glimpse(glimpse.time_s, PoseResult(PoseStatus.NO_CUBE))


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_scatter_about_the_neighbours_is_the_error_of_one_pose(noise: float) -> None:
    numbers = summarize_disagreements(against_neighbours(seen_from(BELOW, noise=noise)))
    assert numbers["compared"] == 598
    lengths = np.random.default_rng(1).normal(size=(20_000, 6)) * DEVIATIONS * noise
    expected_deg = np.degrees(np.median(np.linalg.norm(lengths[:, 3:], axis=1)))
    expected_mm = 1e3 * np.median(np.linalg.norm(lengths[:, :3], axis=1))
    assert numbers["rotation_deg_median"] == pytest.approx(expected_deg, rel=0.1)
    assert numbers["translation_mm_median"] == pytest.approx(expected_mm, rel=0.1)
    # 5.35 is the median of chi-squared with six degrees: the covariances are told as of noise 1.
    assert numbers["surprise_median"] == pytest.approx(5.35 * noise**2, rel=0.15)
    assert numbers["mistaken_rate"] == 0.0


def test_faces_taken_for_others_and_missing_poses_are_counted_and_shown() -> None:
    seen = seen_from(BELOW, seconds=2.0)
    pose = seen[20].result.T_camera_cube
    assert pose is not None
    turned = pose @ transform(np.zeros(3), np.array([0, 0, np.sqrt(0.5), np.sqrt(0.5)]))
    seen[20] = Glimpse(seen[20].time_s, PoseResult(PoseStatus.OK, turned, np.diag(DEVIATIONS**2)))
    seen[40] = without_pose(seen[40])
    apart = against_neighbours(seen)
    assert {d.index for d in apart} == set(range(1, 59)) - {39, 40, 41}
    numbers = summarize_unlabelled(seen, apart)
    assert numbers["no_pose_rate"] == pytest.approx(1 / 60)
    assert numbers["mistaken_rate"] == pytest.approx(3 / 55)  # it spoils its neighbours' means too
    assert worst(seen, apart, 4)[:2] == [40, 20]


def test_pictures_far_apart_are_not_neighbours() -> None:
    assert against_neighbours(seen_from(BELOW, seconds=2.0)[::5]) == []


def test_two_cameras_agree_unless_one_was_moved() -> None:
    seen, other = seen_from(BELOW, seed=0), seen_from(BESIDE, seed=1)
    right = summarize_disagreements(against_another(seen, other, BELOW, BESIDE))
    assert right["surprise_median"] == pytest.approx(5.35, rel=0.15)
    moved = BESIDE.copy()
    moved[:3, 3] += [0.0, 0.01, 0.0]
    wrong = summarize_disagreements(against_another(seen, other, BELOW, moved))
    assert wrong["translation_mm_median"] > 6.0 > 3.0 > right["translation_mm_median"]
    late = [Glimpse(glimpse.time_s + 100.0, glimpse.result) for glimpse in other]
    assert against_another(seen, late, BELOW, BESIDE) == []


@pytest.mark.parametrize("turns", [3.0, -2.0])
def test_turns_are_counted_as_a_person_sees_them_from_below(turns: float) -> None:
    """Clockwise from above is counter-clockwise in pictures from below."""
    spin = -turns * 2.0 * np.pi / 20.0
    seen = seen_from(BELOW, spin_rad_s=spin)
    assert turned_deg(seen) == pytest.approx(360.0 * turns, abs=8.0)


class FakeOak:
    """Gives grey pictures at its own pace, then none."""

    def __init__(self, settings: OakSettings, *, clock) -> None:
        self.clock, self.left, self.closed = clock, 400, False

    def read(self) -> Frame | None:
        self.left -= 1
        if self.left < 0:
            return None
        time.sleep(0.002)
        return Frame(np.full((48, 64, 3), 128, np.uint8), np.eye(3), self.clock())

    def close(self) -> None:
        self.closed = True


def calibration(folder: Path) -> Path:
    camera = np.array([[60.0, 0, 32.0], [0, 60.0, 24.0], [0, 0, 1.0]])
    save_rig(
        folder / "rig.json", CalibratedRig(camera, (), (48, 64), 0.1, BELOW, oak=OakSettings())
    )
    return folder / "rig.json"


def test_a_real_camera_is_filmed_as_calibrated(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(real_cameras, "OakCamera", FakeOak)
    frames = real_cameras.record_real(calibration(tmp_path), tmp_path / "film", seconds=0.1)
    film = Recording(tmp_path / "film")
    assert len(film.times_s) == frames >= 3
    frame = film.read()
    assert frame is not None
    assert frame.intrinsics[0, 0] == 60.0
    assert film.poses is None


def test_a_camera_that_ends_is_told_and_what_it_gave_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(real_cameras, "OakCamera", FakeOak)
    with pytest.raises(ConnectionError, match="no more frames"):
        real_cameras.record_real(calibration(tmp_path), tmp_path / "film", seconds=100.0)
    assert len(Recording(tmp_path / "film").times_s) == 400
