"""Weighted least squares on corner residuals, and the covariance it implies."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv  # type: ignore[attr-defined]  # made at import

from perception.pose.projection import Array, move, project_with_jacobian

MAX_STEPS = 10
CONVERGED = 0.1
"""Steps shorter than this, in standard deviations of the pose, end the refinement."""
MAX_CONDITION = 1e10
"""Of the normal matrix with its diagonal scaled to 1; above, the corners do not fix the pose."""


@dataclass(frozen=True)
class Refined:
    """A local minimum of the weighted reprojection error."""

    T_camera_cube: Array
    covariance: Array
    """(6, 6) of the pose error: position in m, rotation in rad, in the camera's axes."""
    squared_errors: Array
    """(n,) squared residuals in units of their covariance; about 2 on average."""
    residuals_px: Array
    """(n, 2)"""


@dataclass(frozen=True)
class _System:
    """The linearised problem at a pose."""

    cost: float
    gradient: Array
    normal: Array
    squared_errors: Array
    residuals_px: Array


def refine(
    guess: Array,
    points_m: Array,
    uv: Array,
    uv_covariance: Array,
    intrinsics: Array,
    *,
    huber: float = 3.0,
    max_steps: int = MAX_STEPS,
) -> Refined | None:
    """Minimise the reprojection error from a first guess by Levenberg-Marquardt.

    Residuals longer than `huber` standard deviations weigh less (Huber). The covariance is the
    inverse of the weighted normal matrix: the Cramér-Rao bound if `uv_covariance` is right.

    Args:
        guess: A first `T_camera_cube` (4, 4).
        points_m: Points of the cube (n, 3), n >= 3.
        uv: Their pixels (n, 2), all finite.
        uv_covariance: (n, 2, 2) in px², positive definite.
        intrinsics: K (3, 3).
        huber: In standard deviations.
        max_steps: 0 only judges the first guess.

    Returns:
        None if the points leave the half space before the camera or do not fix the pose.
    """
    problem = (points_m, uv, _whitening(uv_covariance), intrinsics, huber)
    pose, damping = guess, 1e-6
    system = _linearize(pose, *problem)
    for _ in range(max_steps):
        if system is None:
            return None
        step = _solve(system, damping)
        if step is None:
            return None
        candidate = move(pose, step)
        trial = _linearize(candidate, *problem)
        if trial is not None and trial.cost <= system.cost:
            pose, system, damping = candidate, trial, damping / 10
            if step @ system.normal @ step < CONVERGED**2:
                break
        else:
            damping *= 1000
            if damping > 1e9:
                break
    return None if system is None else _result(pose, system)


def _whitening(covariance: Array) -> Array:
    """(n, 2, 2) that turns residuals with a covariance (n, 2, 2) into ones with deviation 1: the
    inverse of the Cholesky factor."""
    white = np.zeros_like(covariance)
    across = np.sqrt(covariance[:, 0, 0])
    along = covariance[:, 1, 0] / across
    rest = np.sqrt(covariance[:, 1, 1] - along**2)
    white[:, 0, 0], white[:, 1, 1] = 1.0 / across, 1.0 / rest
    white[:, 1, 0] = -along / (across * rest)
    return white


def _linearize(
    pose: Array, points_m: Array, uv: Array, whitening: Array, intrinsics: Array, huber: float
) -> _System | None:
    predicted, jacobian = project_with_jacobian(pose, points_m, intrinsics)
    residual = predicted - uv
    white = (whitening @ residual[:, :, None])[:, :, 0]
    squared = (white * white).sum(axis=1)
    total = float(squared.sum())
    if not np.isfinite(total):
        return None
    rows = whitening @ jacobian
    if squared.max() > huber**2:
        length = np.sqrt(squared)
        weight = huber / np.maximum(length, huber)
        total = float(np.where(length <= huber, squared, 2 * huber * length - huber**2).sum())
        root = np.sqrt(weight)[:, None]
        rows, white = rows * root[:, :, None], white * root
    rows = rows.reshape(-1, 6)
    return _System(total, rows.T @ white.ravel(), rows.T @ rows, squared, residual)


def _result(pose: Array, system: _System) -> Refined | None:
    # Metres and radians differ in size: scale before judging the condition.
    scale = 1.0 / np.sqrt(np.maximum(system.normal.diagonal(), 1e-300))
    scaled = system.normal * scale[:, None] * scale
    _, inverse, failed = dposv(scaled, np.eye(6))
    condition = np.abs(scaled).sum(axis=0).max() * np.abs(inverse).sum(axis=0).max()
    if failed or not condition <= MAX_CONDITION:  # NaN is refused too
        return None
    covariance = inverse * scale[:, None] * scale
    return Refined(pose, covariance, system.squared_errors, system.residuals_px)


def _solve(system: _System, damping: float) -> Array | None:
    """The Levenberg-Marquardt step (6,); None if the corners do not fix it."""
    matrix = system.normal.copy()
    matrix.flat[::7] *= 1.0 + damping
    _, step, failed = dposv(matrix, -system.gradient)
    return None if failed or not np.isfinite(step).all() else step
