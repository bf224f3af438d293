"""Error-state Kalman filter of one rigid body; measurements come in the order of their times.

The state is a position, a velocity, a unit quaternion and a spin. Errors, not quaternions, are
what the filter's linear algebra works on (filterpy): a small rotation in the frame's axes, so that
the full covariance of a pose (tilt and depth are known worse than the rest) is used as it is.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from filterpy.kalman import KalmanFilter
from scipy.spatial.transform import Rotation

from perception.pose.projection import pose_error
from perception.tracking.state import (
    POSITION,
    ROTATION,
    SPIN,
    VELOCITY,
    Array,
    CubeState,
    MotionConfig,
    coast,
    turned,
)

TURNS = Rotation.create_group("O").as_matrix()
"""(24, 3, 3) turns of a cube onto itself."""
GATE_997 = 19.80
"""Chi-square quantile of six dimensions at 99.7 %."""
GATE_OF_JERKS = 60.0
"""Three times that, for a cube that fingers push: few jerks are large, but far larger than a normal
distribution has them. On films of the twin 0 to 1 of 400 good measurements lie beyond."""


@dataclass(frozen=True)
class Measurement:
    """A pose from one image."""

    time_s: float
    """When the image was taken (middle of the exposure)."""
    pose: Array
    """(4, 4) cube to the filter's frame."""
    covariance: Array
    """(6, 6) of the errors of position [m] and rotation [rad], in the frame's axes."""


class Outcome(StrEnum):
    """What the filter did with a measurement."""

    USED = "used"
    TURNED = "used, as it would be with the faces that it took for others"
    STARTED = "started a track"
    WAITING = "waits for a second one that agrees"
    REJECTED = "too far from the prediction"
    TOO_OLD = "older than everything remembered"


@dataclass(frozen=True)
class FilterConfig:
    """How much motion to expect and when to give up a track."""

    motion: MotionConfig = field(default_factory=MotionConfig)
    gate: float = GATE_OF_JERKS
    """Largest squared distance to the prediction, in units of both covariances."""
    max_rejections: int = 8
    """Consecutive rejections after which the track is lost."""
    max_gap_s: float = 0.4
    """Without a used measurement for this long the track is lost."""
    start_velocity_m_s: float = 0.1
    """Standard deviation of a new track's velocity."""
    start_spin_rad_s: float = 2.0
    """Standard deviation of a new track's spin."""
    max_start_gap_s: float = 0.2
    """The two measurements that start a track are no further apart."""
    memory: int = 12
    """Measurements that late ones can be sorted in between."""


LOWPASS = FilterConfig(
    gate=GATE_997,
    motion=MotionConfig(
        jerks_m2_s=0.0,
        jerks_rad2_s=0.0,
        acceleration_m2_s3=0.0002,
        spin_acceleration_rad2_s3=0.05,
        velocity_decay_s=0.3,
    ),
)
"""The paper's low-pass Kalman filter (F.2): so little motion is expected that noise averages out
over a second or so, and changes of the spin are followed as slowly."""


@dataclass(frozen=True)
class Track:
    """All the filter knows at one moment; replaced, never changed, so late news can go back."""

    state: CubeState | None = None
    waiting: Measurement | None = None
    """A first measurement that no second one has confirmed yet."""
    rejections: int = 0
    used_s: float = -np.inf
    """Time of the last measurement that was used."""


def advance(track: Track, measurement: Measurement, config: FilterConfig) -> tuple[Track, Outcome]:
    """The track after a measurement that is not older than it.

    A single pose may be a gross error, so a new track needs two that agree.
    """
    state = track.state
    if state is None or measurement.time_s - track.used_s > config.max_gap_s:
        return _start(track, measurement, config)
    predicted = coast(state, measurement.time_s, config.motion)
    updated = _update(predicted, measurement, config.gate)
    if updated is not None:
        return Track(updated, used_s=measurement.time_s), Outcome.USED
    rejections = track.rejections + 1
    if rejections >= config.max_rejections:
        return Track(waiting=measurement), Outcome.WAITING
    turned_back = _update(predicted, _turned_back(measurement, predicted), GATE_997)
    if turned_back is not None:
        # Still a rejection: a track that began with wrong faces must not turn all others to it.
        return Track(turned_back, rejections=rejections, used_s=measurement.time_s), Outcome.TURNED
    return replace(track, rejections=rejections), Outcome.REJECTED


