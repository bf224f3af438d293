"""What is known about the cube at one moment, and how it moves when nobody looks.

Quaternions are turned in plain numbers: for a single one that is five times faster than SciPy.
"""

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
POSITION, VELOCITY, ROTATION, SPIN = (slice(i, i + 3) for i in range(0, 12, 3))
"""Parts of the error state (12,)."""


@dataclass(frozen=True)
class MotionConfig:
    """How the cube may move between images: in jerks, about a motion that changes slowly.

    Fingers push a cube in jerks: on the twin its spin of one moment says nothing about the next,
    10 ms later, and only the mean over a second goes on. So jerks are white noise on position and
    rotation; velocity and spin are means, which white accelerations change. A filter that takes a
    jerk for a spin runs away with it, and throws the next good measurements away.
    """

    jerks_m2_s: float = 1e-4
    """Spectral density of the jerks of the position."""
    jerks_rad2_s: float = 0.1
    """Spectral density of the jerks of the rotation."""
    acceleration_m2_s3: float = 0.0005
    """Spectral density of the linear acceleration."""
    spin_acceleration_rad2_s3: float = 0.05
    """Spectral density of the angular acceleration."""
    velocity_decay_s: float = 0.1
    """A cube in a hand does not keep drifting: its velocity fades with this time constant."""
    max_prediction_s: float = 0.25
    """Motion is extrapolated no longer than this; then the cube is expected to stand still."""


@dataclass(frozen=True)
class CubeState:
    """A moment of the cube's motion, in the frame of the measurements."""

    time_s: float
    position_m: Array
    velocity_m_s: Array
    quat_xyzw: Array
    """Unit, w >= 0 is not enforced; the sign is continuous over a track."""
    spin_rad_s: Array
    """Angular velocity (3,), in the measurements' axes."""
    covariance: Array
    """(12, 12) of the errors of position, velocity, rotation and spin, in that order."""

    @property
    def pose(self) -> Array:
        """(4, 4) cube to the measurements' frame."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation_matrix(self.quat_xyzw)
        matrix[:3, 3] = self.position_m
        return matrix


def motion_matrices(dt_s: float, config: MotionConfig) -> tuple[Array, Array]:
    """Transition F and noise Q (12, 12) of the error state over a time step.

    Errors of the rotation are in the frame's axes, where a constant spin carries them along
    unchanged to first order, so F has no rotation in it.
    """
    faded, reach = _fading(dt_s, config)
    transition = np.eye(12)
    transition.flat[_DIAGONAL[VELOCITY]] = faded
    transition.flat[_NEXT_TO_DIAGONAL[POSITION]] = reach
    transition.flat[_NEXT_TO_DIAGONAL[ROTATION]] = dt_s
    density, jerks = np.full(6, config.acceleration_m2_s3), np.full(6, config.jerks_m2_s)
    density[3:], jerks[3:] = config.spin_acceleration_rad2_s3, config.jerks_rad2_s
    noise = np.zeros((12, 12))
    noise.flat[_SLOW] = density * (dt_s**3 / 3.0) + jerks * dt_s
    noise.flat[_FAST] = density * dt_s
    noise.flat[_SLOW_FAST] = noise.flat[_FAST_SLOW] = density * (dt_s**2 / 2.0)
    return transition, noise


def coast(state: CubeState, time_s: float, config: MotionConfig) -> CubeState:
    """The state at a later time without a look at the cube; an earlier time is refused.

    Raises:
        ValueError: If the time lies before the state's.
    """
    dt_s = time_s - state.time_s
    if dt_s < 0.0:
        raise ValueError(f"cannot predict {-dt_s:.4f} s into the past")
    if dt_s == 0.0:
        return state
    moving_s = min(dt_s, config.max_prediction_s)
    faded, reach = _fading(moving_s, config)
    transition, noise = motion_matrices(dt_s, config)
    return CubeState(
        time_s=time_s,
        position_m=state.position_m + reach * state.velocity_m_s,
        velocity_m_s=faded * state.velocity_m_s,
        quat_xyzw=turned(state.quat_xyzw, state.spin_rad_s * moving_s),
        spin_rad_s=state.spin_rad_s,
        covariance=transition @ state.covariance @ transition.T + noise,
    )


def turned(quat_xyzw: Array, vector_rad: Array) -> Array:
    """The quaternion (4,) after a turn by a vector (3,) in the frame's axes.

    Of q and -q, which are the same rotation, it is the one that is nearer to the given one.
    """
    x, y, z = vector_rad.tolist()
    a, b, c, d = quat_xyzw.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    sine = math.sin(angle / 2.0) / angle if angle > 1e-12 else 0.5
    x, y, z, w = x * sine, y * sine, z * sine, math.cos(angle / 2.0)
    quat = np.array(
        [
            w * a + x * d + y * c - z * b,
            w * b - x * c + y * d + z * a,
            w * c + x * b - y * a + z * d,
            w * d - x * a - y * b - z * c,
        ]
    )
    return quat * ((1.0 if w >= 0.0 else -1.0) / math.sqrt(quat @ quat))


def rotation_matrix(quat_xyzw: Array) -> Array:
    """(3, 3) of a unit quaternion."""
    x, y, z, w = quat_xyzw.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _fading(dt_s: float, config: MotionConfig) -> tuple[float, float]:
    """What is left of a velocity after a time, and how far a unit of it has carried till then."""
    faded = math.exp(-dt_s / config.velocity_decay_s)
    return faded, config.velocity_decay_s * (1.0 - faded)


# Places in a flattened (12, 12).
_DIAGONAL = 13 * np.arange(12)
_NEXT_TO_DIAGONAL = _DIAGONAL + 3
_SLOW = np.r_[_DIAGONAL[POSITION], _DIAGONAL[ROTATION]]
_FAST, _SLOW_FAST, _FAST_SLOW = _SLOW + 3 * 13, _SLOW + 3, _SLOW + 3 * 12
