"""Corner measurements to one pose: consensus, weighted refinement, rules for what to believe.

Nothing here raises on bad measurements: a control loop gets a `PoseResult` whose status says why
there is no pose.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from perception.pose.consensus import FAR_AWAY_PX, Belief, Hypotheses, Places, hypothesize
from perception.pose.projection import Array, pose_error
from perception.pose.refinement import Refined, refine


class PoseStatus(StrEnum):
    """What became of one image."""

    OK = "ok"
    NO_CUBE = "no cube in the image"
    TOO_FEW_CORNERS = "fewer than four usable corners"
    NO_CONSENSUS = "no pose explains four corners"
    AMBIGUOUS = "another pose explains the corners almost as well"
    NEEDS_PREDICTION = "four corners only, and no prediction to choose between their two poses"
    AGAINST_PREDICTION = "the corners leave the pose open, and no pose is near the prediction"
    OUT_OF_RANGE = "the cube would be too near or too far"
    LARGE_RESIDUAL = "the corners do not fit the cube"
    UNCERTAIN = "the pose is too uncertain to use"
    NOT_IN_BOX = "the pose does not fill the box that the cube was found in"
    OTHER_PRINT = "the picture does not show the cube's print where the pose puts it"
    OTHER_COLOURS = "the colours are not the print's: is the picture grey, or BGR instead of RGB?"
    MIRRORED = "the print is mirrored: does the camera mirror its pictures?"
    UPSIDE_DOWN = (
        "the cube would be where it belongs if the picture were turned by 180 degrees or mirrored: "
        "is the camera upside down?"
    )
    OUTSIDE_WORKSPACE = "the cube would be outside of the workspace: is the camera where it was?"


@dataclass(frozen=True)
class Corners:
    """The detector's measurement of the cube's corners in one image, in the order of the cube.

    A network may hesitate between places, so a corner has up to M of them, the likeliest first.
    """

    uv: Array
    """(8, M, 2) continuous pixels; NaN where there is none."""
    covariance: Array
    """(8, M, 2, 2) in px²."""
    mass: Array
    """(8, M) probability that the corner is there."""

    @classmethod
    def certain(cls, uv: Array, covariance: Array) -> Self:
        """One place (8, 2) per corner, with its covariance (8, 2, 2) and no doubt about it."""
        return cls(uv[:, None], covariance[:, None], np.ones((len(uv), 1)))

    @property
    def likeliest(self) -> Array:
        """(8, 2) pixels."""
        return self.uv[:, 0]


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
    rivals: tuple[Self, ...] = ()
    """Where the corners leave the pose open: poses that explain them about as well, the best
    first. The picture itself, or a prediction, may settle between them."""

    @property
    def ok(self) -> bool:
        """Whether there is a pose."""
        return self.status is PoseStatus.OK

    @property
    def rotation_sigma_rad(self) -> float:
        """Standard deviation of the rotation, all axes together; NaN without a pose."""
        return float("nan") if self.covariance is None else _rotation_sigma(self.covariance)


@dataclass(frozen=True)
class PoseConfig:
    """When corners make a pose. Pixels are those of the image the detector saw (320 wide)."""

    max_corner_sigma_px: float = 12.0
    """Places less certain than this are not used."""
    tolerance_px: float = 0.5
    """Standard deviation added to every place where poses are judged: a pose from three noisy
    corners does not meet the others exactly."""
    inlier_sigmas: float = 4.0
    """Corners further than this from the pose, in their own deviations, are dropped."""
    min_corners: int = 5
    """Inliers that make a pose on their own; four (a face seen from the front) fit two poses."""
    min_lead: float = 7.0
    """Log of how much likelier the pose must be than the best one that is unlike it."""
    most_rivals: int = 4
    """Where the corners leave the pose open, at most so many poses are given to choose from."""
    unlike_rad: float = 0.44
    """Poses turned by more than this from each other are unlike."""
    prediction_position_m: float = 0.02
    prediction_rotation_rad: float = 0.5
    """Where the corners leave the pose open, the furthest it may be from the prediction."""
    depth_range_m: tuple[float, float] = (0.1, 0.8)
    max_residual_sigmas: float = 2.5
    """Largest root mean square distance of the inliers from their corners, in their own deviations:
    a corner that is told to be uncertain may be further off than one in plain sight."""
    max_rotation_sigma_rad: float = 0.35
    """Largest standard deviation of the rotation, all axes together; above, it says too little."""
    covariance_factor: float = 1.0
    """Factor on the covariance of a corner's only place, from the normalised errors on held-out
    images."""
    vague_factor: float = 6.0
    """The factor where the network hesitates: hidden corners are guessed from the others, and all
    guesses of a picture are wrong together."""
    vague_mass: float = 0.6
    """A place with this probability or less is vague; between here and 1 the factor is in between.
    """
    pose_factors: tuple[tuple[float, float], ...] = ()
    """Factors on the covariance of poses, from their errors on held-out images: pairs of a standard
    deviation of the rotation [rad] and the factor there, growing, with straight lines over its
    logarithm in between. None: 1."""


def solve_pose(
    corners: Corners,
    points_m: Array,
    intrinsics: Array,
    config: PoseConfig | None = None,
    prediction: Array | None = None,
) -> PoseResult:
    """The cube's pose from one image.

    Args:
        corners: Measured corners; places that are not finite or too uncertain are left out.
        points_m: The cube's corners (8, 3) in its own frame, same order.
        intrinsics: K (3, 3) of an image without distortion, continuous pixels.
        prediction: `T_camera_cube` (4, 4) expected from earlier images. It saves the search where
            almost all corners agree with it, and decides where they leave the pose open.
    """
    problem = _Problem(corners, points_m, intrinsics, config or PoseConfig())
    if problem.corners_seen < 4:
        return PoseResult(PoseStatus.TOO_FEW_CORNERS)
    if prediction is not None and (fit := problem.confirmed(prediction)):
        return problem.judged(fit)
    guesses = problem.guesses()
    fit = problem.fit(guesses.best) if guesses else None
    doubt = problem.doubt(fit, guesses)
    if doubt is None and fit is not None:
        return problem.judged(fit)
    if prediction is None:
        return PoseResult(
            doubt or PoseStatus.NO_CONSENSUS,
            inliers=fit.inliers if fit else None,
            rivals=problem.rivals(guesses) if guesses else (),
        )
    expected = problem.expected(prediction, guesses)
    if expected is None or (fit and expected.score < fit.score - problem.config.min_lead):
        return PoseResult(PoseStatus.AGAINST_PREDICTION)
    return problem.judged(expected)


@dataclass(frozen=True)
class _Fit:
    """A refined pose and what it rests on."""

    refined: Refined
    inliers: Array
    score: float


class _Problem:
    """What every step of solving needs."""

    def __init__(
        self, corners: Corners, points_m: Array, intrinsics: Array, config: PoseConfig
    ) -> None:
        self.config = config
        self._places = _usable(corners, config)
        self.corners_seen = int((self._places.mass > 0.0).any(axis=1).sum())
        self._points_m, self._intrinsics = points_m, intrinsics
        self._belief = Belief(self._places, points_m, intrinsics, config.tolerance_px)

    def guesses(self) -> Hypotheses | None:
        """Poses from three corners each."""
        enough = self.config.min_corners + 1
        return hypothesize(self._places, self._points_m, self._intrinsics, self._belief, enough)

    def fit(self, start: Array) -> _Fit | None:
        """The pose near a first guess (4, 4) that fits the corners it explains; None if it explains
        fewer than four."""
        inliers, place, _ = self._explained(start)
        refined = self._refine(start, inliers, place)
        if refined is None:
            return None
        again, better, score = self._explained(refined.T_camera_cube)
        if (again != inliers).any() or (better != place)[inliers].any():
            refined = self._refine(refined.T_camera_cube, again, better)
        return None if refined is None else _Fit(refined, again, score)

    def confirmed(self, prediction: Array) -> _Fit | None:
        """The pose near the prediction if it leaves no room for another one: it has more corners at
        their likeliest places than a pose needs."""
        inliers, place, _ = self._explained(prediction)
        if (inliers & (place == 0)).sum() <= self.config.min_corners:
            return None
        fit = self.fit(prediction)
        return fit if fit and fit.inliers.sum() > self.config.min_corners else None

    def expected(self, prediction: Array, guesses: Hypotheses | None) -> _Fit | None:
        """The pose the corners allow near the prediction; None if it is not that near."""
        reach = self.config.prediction_position_m, self.config.prediction_rotation_rad
        start = guesses.best_near(prediction, *reach) if guesses else None
        fit = self.fit(prediction if start is None else start)
        if fit is None:
            return None
        off = pose_error(fit.refined.T_camera_cube, prediction)
        near = np.linalg.norm(off[:3]) <= reach[0] and np.linalg.norm(off[3:]) <= reach[1]
        return fit if near else None

    def doubt(self, fit: _Fit | None, guesses: Hypotheses | None) -> PoseStatus | None:
        """Why the corners alone do not settle the pose; None if they do."""
        if fit is None or guesses is None:
            return PoseStatus.NO_CONSENSUS
        if fit.inliers.sum() < self.config.min_corners:
            return PoseStatus.NEEDS_PREDICTION
        rival = guesses.best_unlike(fit.refined.T_camera_cube, self.config.unlike_rad)
        return PoseStatus.AMBIGUOUS if fit.score < rival + self.config.min_lead else None

    def rivals(self, guesses: Hypotheses) -> tuple[PoseResult, ...]:
        """Judged poses that are unlike each other and explain the corners about as well."""
        tried: list[_Fit] = []
        for start in guesses.unlike_each_other(self.config.unlike_rad, self.config.most_rivals):
            fit = self.fit(start)
            if fit and not any(_alike(fit, other, self.config.unlike_rad / 2) for other in tried):
                tried.append(fit)
        if not tried:
            return ()
        least = max(fit.score for fit in tried) - self.config.min_lead
        results = [self.judged(f) for f in sorted(tried, key=lambda f: -f.score) if f.score > least]
        return tuple(result for result in results if result.ok)

    def judged(self, fit: _Fit) -> PoseResult:
        """The result of a fit that nothing else competes with."""
        refined, status = fit.refined, _judge(fit.refined, self.config)
        residual_px = float(np.sqrt((refined.residuals_px**2).sum(axis=1).mean()))
        if status is not PoseStatus.OK:
            return PoseResult(status, inliers=fit.inliers, residual_px=residual_px)
        # Where corners are further off than they are told to be, the pose is less certain, too.
        told = refined.squared_errors.sum() / (2 * len(refined.squared_errors) - 6)
        covariance = scaled(refined.covariance * max(1.0, told), self.config.pose_factors)
        return PoseResult(status, refined.T_camera_cube, covariance, fit.inliers, residual_px)

    def _explained(self, pose: Array) -> tuple[Array, Array, float]:
        """(8,) bool: corners with a place where the pose puts them; (8,) which place that is; the
        pose's score."""
        squared = self._belief.squared_distances(pose[None])
        at_places = self._belief.at_places(squared)
        place = at_places[0].argmax(axis=1)
        near = squared[0, np.arange(len(place)), place] <= self.config.inlier_sigmas**2
        return near, place, float(self._belief.scores(at_places)[0])

    def _refine(self, start: Array, inliers: Array, place: Array) -> Refined | None:
        at = np.flatnonzero(inliers)
        if len(at) < 4:
            return None
        uv, covariance = self._places.uv[at, place[at]], self._places.covariance[at, place[at]]
        return refine(start, self._points_m[at], uv, covariance, self._intrinsics)


