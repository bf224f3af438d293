"""The report's numbers: what counts as missed, what is binned, what is written."""

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn_cube import drawn_sample
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from perception.cube import cube_corners
from perception.detector.detector import Detection, padded_box
from perception.geometry import project, transform
from perception.pose.projection import move
from perception.pose.solver import Corners, PoseConfig, PoseStatus
from perception.report.evaluation import Report, draw_report
from perception.report.figures import accuracy_figure
from perception.report.frames import judge_frames, obliquity_deg
from perception.report.overlay import contact_sheet, draw_cube, draw_detection
from perception.report.summary import (
    binned,
    covariance_factor,
    false_pose_rate,
    split_by_visibility,
    summarize,
)
from perception.report.tables import accuracy_table, binned_table


class Scripted:
    """Finds what it is told, image by image."""

    def __init__(self, detections):
        self._detections = iter(detections)

    def detect(self, image):
        return next(self._detections)


def seeing(sample, delta=(0,) * 6, sigma_px=0.5, noise_px=0.0, rng=None):
    """The detection of a cube that is displaced by a pose error and noise."""
    pose = move(sample.T_camera_cube, np.array(delta, dtype=float))
    uv, _ = project(cube_corners(), sample.camera, pose)
    if noise_px:
        uv = uv + noise_px * rng.normal(size=(8, 2))
    covariance = np.tile(sigma_px**2 * np.eye(2), (8, 1, 1))
    box = padded_box(uv, 0.08).astype(np.float32)
    return Detection(0.9, box, Corners.certain(uv, covariance), np.ones((28, 28), np.float32))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def samples(rng):
    return [drawn_sample(rng) for _ in range(4)]


def test_perfect_corners_make_a_perfect_report(samples):
    records = judge_frames(Scripted([seeing(s) for s in samples]), samples, PoseConfig())
    summary = summarize(records)
    assert summary["rotation_mean_deg"] < 1e-3 and summary["translation_mean_mm"] < 1e-3
    assert summary["add_at_7p8mm"] == 1.0 and summary["no_pose_rate"] == 0.0
    assert summary["flip_rate"] == 0.0 and summary["pck_visible_1px"] == 1.0
    assert 0.4 < summary["mask_iou"] < 1.0  # a full box against the cube's silhouette


def test_known_errors_are_reported_as_such(samples):
    delta = [0.003, 0, 0.004, 0, 0, np.radians(10.0)]
    records = judge_frames(Scripted([seeing(s, delta) for s in samples]), samples, PoseConfig())
    summary = summarize(records)
    assert summary["rotation_mean_deg"] == pytest.approx(10.0, abs=1e-3)
    assert summary["translation_mean_mm"] == pytest.approx(5.0, abs=1e-3)
    assert summary["translation_x_mm"] == pytest.approx(3.0, abs=1e-3)
    assert summary["translation_z_mm"] == pytest.approx(4.0, abs=1e-3)


def test_images_without_a_pose_count_as_missed(samples):
    found = [seeing(samples[0]), None, seeing(samples[2]), None]
    summary = summarize(judge_frames(Scripted(found), samples, PoseConfig()))
    assert summary["no_pose_rate"] == 0.5 and summary["add_at_7p8mm"] == 0.5
    assert summary["pck_visible_1px"] == pytest.approx(0.5, abs=0.1)
    assert summary["rotation_mean_deg"] < 1e-3


def test_a_flip_is_a_flip(samples):
    delta = [0, 0, 0, 0, 0, np.pi / 2]
    records = judge_frames(Scripted([seeing(s, delta) for s in samples]), samples, PoseConfig())
    assert summarize(records)["flip_rate"] == 1.0
    assert false_pose_rate(records) == 1.0


def test_without_any_pose_there_are_no_errors_to_average(samples):
    summary = summarize(judge_frames(Scripted([None] * 4), samples, PoseConfig()))
    assert summary["no_pose_rate"] == 1.0 and summary["rotation_mean_deg"] is None
    assert "-" in accuracy_table(summary)
    json.dumps(summary, allow_nan=False)
    with pytest.raises(ValueError, match="no corner"):
        covariance_factor(judge_frames(Scripted([None] * 4), samples, PoseConfig()))


