"""How long every stage takes."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from perception.cube import cube_corners
from perception.detector.detector import CornerDetector
from perception.pose.solver import PoseConfig, solve_pose
from perception.samples import Sample
from perception.tracking.filter import Measurement, PoseFilter

PERCENTILES = (50, 95, 99)


def stage_times(
    detector: CornerDetector, samples: Sequence[Sample], config: PoseConfig
) -> dict[str, dict[str, float]]:
    """Percentiles [ms] per stage; the later stages only where the earlier ones found something.

    "track" is timed on the whole image too; in use its window is smaller.
    """
    filtering = PoseFilter()
    times: dict[str, list[float]] = {"detect": [], "track": [], "pose": [], "filter": []}
    for number, sample in enumerate(samples):
        detection, spent_ms = _timed(detector.detect, sample.image)
        times["detect"].append(spent_ms)
        if detection is None:
            continue
        times["track"].append(_timed(detector.track, sample.image, detection.box)[1])
        arguments = detection.corners, cube_corners(), sample.camera, config
        result, spent_ms = _timed(solve_pose, *arguments)
        times["pose"].append(spent_ms)
        if result.covariance is not None:
            measured = Measurement(number / 30.0, sample.T_camera_cube, result.covariance)
            times["filter"].append(_timed(filtering.add, measured)[1])
    return {
        name: {f"p{p}_ms": float(np.percentile(values, p)) for p in PERCENTILES}
        for name, values in times.items()
        if values
    }


def _timed[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """What a call returns, and how long it took [ms]."""
    started = time.perf_counter()
    result = work(*args, **kwargs)
    return result, 1e3 * (time.perf_counter() - started)
