"""What `scale_covariance.py` does: finds factors on the covariance of a detector's poses."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from perception.detector.files import DetectorFile
from perception.marked import refuse_other_marks
from perception.report.consistency import Factors, pose_factors
from perception.report.evaluation import judged
from perception.report.frames import FrameRecord
from perception.report.summary import split_by_visibility
from perception.shards import ShardDataset


def scaled_detector(
    detector: DetectorFile, shards: Sequence[Path], split: str, most: int | None, device: str
) -> DetectorFile:
    """The detector with factors from labelled pictures; says what they do.

    Args:
        detector: Its own factors, if any, are replaced.
        shards: Data sets, one per renderer; all count alike.
        split: Part of them.
        most: Pictures of each at most.
        device: Where the network runs.

    Raises:
        ValueError: If there are too few poses, or a data set shows another object.
    """
    sets = [_records(detector, folder, split, most, device) for folder in shards]
    factors = pose_factors(sets)
    for at, factor in factors:
        print(f"told {np.degrees(at):5.2f} deg: covariance times {factor:.2f}")
    for folder, records in zip(shards, sets, strict=True):
        before, after = nees_before_and_after(records, factors)
        print(f"{folder}: mean NEES {before:.1f} before, {after:.1f} after (6 is right)")
    return replace(detector, pose_factors=factors)


def nees_before_and_after(records: Sequence[FrameRecord], factors: Factors) -> tuple[float, float]:
    """Mean NEES of poses whose covariances have not been scaled, and after scaling them."""
    posed = [r for r in records if r.has_pose]
    nees = np.array([r.nees for r in posed])
    at, factor = np.array(factors).T
    told = np.log([r.rotation_sigma_rad for r in posed])
    return float(nees.mean()), float((nees / np.interp(told, np.log(at), factor)).mean())


def _records(
    detector: DetectorFile, folder: Path, split: str, most: int | None, device: str
) -> list[FrameRecord]:
    data = ShardDataset(folder, split)
    refuse_other_marks(detector.marked, data.marked, "the detector", f"{folder}")
    samples = [data[i] for i in range(min(len(data), most or len(data)))]
    return split_by_visibility(judged(detector, samples, device, scaled=False))[0]