def test_an_understated_covariance_is_found_out(rng):
    samples = [drawn_sample(rng) for _ in range(30)]
    found = [seeing(s, sigma_px=0.5, noise_px=1.0, rng=rng) for s in samples]
    records = judge_frames(Scripted(found), samples, PoseConfig())
    assert covariance_factor(records) == pytest.approx(4.0, rel=0.3)


def test_hardly_visible_cubes_are_reported_apart(samples):
    few = [replace(samples[0], visible_fraction=0.2), *samples[1:]]
    records = judge_frames(Scripted([seeing(s) for s in few]), few, PoseConfig())
    seen, hidden = split_by_visibility(records)
    assert len(seen) == 3 and len(hidden) == 1


def test_bins_hold_every_image_once(samples):
    records = judge_frames(Scripted([seeing(s) for s in samples]), samples, PoseConfig())
    rows = binned(records, "obliquity_deg", (0, 20, 40, 60))
    assert sum(row["frames"] for row in rows) == 4
    assert [row["name"] for row in rows] == [f"{row['from']} to {row['to']}" for row in rows]
    assert str(rows[0]["frames"]) in binned_table(rows, "obliquity")
    named = binned(records, "obliquity_deg", (0, 60, 90), ("front", "side"))
    assert [row["name"] for row in named] == ["front"] and "front" in binned_table(named, "from")


def test_the_figure_names_bins_counts_and_what_is_missing(samples, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    records = judge_frames(Scripted([seeing(samples[0]), None]), samples[:2], PoseConfig())
    rows = binned(records[:1], "visible_fraction", (0, 2), ("all",))
    rows += binned(records[1:], "visible_fraction", (0, 2), ("hidden",))
    accuracy_figure(tmp_path / "pose.png", records, {"part in sight [%]": rows}, "test")
    (rotation, error, translation, missing) = drawn[0].axes
    assert rotation.get_xlabel() == "rotation error [deg]"
    assert translation.get_xlabel() == "translation error [mm]"
    ticks = [tick.get_text() for tick in missing.get_xticklabels()]
    assert ticks == ["all\nn=1", "hidden\nn=1"] and missing.get_xlabel() == "part in sight [%]"
    assert error.get_ylabel() == "median rotation error [deg]"
    assert missing.get_ylabel() == "images without a pose [%]"
    assert [text.get_text() for text in missing.texts] == ["0.0", "100.0"]
    assert error.texts[1].get_text() == "none"


def test_a_face_seen_from_the_front_has_no_obliquity():
    pose = transform(np.array([0.0, 0.0, 0.3]), np.array([0.0, 0.0, 0.0, 1.0]))
    assert obliquity_deg(pose) == pytest.approx(0.0, abs=1e-5)
    corner_on = Rotation.align_vectors([[0, 0, -1.0]], [[1, 1, 1.0]])[0]
    pose = transform(np.array([0.0, 0.0, 0.3]), corner_on.as_quat())
    assert obliquity_deg(pose) == pytest.approx(54.7, abs=0.1)


def test_the_figure_and_the_pictures_are_drawn(samples, tmp_path):
    records = judge_frames(Scripted([seeing(s) for s in samples]), samples, PoseConfig())
    bins = {"obliquity": binned(records, "obliquity_deg", (0, 60))}
    path = tmp_path / "figure.png"
    draw_report(path, Report(summarize(records), "", records, bins), "test")
    assert path.stat().st_size > 1000
    sample = samples[0]
    for drawn in (
        draw_cube(sample.image, sample.T_camera_cube, sample.camera),
        draw_detection(sample.image, seeing(sample)),
    ):
        assert drawn.shape == sample.image.shape and (drawn != sample.image).any()
    behind = sample.T_camera_cube.copy()
    behind[2, 3] = -0.3
    assert (draw_cube(sample.image, behind, sample.camera) == sample.image).all()
    sheet = contact_sheet([s.image for s in samples[:3]], columns=2)
    assert sheet.shape == (480, 640, 3) and not sheet[240:, 320:].any()


def test_every_reason_has_words():
    assert len({str(status) for status in PoseStatus}) == len(PoseStatus)
