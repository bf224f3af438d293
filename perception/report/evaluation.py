"""The whole report of a detector: single images, sequences, speed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from perception.cameras.recording import Recording
from perception.detector.detector import CornerDetector
from perception.detector.files import DetectorFile
from perception.marked import CUBE, MarkedObject, refuse_other_marks
from perception.pose.solver import PoseConfig
from perception.report.figures import accuracy_figure, sequence_figure
from perception.report.film import film
from perception.report.frames import FrameRecord, judge_frames
from perception.report.mishaps import MistakenDetector
from perception.report.replay import MeasuredFilm
from perception.report.sequences import SequenceConfig, play, summarize_sequence
from perception.report.speed import stage_times
from perception.report.summary import (
    Bin,
    binned,
    by_name,
    false_pose_rate,
    split_by_visibility,
    summarize,
)
from perception.report.tables import accuracy_table, binned_table, reasons_table
from perception.samples import Sample
from perception.tracking.filter import LOWPASS, FilterConfig
from perception.tracking.plausible import PlausibleConfig
from perception.tracking.tracker import CubeTracker, TrackerConfig

IN_SIGHT_EDGES = (0.35, 0.5, 0.65, 0.8, 0.95, 1.3)
IN_SIGHT_LABELS = ("35 to 50", "50 to 65", "65 to 80", "80 to 95", "95 or more")
OBLIQUITY_EDGES = (0.0, 10.0, 20.0, 30.0, 40.0, 55.0)
TIMED_IMAGES = 200


@dataclass(frozen=True)
class Report:
    """Numbers, text and what figures are drawn from."""

    numbers: dict
    text: str
    records: list[FrameRecord]
    bins: dict[str, list[Bin]]


def pose_config(detector: DetectorFile) -> PoseConfig:
    """How to solve for poses with a detector's corners."""
    return PoseConfig(
        covariance_factor=detector.covariance_factor, pose_factors=detector.pose_factors
    )


def judged(
    detector: DetectorFile, samples: Sequence[Sample], device: str, *, scaled: bool = True
) -> list[FrameRecord]:
    """Every sample as the tracker would look at it for the first time.

    Args:
        detector: Finds corners.
        samples: Labelled pictures of the detector's object.
        device: Where the network runs.
        scaled: Whether covariances are scaled by the detector's `pose_factors`.
    """
    config = pose_config(detector)
    return judge_frames(
        CornerDetector(detector.network, detector.config, device),
        samples,
        config if scaled else replace(config, pose_factors=()),
        detector.marked,
        PlausibleConfig(),
        detector.config.box_padding,
    )


def tracker_config(detector: DetectorFile, *, lowpass: bool = False) -> TrackerConfig:
    """How to look for the cube with a detector; `lowpass` filters poses as the paper does (F.2)."""
    return TrackerConfig(
        filter=LOWPASS if lowpass else FilterConfig(),
        detect_size=detector.image_size,
        box_padding=detector.config.box_padding,
        marked=detector.marked,
        pose=pose_config(detector),
    )


def evaluate(
    detector_file: DetectorFile,
    samples: Sequence[Sample],
    device: str,
    shown: MarkedObject = CUBE,
) -> Report:
    """Accuracy on single images of an object, binned, and the speed of every stage.

    Raises:
        ValueError: If no sample shows enough of the object, or the detector is for another one.
    """
    refuse_other_marks(detector_file.marked, shown, "the detector", "the pictures")
    detector = CornerDetector(detector_file.network, detector_file.config, device)
    config, marked = pose_config(detector_file), detector_file.marked
    seen, hidden = split_by_visibility(judged(detector_file, samples, device))
    if not seen:
        raise ValueError("no image shows enough of the cube to be judged")
    accuracy = summarize(seen)
    bins = _bins(seen)
    speed, reasons = stage_times(detector, samples[:TIMED_IMAGES], config, marked), _reasons(seen)
    numbers = accuracy | {
        "frames_per_s": _rate(speed, "detect"),
        "tracked_frames_per_s": _rate(speed, "track"),
        "false_pose_rate_hidden": false_pose_rate(hidden),
        "frames_hidden": len(hidden),
        "reasons": reasons,
        "speed": speed,
        "bins": bins,
        "config": asdict(config),
    }
    parts = [accuracy_table(accuracy), *(binned_table(rows, label) for label, rows in bins.items())]
    parts += [reasons_table(reasons, len(seen)), _speed_table(speed, numbers)]
    return Report(numbers, "\n\n".join(parts), seen, bins)


