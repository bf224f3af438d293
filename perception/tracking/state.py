"""What is known about the cube at one moment, and how it moves when nobody looks."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

Array = np.ndarray
POSITION, VELOCITY, ROTATION, SPIN = (slice(i, i + 3) for i in range(0, 12, 3))
"""Parts of the error state (12,)."""


@dataclass(frozen=True)
class MotionConfig:
    """How the cube may move between images: white accelerations on velocity and spin."""

    acceleration_m2_s3: float = 0.002
    """Spectral density of the linear acceleration."""
    spin_acceleration_rad2_s3: float = 1.0
    """Spectral density of the angular acceleration."""
    velocity_decay_s: float = 0.3
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
        matrix[:3, :3] = Rotation.from_quat(self.quat_xyzw).as_matrix()
        matrix[:3, 3] = self.position_m
        return matrix


def motion_matrices(dt_s: float, config: MotionConfig) -> tuple[Array, Array]:
    """Transition F and noise Q (12, 12) of the error state over a time step.

    Errors of the rotation are in the frame's axes, where a constant spin carries them along
    unchanged to first order, so F has no rotation in it.
    """
    faded = np.exp(-dt_s / config.velocity_decay_s)
    reach = config.velocity_decay_s * (1.0 - faded)
    identity = np.eye(3)
    transition = np.eye(12)
    transition[POSITION, VELOCITY] = reach * identity
    transition[VELOCITY, VELOCITY] = faded * identity
    transition[ROTATION, SPIN] = dt_s * identity
    noise = np.zeros((12, 12))
    for slow, fast, density in (
        (POSITION, VELOCITY, config.acceleration_m2_s3),
        (ROTATION, SPIN, config.spin_acceleration_rad2_s3),
    ):
        noise[slow, slow] = density * dt_s**3 / 3.0 * identity
        noise[slow, fast] = noise[fast, slow] = density * dt_s**2 / 2.0 * identity
        noise[fast, fast] = density * dt_s * identity
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
    faded = np.exp(-moving_s / config.velocity_decay_s)
    reach = config.velocity_decay_s * (1.0 - faded)
    turn = Rotation.from_rotvec(state.spin_rad_s * moving_s)
    quat = (turn * Rotation.from_quat(state.quat_xyzw)).as_quat()
    transition, noise = motion_matrices(dt_s, config)
    return CubeState(
        time_s=time_s,
        position_m=state.position_m + reach * state.velocity_m_s,
        velocity_m_s=faded * state.velocity_m_s,
        quat_xyzw=same_sign(quat, state.quat_xyzw),
        spin_rad_s=state.spin_rad_s,
        covariance=transition @ state.covariance @ transition.T + noise,
    )


def same_sign(quat_xyzw: Array, reference_xyzw: Array) -> Array:
    """The one of q and -q, which are the same rotation, that is nearer to the reference."""
    return quat_xyzw if quat_xyzw @ reference_xyzw >= 0.0 else -quat_xyzw
