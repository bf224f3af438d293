"""What `evaluate_pose.py` does: judges a detector on pictures, on a film, or on real pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from perception.calibration.file import load_rig
from perception.cameras.recording import Recording
from perception.detector.files import DetectorFile
from perception.report import unlabelled
from perception.report.evaluation import (
    draw_report,
    evaluate,
    evaluate_sequence,
    film_sequence,
    measure_film,
)
from perception.report.overlay import contact_sheet, draw_cube
from perception.report.sequences import SequenceConfig
from perception.report.tables import reasons_table, sequence_table
from perception.shards import ShardDataset

WORST = 12
"""Pictures on the sheet of the worst ones."""


@dataclass(frozen=True)
class Outputs:
    """Files to write, where asked for."""

    figure: Path | None = None
    video: Path | None = None
    replay: Path | None = None


def judge_images(
    detector: DetectorFile,
    name: str,
    shards: Sequence[Path],
    split: str,
    most: int | None,
    device: str,
    figure: Path | None,
) -> dict:
    """Accuracy on labelled pictures of several data sets, printed and returned.

    `most` is of each data set; errors as `evaluate`.
    """
    samples = []
    for folder in shards:
        data = ShardDataset(folder, split)
        samples += [data[i] for i in range(min(len(data), most or len(data)))]
    report = evaluate(detector, samples, device)
    print(report.text)
    if figure:
        draw_report(figure, report, f"{name}, {len(samples)} {split} images")
        print(f"figure  -> {figure}")
    return report.numbers


def judge_sequence(
    detector: DetectorFile,
    sequence: Path,
    config: SequenceConfig,
    device: str,
    out: Outputs,
    *,
    lowpass: bool,
) -> dict:
    """The filtered pose on a film with true poses, printed and returned."""
    figure = out.figure and out.figure.with_stem(f"{out.figure.stem}_sequence")
    numbers = evaluate_sequence(detector, sequence, device, config, figure, lowpass=lowpass)
    print(sequence_table(numbers))
    if figure:
        print(f"figure  -> {figure}")
    if out.replay:
        measure_film(detector, sequence, device).save(out.replay)
        print(f"poses   -> {out.replay}")
    if out.video:
        posed = film_sequence(detector, sequence, device, out.video, lowpass=lowpass)
        print(f"video   -> {out.video} (pose in {100 * posed:.1f} % of the images)")
    return numbers


def judge_real(
    detector: DetectorFile,
    pictures: Path,
    device: str,
    *,
    turns: float | None = None,
    cameras: tuple[Path, Path] | None = None,
    second: Path | None = None,
    figure: Path | None = None,
) -> dict:
    """Pictures without labels, by what geometry knows; printed and returned.

    Args:
        detector: To be judged.
        pictures: A recording; its poses, if any, are not looked at.
        device: Where the detector runs.
        turns: How far somebody turned the cube meanwhile, counter-clockwise in the pictures.
        cameras: Calibrations of the camera and of a second one.
        second: Recording of the second camera, at the same time and on one clock.
        figure: Where the worst pictures go.

    Raises:
        ValueError: If a calibration lacks the camera's place, or no picture could be compared.
    """
    seen = unlabelled.glimpses(detector, Recording(pictures), device)
    apart = unlabelled.against_neighbours(seen)
    numbers: dict = dict(unlabelled.summarize_unlabelled(seen, apart))
    reasons = [str(glimpse.result.status) for glimpse in seen if not glimpse.result.ok]
    numbers["reasons"] = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    if turns is not None:
        numbers["turned_deg"] = unlabelled.turned_deg(seen)
        numbers["turned_wrong_deg"] = numbers["turned_deg"] - 360.0 * turns
    if second is not None and cameras is not None:
        places = [_place(path) for path in cameras]
        other = unlabelled.glimpses(detector, Recording(second), device)
        between = unlabelled.against_another(seen, other, *places)
        if not between:
            raise ValueError(
                f"no picture of {pictures} and of {second} is of one moment with a pose in both; "
                "are their times of one clock?"
            )
        numbers["cameras"] = unlabelled.summarize_disagreements(between)
    print(_real_text(numbers))
    if figure:
        figure = figure.with_stem(f"{figure.stem}_worst")
        _draw_worst(figure, pictures, seen, apart, detector)
        print(f"worst   -> {figure}")
    return numbers


def _place(calibration: Path) -> np.ndarray:
    rig = load_rig(calibration)
    if rig.T_hand_camera is None:
        raise ValueError(f"{calibration} lacks the camera's place: calibrate --fixture")
    return rig.T_hand_camera


def _real_text(numbers: dict) -> str:
    parts = [sequence_table({k: v for k, v in numbers.items() if k not in ("reasons", "cameras")})]
    parts.append(reasons_table(numbers["reasons"], numbers["pictures"]))
    if "cameras" in numbers:
        parts.append(f"between the cameras\n{sequence_table(numbers['cameras'])}")
    return "\n\n".join(parts)


def _draw_worst(
    path: Path,
    pictures: Path,
    seen: list[unlabelled.Glimpse],
    apart: list[unlabelled.Disagreement],
    detector: DetectorFile,
) -> None:
    """A sheet of the pictures to look at, with the pose where there is one."""
    chosen, drawn = unlabelled.worst(seen, apart, WORST), {}
    recording = Recording(pictures)
    for index in range(max(chosen, default=-1) + 1):
        frame = recording.read()
        if index in chosen and frame is not None:
            pose = seen[index].result.T_camera_cube
            image = frame.image
            if pose is not None:
                image = draw_cube(image, pose, frame.intrinsics, marked=detector.marked)
            drawn[index] = image
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [drawn[index] for index in chosen] or [np.zeros((48, 64, 3), np.uint8)]
    Image.fromarray(contact_sheet(images, columns=4)).save(path)
