"""Corner measurements to one pose: consensus, weighted refinement, rules for what to believe.

Nothing here raises on bad measurements: a control loop gets a `PoseResult` whose status says why
there is no pose.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from perception.pose.projection import Array, pose_error, project_with_jacobian
from perception.pose.refinement import Refined, refine


class PoseStatus(StrEnum):
    """What became of one image."""

    OK = "ok"
    NO_CUBE = "no cube in the image"
    TOO_FEW_CORNERS = "fewer than four usable corners"
    NO_CONSENSUS = "no pose explains four corners"
    NEEDS_PREDICTION = "four corners only, and no prediction to choose between their two poses"
    AGAINST_PREDICTION = "four corners only, and their pose is far from the prediction"
    NO_CONVERGENCE = "the refinement failed"
    OUT_OF_RANGE = "the cube would be too near or too far"
    LARGE_RESIDUAL = "the corners do not fit the cube"
    UNCERTAIN = "the pose is too uncertain to use"


@dataclass(frozen=True)
class Corners:
    """The detector's measurement of the cube's corners in one image, in the order of the cube."""

    uv: Array
    """(8, 2) continuous pixels; NaN where there is none."""
    covariance: Array
    """(8, 2, 2) in px²."""


@dataclass(frozen=True)
class PoseResult:
    """A pose, or the reason why there is none."""

    status: PoseStatus
    T_camera_cube: Array | None = None
    covariance: Array | None = None
    """(6, 6) of (position in m, rotation in rad), in the camera's axes."""
    inliers: Array | None = None
    """(8,) bool: corners the pose rests on."""
    residual_px: float = float("nan")
    """Root mean square distance of the inliers from their corners."""

    @property
    def ok(self) -> bool:
        """Whether there is a pose."""
        return self.status is PoseStatus.OK


@dataclass(frozen=True)
class PoseConfig:
    """When corners make a pose. Pixels are those of the image the detector saw (320 wide)."""

    max_corner_sigma_px: float = 6.0
    """Corners less certain than this are not used."""
    ransac_error_px: float = 3.0
    ransac_iterations: int = 200
    inlier_sigmas: float = 4.0
    """Corners further than this from the refined pose, in their own deviations, are dropped."""
    min_corners: int = 5
    """Inliers that make a pose on their own; four (a face seen from the front) fit two poses."""
    prediction_position_m: float = 0.02
    prediction_rotation_rad: float = 0.5
    """With four corners, the furthest a pose may be from the prediction."""
    depth_range_m: tuple[float, float] = (0.1, 0.8)
    max_residual_px: float = 2.5
    max_rotation_sigma_rad: float = 0.35
    """Largest standard deviation about any axis; above, the pose says too little."""
    covariance_factor: float = 1.0
    """Factor on the corners' covariance, from the normalised errors on held-out images."""


def solve_pose(
    corners: Corners,
    points_m: Array,
    intrinsics: Array,
    config: PoseConfig | None = None,
    prediction: Array | None = None,
) -> PoseResult:
    """The cube's pose from one image.

    Args:
        corners: Measured corners; those that are not finite or too uncertain are left out.
        points_m: The cube's corners (8, 3) in its own frame, same order.
        intrinsics: K (3, 3) of an image without distortion, continuous pixels.
        prediction: `T_camera_cube` (4, 4) expected from earlier images; decides between the two
            poses that four corners leave open.
    """
    config = config or PoseConfig()
    told = Corners(corners.uv, corners.covariance * config.covariance_factor)
    problem = _Problem(told, points_m, intrinsics, config)
    usable = _usable(told, config.max_corner_sigma_px)
    if usable.sum() < 4:
        return PoseResult(PoseStatus.TOO_FEW_CORNERS)
    inliers, refined = usable, None
    if usable.sum() >= config.min_corners:
        inliers, guess = _consensus(problem, usable)
        if guess is None or inliers.sum() < 4:
            return PoseResult(PoseStatus.NO_CONSENSUS)
        inliers, refined = _regrow(problem, usable, inliers, guess)
    weak = inliers.sum() < config.min_corners
    if weak and prediction is None:
        return PoseResult(PoseStatus.NEEDS_PREDICTION, inliers=inliers)
    if weak and prediction is not None:
        refined = problem.refine(inliers, prediction)
    if refined is None:
        return PoseResult(PoseStatus.NO_CONVERGENCE, inliers=inliers)
    residual_px = float(np.sqrt((refined.residuals_px**2).sum(axis=1).mean()))
    status = _judge(refined, residual_px, config, prediction if weak else None)
    if status is not PoseStatus.OK:
        return PoseResult(status, inliers=inliers, residual_px=residual_px)
    return PoseResult(status, refined.T_camera_cube, refined.covariance, inliers, residual_px)


