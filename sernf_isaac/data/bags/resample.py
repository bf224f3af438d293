"""Signals that were sampled whenever they liked, brought to one clock: the maths of the importers.

Times are seconds from an origin all signals share, increasing; quaternions are xyzw.
"""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from sernf_isaac.data.episode import Array

ROUNDING_S = 1e-6
"""How far apart two times may be and still count as the same."""
IDENTITY_XYZW = (0.0, 0.0, 0.0, 1.0)


def make_grid(start_s: float, end_s: float, rate_hz: float) -> Array:
    """(G,) times from `start_s` on, none after `end_s`."""
    count = int(np.floor((end_s - start_s + ROUNDING_S / 2) * rate_hz)) + 1
    return start_s + np.arange(max(0, count)) / rate_hz


def linear(times_s: Array, values: Array, at_s: Array) -> Array:
    """(G, D) values on straight lines between the samples, (S,) and (S, D).

    Raises:
        ValueError: If a time lies outside the samples: there is nothing to draw a line to.
    """
    _check_inside(times_s, at_s)
    return np.stack([np.interp(at_s, times_s, column) for column in values.T], axis=1)


def slerp_xyzw(
    times_s: Array, quats_xyzw: Array, at_s: Array, reference_xyzw: tuple[float, ...]
) -> Array:
    """(G, 4) unit quaternions turning steadily from sample to sample, (S,) and (S, 4).

    q and -q are the same rotation: samples may flip between the two, and the result is the one of
    them nearer to the reference, so that equal rotations have equal numbers.

    Raises:
        ValueError: As for `linear`, or if a quaternion is not of unit length; names its index.
    """
    _check_inside(times_s, at_s)
    lengths = np.linalg.norm(quats_xyzw, axis=1)
    if (odd := np.flatnonzero(~(np.abs(lengths - 1.0) < 1e-2))).size:
        raise ValueError(f"quaternion has length {lengths[odd[0]]:.3g} at index {odd[0]}")
    rotations = Rotation.from_quat(quats_xyzw)
    if len(times_s) == 1:
        turned = np.repeat(rotations.as_quat(), len(at_s), axis=0)
    else:
        inside_s = np.clip(at_s, times_s[0], times_s[-1])
        turned = Slerp(times_s, rotations)(inside_s).as_quat()
    return canonical_xyzw(turned, reference_xyzw)


def canonical_xyzw(quats_xyzw: Array, reference_xyzw: tuple[float, ...]) -> Array:
    """(G, 4) the same rotations, each with the sign that is nearer to the reference."""
    flip = quats_xyzw @ np.asarray(reference_xyzw, np.float64) < 0
    return np.where(flip[:, None], -quats_xyzw, quats_xyzw)


def seam_distance(quats_xyzw: Array, reference_xyzw: tuple[float, ...]) -> float:
    """How near the rotations come to where `canonical_xyzw` changes sign: 0 on it, at most 1."""
    reference = np.asarray(reference_xyzw, np.float64)
    return float(np.abs(quats_xyzw @ reference).min() / np.linalg.norm(reference))


def latest(times_s: Array, at_s: Array) -> tuple[Array, Array]:
    """Index of the newest sample not after each time, and its age in seconds: (G,) each.

    Raises:
        ValueError: If a time lies before the first sample.
    """
    index = np.searchsorted(times_s, at_s + ROUNDING_S, side="right") - 1
    if (index < 0).any():
        raise ValueError(f"nothing was sampled before {at_s[index < 0][0]:.3f} s")
    return index, np.maximum(at_s - times_s[index], 0.0)


def find_gaps(times_s: Array, longer_than_s: float, window_s: tuple[float, float]) -> Array:
    """(gaps, 2) start and length of each silence that touches the window."""
    lengths = np.diff(times_s)
    touches = (times_s[1:] > window_s[0]) & (times_s[:-1] < window_s[1])
    found = np.flatnonzero((lengths > longer_than_s) & touches)
    return np.stack([times_s[found], lengths[found]], axis=1)


def sum_events(times_s: Array, values: Array, grid_s: Array) -> tuple[Array, int]:
    """(G-1,) sum of the (S,) events in each interval, start excluded and end included.

    Returns:
        The sums, and how many events lie outside the grid.
    """
    interval = np.searchsorted(grid_s, times_s, side="left") - 1
    inside = (interval >= 0) & (interval < len(grid_s) - 1)
    sums = np.zeros(len(grid_s) - 1)
    np.add.at(sums, interval[inside], values[inside])
    return sums, int((~inside).sum())


def _check_inside(times_s: Array, at_s: Array) -> None:
    if at_s[0] < times_s[0] - ROUNDING_S or at_s[-1] > times_s[-1] + ROUNDING_S:
        raise ValueError(
            f"samples reach from {times_s[0]:.3f} to {times_s[-1]:.3f} s, asked for "
            f"{at_s[0]:.3f} to {at_s[-1]:.3f} s"
        )
