"""Weighted least squares on corner residuals, and the covariance it implies."""

from dataclasses import dataclass

import numpy as np

from perception.pose.projection import Array, move, project_with_jacobian

MAX_STEPS = 10
CONVERGED = 1e-6
"""Steps shorter than this, in metres and radians, end the refinement."""
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
    whitening = np.linalg.inv(np.linalg.cholesky(uv_covariance))
    problem = (points_m, uv, whitening, intrinsics, huber)
    pose, damping = guess, 1e-6
    system = _linearize(pose, *problem)
    for _ in range(max_steps):
        if system is None:
            return None
        step = _solve(system.normal + damping * np.diag(np.diag(system.normal)), -system.gradient)
        if step is None:
            return None
        candidate = move(pose, step)
        trial = _linearize(candidate, *problem)
        if trial is not None and trial.cost <= system.cost:
            pose, system, damping = candidate, trial, damping / 10
            if np.abs(step).max() < CONVERGED:
                break
        else:
            damping *= 1000
            if damping > 1e9:
                break
    return None if system is None else _result(pose, system)


def _linearize(
    pose: Array, points_m: Array, uv: Array, whitening: Array, intrinsics: Array, huber: float
) -> _System | None:
    predicted, jacobian = project_with_jacobian(pose, points_m, intrinsics)
    residual = predicted - uv
    if not np.isfinite(residual).all():
        return None
    white = (whitening @ residual[:, :, None])[:, :, 0]
    squared = (white**2).sum(axis=1)
    length = np.sqrt(squared)
    root = np.sqrt(huber / np.maximum(length, huber))  # root of Huber's weight
    rows = ((whitening @ jacobian) * root[:, None, None]).reshape(-1, 6)
    right = (white * root[:, None]).reshape(-1)
    cost = np.where(length <= huber, squared, 2 * huber * length - huber**2).sum()
    return _System(float(cost), rows.T @ right, rows.T @ rows, squared, residual)


def _result(pose: Array, system: _System) -> Refined | None:
    # Metres and radians differ in size: scale before judging the condition.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(system.normal), 1e-300))
    scaled = system.normal * np.outer(scale, scale)
    if not np.isfinite(scaled).all() or np.linalg.cond(scaled) > MAX_CONDITION:
        return None
    covariance = np.linalg.inv(scaled) * np.outer(scale, scale)
    covariance = (covariance + covariance.T) / 2
    return Refined(pose, covariance, system.squared_errors, system.residuals_px)


def _solve(matrix: Array, right: Array) -> Array | None:
    try:
        step = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None