@dataclass(frozen=True)
class _Problem:
    """What every step of solving needs."""

    corners: Corners
    points_m: Array
    intrinsics: Array
    config: PoseConfig

    def refine(self, chosen: Array, start: Array) -> Refined | None:
        """The pose that fits the chosen corners best, from a first guess."""
        uv, covariance = self.corners.uv[chosen], self.corners.covariance[chosen]
        return refine(start, self.points_m[chosen], uv, covariance, self.intrinsics)

    def agreeing(self, usable: Array, pose: Array) -> Array:
        """(8,) bool: usable corners near where the pose puts them, by their own uncertainty."""
        predicted, _ = project_with_jacobian(pose, self.points_m[usable], self.intrinsics)
        off = (predicted - self.corners.uv[usable])[:, :, None]
        whitened = np.linalg.solve(self.corners.covariance[usable], off)
        found = usable.copy()
        found[usable] = (off * whitened).sum(axis=(1, 2)) <= self.config.inlier_sigmas**2
        return found


def _usable(corners: Corners, max_sigma_px: float) -> Array:
    finite = np.isfinite(corners.uv).all(1) & np.isfinite(corners.covariance).all((1, 2))
    variance = np.where(finite[:, None, None], corners.covariance, np.eye(2))
    eigenvalues = np.linalg.eigvalsh(variance)
    return finite & (eigenvalues[:, 0] > 0.0) & (eigenvalues[:, 1] <= max_sigma_px**2)


def _consensus(problem: _Problem, usable: Array) -> tuple[Array, Array | None]:
    """The pose most corners agree on: RANSAC over minimal sets of four (AP3P)."""
    uv, intrinsics, config = problem.corners.uv, problem.intrinsics, problem.config
    index = np.flatnonzero(usable)
    # OpenCV knows no skew and counts pixels from their centres: give it a camera without either.
    focal = float(np.sqrt(abs(np.linalg.det(intrinsics[:2, :2]))))
    rays = (uv[index] - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T
    try:
        found, rotation, position, chosen = cv2.solvePnPRansac(
            np.ascontiguousarray(problem.points_m[index]),
            np.ascontiguousarray(rays * focal),
            np.diag([focal, focal, 1.0]),
            None,
            flags=cv2.SOLVEPNP_AP3P,
            reprojectionError=config.ransac_error_px,
            iterationsCount=config.ransac_iterations,
            confidence=0.9999,
        )
    except cv2.error:  # degenerate corners, such as several in one place
        return usable, None
    if not found or chosen is None or not np.isfinite([rotation, position]).all():
        return usable, None
    inliers = np.zeros(len(uv), dtype=bool)
    inliers[index[np.asarray(chosen, dtype=int).ravel()]] = True
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], position.ravel()
    return inliers, pose


def _regrow(
    problem: _Problem, usable: Array, inliers: Array, guess: Array
) -> tuple[Array, Refined | None]:
    """The refined pose, its inliers judged by each corner's uncertainty, which RANSAC ignores."""
    refined = problem.refine(inliers, guess)
    if refined is None:
        return inliers, None
    agreeing = problem.agreeing(usable, refined.T_camera_cube)
    if agreeing.sum() < 4 or (agreeing == inliers).all():
        return inliers, refined
    return agreeing, problem.refine(agreeing, refined.T_camera_cube)


def _judge(
    refined: Refined, residual_px: float, config: PoseConfig, prediction: Array | None
) -> PoseStatus:
    near, far = config.depth_range_m
    if not near <= refined.T_camera_cube[2, 3] <= far:
        return PoseStatus.OUT_OF_RANGE
    if residual_px > config.max_residual_px:
        return PoseStatus.LARGE_RESIDUAL
    largest = float(np.linalg.eigvalsh(refined.covariance[3:, 3:])[-1])
    if largest > config.max_rotation_sigma_rad**2:
        return PoseStatus.UNCERTAIN
    if prediction is not None:
        off = pose_error(refined.T_camera_cube, prediction)
        distance, turn = np.linalg.norm(off[:3]), np.linalg.norm(off[3:])
        if distance > config.prediction_position_m or turn > config.prediction_rotation_rad:
            return PoseStatus.AGAINST_PREDICTION
    return PoseStatus.OK