def scaled(covariance: Array, factors: tuple[tuple[float, float], ...]) -> Array:
    """A pose's covariance (6, 6) times the factor at its rotation's deviation."""
    if not factors:
        return covariance
    at, factor = np.array(factors).T
    return covariance * np.interp(np.log(_rotation_sigma(covariance)), np.log(at), factor)


def _rotation_sigma(covariance: Array) -> float:
    return float(np.sqrt(covariance.diagonal()[3:].sum()))


def _alike(fit: _Fit, other: _Fit, angle_rad: float) -> bool:
    turn = pose_error(fit.refined.T_camera_cube, other.refined.T_camera_cube)[3:]
    return bool(np.linalg.norm(turn) <= angle_rad)


def _usable(corners: Corners, config: PoseConfig) -> Places:
    """Places that are finite and certain enough; the others get no mass."""
    factors = config.vague_factor, config.covariance_factor
    factor = np.interp(corners.mass, (config.vague_mass, 1.0), factors)
    covariance = corners.covariance * factor[..., None, None]
    xx, xy, yy = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite fails the comparisons
        middle, spread = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
        good = (middle + spread <= config.max_corner_sigma_px**2) & (middle - spread > 1e-6)
        good &= np.isfinite(corners.uv).all(axis=2) & (corners.mass > 0.0)
    return Places(
        np.where(good[..., None], corners.uv, FAR_AWAY_PX),
        np.where(good[..., None, None], covariance, np.eye(2)),
        np.where(good, corners.mass, 0.0),
    )


def _judge(refined: Refined, config: PoseConfig) -> PoseStatus:
    near, far = config.depth_range_m
    if not near <= refined.T_camera_cube[2, 3] <= far:
        return PoseStatus.OUT_OF_RANGE
    if not refined.squared_errors.mean() <= config.max_residual_sigmas**2:
        return PoseStatus.LARGE_RESIDUAL
    if not refined.covariance.diagonal()[3:].sum() <= config.max_rotation_sigma_rad**2:
        return PoseStatus.UNCERTAIN
    return PoseStatus.OK
