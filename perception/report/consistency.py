"""Are poses as wrong as they tell? Factors that make it so, from pictures with true poses."""

from collections.abc import Sequence

import numpy as np

from perception.report.frames import FrameRecord

DIMENSIONS = 6
"""Of a pose's error: the mean of its normalised square (NEES) if the covariance is right."""
CLIPPED = 60.0
"""A larger NEES counts as this: no covariance makes good for a face that was taken for another."""
BINS = 4
FEWEST = 20
"""Pictures in a bin, over all sets."""
Factors = tuple[tuple[float, float], ...]


def pose_factors(sets: Sequence[Sequence[FrameRecord]], bins: int = BINS) -> Factors:
    """Factors on covariances by what they tell, as `PoseConfig.pose_factors`.

    In each of `bins` parts by the told deviation of the rotation, the mean NEES becomes 6. All sets
    count alike, however many pictures they have.

    Args:
        sets: Judged pictures, of one renderer or camera each, with poses whose covariances have not
            been scaled yet.
        bins: Parts with equally many pictures.

    Raises:
        ValueError: If there are too few poses.
    """
    told, nees, weight = (np.concatenate(values) for values in zip(*map(_of, sets), strict=True))
    if len(told) < FEWEST * bins:
        raise ValueError(
            f"{len(told)} pictures with a pose; {bins} factors need at least {FEWEST * bins}"
        )
    order = np.argsort(told)
    share = np.cumsum(weight[order]) / weight.sum()
    parts = [order[(share > i / bins) & (share <= (i + 1) / bins + 1e-9)] for i in range(bins)]
    return tuple(
        (
            float(np.exp(np.average(np.log(told[part]), weights=weight[part]))),
            float(np.average(nees[part], weights=weight[part]) / DIMENSIONS),
        )
        for part in parts
    )


def _of(records: Sequence[FrameRecord]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Told deviations of the rotation [rad], NEES and weights of the pictures with a pose."""
    posed = [r for r in records if r.has_pose]
    told = np.array([r.rotation_sigma_rad for r in posed])
    nees = np.minimum([r.nees for r in posed], CLIPPED)
    return told, nees, np.full(len(posed), 1.0 / max(len(posed), 1))
