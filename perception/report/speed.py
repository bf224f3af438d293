"""How long every stage takes.

The network is timed by the wall clock. Pose and filter run on one core: what counts is the time
their thread spends computing, whatever else the machine is doing. They are timed right after the
network, when the processor's caches hold its weights and not them, as in use.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from perception.detector.detector import CornerDetector
from perception.marked import CUBE, MarkedObject
from perception.pose.projection import move
from perception.pose.solver import PoseConfig, solve_pose
from perception.samples import Sample
from perception.tracking.filter import Measurement, PoseFilter

PERCENTILES = (50, 95, 99)
PREDICTION_ERROR = np.array([0.001, 0.0, 0.002, 0.03, 0.0, 0.03])
"""Pose error (m, rad) of the prediction that pose solving is given while tracking."""


def stage_times(
    detector: CornerDetector,
    samples: Sequence[Sample],
    config: PoseConfig,
    marked: MarkedObject = CUBE,
) -> dict[str, dict[str, float]]:
    """Percentiles [ms] per stage; the later stages only where the earlier ones found something.

    "track" is timed on the whole image too; in use its window is smaller. "pose" searches the whole
    space, "tracked_pose" is given a prediction; the filter follows a cube at rest.
    """
    filtering, first_pose = PoseFilter(), None
    names = ("detect", "pose", "track", "tracked_pose", "filter", "tracked_pose_and_filter")
    times: dict[str, list[float]] = {name: [] for name in names}
    for number, sample in enumerate(samples):
        view = marked.keypoints(), sample.camera, config
        detection, spent_ms = _timed(time.perf_counter, detector.detect, sample.image)
        times["detect"].append(spent_ms)
        if detection is None:
            continue
        result, spent_ms = _timed(time.thread_time, solve_pose, detection.corners, *view)
        times["pose"].append(spent_ms)
        if result.T_camera_cube is None or result.covariance is None:
            continue
        _, spent_ms = _timed(time.perf_counter, detector.track, sample.image, detection.box)
        times["track"].append(spent_ms)
        expected = move(result.T_camera_cube, PREDICTION_ERROR)
        _, pose_ms = _timed(time.thread_time, solve_pose, detection.corners, *view, expected)
        first_pose = result.T_camera_cube if first_pose is None else first_pose
        measured = Measurement(number / 30.0, first_pose, result.covariance)
        _, filter_ms = _timed(time.thread_time, filtering.add, measured)
        times["tracked_pose"].append(pose_ms)
        times["filter"].append(filter_ms)
        times["tracked_pose_and_filter"].append(pose_ms + filter_ms)
    return {
        name: {f"p{p}_ms": float(np.percentile(values, p)) for p in PERCENTILES}
        for name, values in times.items()
        if values
    }


def _timed[**P, T](
    clock: Callable[[], float], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> tuple[T, float]:
    """What a call returns, and how long it took [ms]."""
    started = clock()
    result = work(*args, **kwargs)
    return result, 1e3 * (clock() - started)