def _turned_back(measurement: Measurement, predicted: CubeState) -> Measurement:
    """The measurement after that turn of the cube onto itself that fits a prediction best.

    A pose that took faces for others is right but for such a turn.
    """
    rotation = measurement.pose[:3, :3]
    turns = rotation @ TURNS
    nearest = np.einsum("nij,ij->n", turns, predicted.pose[:3, :3]).argmax()
    pose = measurement.pose.copy()
    pose[:3, :3] = turns[nearest]
    return replace(measurement, pose=pose)


def is_lost(track: Track, time_s: float, config: FilterConfig) -> bool:
    """Whether there is no state to trust at this time."""
    return track.state is None or time_s - track.used_s > config.max_gap_s


def _start(track: Track, measurement: Measurement, config: FilterConfig) -> tuple[Track, Outcome]:
    first = track.waiting
    if first is not None and measurement.time_s - first.time_s <= config.max_start_gap_s:
        predicted = coast(_first_state(first, config), measurement.time_s, config.motion)
        updated = _update(predicted, measurement, config.gate)
        if updated is not None:
            return Track(updated, used_s=measurement.time_s), Outcome.STARTED
    return Track(waiting=measurement), Outcome.WAITING


def _first_state(measurement: Measurement, config: FilterConfig) -> CubeState:
    covariance = np.zeros((12, 12))
    measured = np.r_[POSITION, ROTATION]
    covariance[np.ix_(measured, measured)] = measurement.covariance
    covariance[VELOCITY, VELOCITY] = config.start_velocity_m_s**2 * np.eye(3)
    covariance[SPIN, SPIN] = config.start_spin_rad_s**2 * np.eye(3)
    return CubeState(
        time_s=measurement.time_s,
        position_m=measurement.pose[:3, 3].copy(),
        velocity_m_s=np.zeros(3),
        quat_xyzw=Rotation.from_matrix(measurement.pose[:3, :3]).as_quat(canonical=True),
        spin_rad_s=np.zeros(3),
        covariance=covariance,
    )


def _update(state: CubeState, measurement: Measurement, gate: float) -> CubeState | None:
    """The state after a measurement of the same moment; None if it is too far away."""
    residual = pose_error(measurement.pose, state.pose)
    kalman = KalmanFilter(dim_x=12, dim_z=6)
    kalman.P, kalman.H = state.covariance, _POSE_OF_STATE
    spread = _POSE_OF_STATE @ state.covariance @ _POSE_OF_STATE.T + measurement.covariance
    if not residual @ np.linalg.solve(spread, residual) <= gate:  # NaN is rejected too
        return None
    kalman.update(residual, R=measurement.covariance)
    error = kalman.x[:, 0]
    return CubeState(
        time_s=state.time_s,
        position_m=state.position_m + error[POSITION],
        velocity_m_s=state.velocity_m_s + error[VELOCITY],
        quat_xyzw=turned(state.quat_xyzw, error[ROTATION]),
        spin_rad_s=state.spin_rad_s + error[SPIN],
        covariance=(kalman.P + kalman.P.T) / 2,
    )


_POSE_OF_STATE = np.eye(12)[np.r_[POSITION, ROTATION]]


class PoseFilter:
    """Keeps a track up to date with measurements that may arrive late and out of order.

    A measurement belongs to the moment its image was taken. One that is older than others already
    used is sorted in: the filter goes back to before it and replays what came after.
    """

    def __init__(self, config: FilterConfig | None = None) -> None:
        self.config = config or FilterConfig()
        self._before: deque[tuple[Track, Measurement]] = deque(maxlen=self.config.memory)
        self._track = Track()

    def add(self, measurement: Measurement) -> Outcome:
        """Take in a measurement; never raises for a bad one."""
        later = [m for _, m in self._before if m.time_s > measurement.time_s]
        if later and len(later) == len(self._before) == self._before.maxlen:
            return Outcome.TOO_OLD
        while self._before and self._before[-1][1].time_s > measurement.time_s:
            self._track, _ = self._before.pop()
        outcome = self._advance(measurement)
        for known in later:
            self._advance(known)
        return outcome

    def state_at(self, time_s: float) -> CubeState | None:
        """The cube at a moment not before the last measurement; None while lost."""
        if is_lost(self._track, time_s, self.config) or self._track.state is None:
            return None
        return coast(self._track.state, max(time_s, self._track.state.time_s), self.config.motion)

    @property
    def last_used_s(self) -> float:
        """When the last image that counted was taken; minus infinity if none."""
        return self._track.used_s

    def _advance(self, measurement: Measurement) -> Outcome:
        self._before.append((self._track, measurement))
        self._track, outcome = advance(self._track, measurement, self.config)
        return outcome