def evaluate_sequence(
    detector_file: DetectorFile,
    recording: Path,
    device: str,
    config: SequenceConfig,
    figure: Path | None = None,
    *,
    lowpass: bool = False,
) -> dict:
    """Accuracy of the filtered pose on a recording with true poses, at the moment of use."""
    detector = CornerDetector(detector_file.network, detector_file.config, device)
    mistaken = MistakenDetector(detector, config.outliers, np.random.default_rng([config.seed, 1]))
    tracker = CubeTracker(mistaken, tracker_config(detector_file, lowpass=lowpass))
    played, costs_ms = play(Recording(recording), tracker, config)
    if figure:
        sequence_figure(figure, played, f"filtered pose at the moment of use, {recording.name}")
    numbers = summarize_sequence(played, costs_ms)
    return numbers | {
        "mistakes": mistaken.mistakes,
        "config": asdict(config) | {"lowpass": lowpass},
    }


def measure_film(detector_file: DetectorFile, recording: Path, device: str) -> MeasuredFilm:
    """What the eyes measure on every picture of a recording with true poses.

    Raises:
        ValueError: If the recording holds no true poses.
    """
    film = Recording(recording)
    if film.poses is None:
        raise ValueError(f"{recording} has no true poses (poses), so it cannot be judged")
    detector = CornerDetector(detector_file.network, detector_file.config, device)
    tracker = CubeTracker(detector, tracker_config(detector_file))
    poses, covariances = (
        np.full((len(film.times_s), 4, 4), np.nan),
        np.zeros((len(film.times_s), 6, 6)),
    )
    for number in range(len(film.times_s)):
        frame = film.read()
        assert frame is not None, "one per time"
        result = tracker.see(frame).result
        if result.T_camera_cube is not None and result.covariance is not None:
            poses[number], covariances[number] = result.T_camera_cube, result.covariance
    return MeasuredFilm(np.array(film.times_s), poses, covariances, film.poses)


def film_sequence(
    detector_file: DetectorFile,
    recording: Path,
    device: str,
    video: Path,
    *,
    lowpass: bool = False,
) -> float:
    """A film of a recording with the filtered pose; the part of its images with one."""
    detector = CornerDetector(detector_file.network, detector_file.config, device)
    tracker = CubeTracker(detector, tracker_config(detector_file, lowpass=lowpass))
    return film(Recording(recording), tracker, video)


def draw_report(path: Path, report: Report, title: str) -> None:
    """The report's figure."""
    accuracy_figure(path, report.records, report.bins, title)


def _bins(seen: Sequence[FrameRecord]) -> dict[str, list[Bin]]:
    """The images by what makes them hard."""
    quarters = _quartiles([r.sharpness for r in seen])
    ranks = [f"{rank} of {len(quarters) - 1}" for rank in range(1, len(quarters))]
    sight = binned(seen, "visible_fraction", IN_SIGHT_EDGES, IN_SIGHT_LABELS)
    bins = {
        "part of the cube in sight [%]": sight,
        "obliquity [deg]": binned(seen, "obliquity_deg", OBLIQUITY_EDGES),
        "quarter of sharpness, blurred first": binned(seen, "sharpness", quarters, ranks),
    }
    named = {field: by_name(seen, field) for field in ("renderer", "condition")}
    return bins | {field: rows for field, rows in named.items() if len(rows) > 1}


def _quartiles(values: Sequence[float]) -> list[float]:
    """Five growing edges around a quarter of the values each."""
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite):
        return [0.0, 1.0]
    edges = np.quantile(finite, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
    edges[-1] += 1.0  # the last edge is not part of its bin
    return [low for low, high in pairwise([*edges, np.inf]) if low < high]


def _rate(speed: dict[str, dict[str, float]], look: str) -> float | None:
    """Images per second from image to pose; None if no cube was found to be timed."""
    if look not in speed or "pose" not in speed:
        return None
    return 1e3 / (speed[look]["p50_ms"] + speed["pose"]["p50_ms"])


def _reasons(records: Sequence[FrameRecord]) -> dict[str, int]:
    """How often there was no pose, by reason."""
    reasons = [str(r.status) for r in records if not r.has_pose]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def _speed_table(speed: dict[str, dict[str, float]], numbers: dict) -> str:
    head = f"{'stage [ms]':<24}{'p50':>9}{'p95':>9}{'p99':>9}"
    lines = [
        f"{name.replace('_', ' '):<24}" + "".join(f"{value:>9.2f}" for value in values.values())
        for name, values in speed.items()
    ]
    rates = [
        f"{label:<24}{rate:>6.1f} images per second"
        for label, name in (("image to pose", "frames_per_s"), ("tracked", "tracked_frames_per_s"))
        if (rate := numbers[name]) is not None
    ]
    return "\n".join([head, *lines, *rates])
