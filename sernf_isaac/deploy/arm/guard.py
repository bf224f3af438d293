"""Stands between any policy and the arm; cannot be switched off.

Order, as for the hand: finite? -> into the workspace -> not too far from where the tool is -> not
too fast. Whatever comes in, every command is a pose inside the workspace within one period's reach
of the last. Accelerations are left to the arm's own controller, which limits them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from sernf_isaac.deploy.arm.driver import POSE_SIZE, Array
from sernf_isaac.deploy.loop.vectors import as_vector

SHORTEST_QUATERNION = 0.1
IMPLAUSIBLE = 1e6
"""No number of a pose is as large as this."""
SAME_M, SAME_RAD = 1e-5, 1e-4
"""Poses that differ by less are the same."""
STRAINED, NEWEST = 0.97, 0.3
"""Of the largest allowed error, on average; weight of the newest error in that average, so that no
noise of the sensors decides."""

ARM_LIMIT_CEILINGS = {
    "max_speed_m_s": 1.7,
    "max_turn_rad_s": 2.5,
    "max_error_m": 0.3,
    "max_error_rad": 1.5,
    "max_leap_m": 0.5,
    "max_leap_rad": 3.2,
    "ramp_speed_m_s": 0.25,
    "ramp_turn_rad_s": 1.0,
}
"""Larger limits are mistakes. Speeds: what a Franka arm allows its tool (Cartesian limits of the
FER in libfranka); between episodes what ISO 10218-1 calls reduced speed, because people stand
near."""
FURTHEST_M = 2.0
"""From an arm's base; no corner of a workspace is further away."""


@dataclass
class ArmLimits:
    """How the tool may be moved."""

    lower_m: tuple[float, float, float]
    """Corners of the workspace, in the arm's base frame."""
    upper_m: tuple[float, float, float]
    """Upper corner of the workspace."""
    max_speed_m_s: float = 0.3
    """Of commands."""
    max_turn_rad_s: float = 1.5
    """Of commands."""
    max_error_m: float = 0.1
    """Commands stay this close to the measured position, so that a blocked arm does not push."""
    max_error_rad: float = 0.5
    """The same for rotations."""
    max_leap_m: float = 0.2
    """A pose that is further from the last command than this comes from no policy in order."""
    max_leap_rad: float = 1.0
    """The same for rotations."""
    ramp_speed_m_s: float = 0.1
    """Of moves between episodes."""
    ramp_turn_rad_s: float = 0.5
    """The same for rotations."""

    def __post_init__(self) -> None:
        self._check_workspace()
        for name, most in ARM_LIMIT_CEILINGS.items():
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise ValueError(f"limits.{name} ({value}) must be positive; no limit can be off")
            if value > most:
                raise ValueError(f"limits.{name} ({value}) must be at most {most:g}")

    def _check_workspace(self) -> None:
        lower, upper = (as_vector(list(v), 3) for v in (self.lower_m, self.upper_m))
        if lower is None or upper is None or not (lower < upper).all():
            raise ValueError(
                f"the workspace limits.lower_m ({self.lower_m}) to limits.upper_m ({self.upper_m}) "
                "is no box: three numbers each, the lower ones smaller"
            )
        if max(np.abs(lower).max(), np.abs(upper).max()) > FURTHEST_M:
            raise ValueError(
                f"the workspace limits.lower_m ({self.lower_m}) to limits.upper_m ({self.upper_m}) "
                f"reaches further than {FURTHEST_M:g} m from the arm's base; is it in metres?"
            )


class ArmGuard:
    """Turns a policy's poses into commands for one arm.

    Call `restart` before the first `step`, and after the arm was moved by other means.

    Args:
        limits: How it may be moved.
        period_s: Time between two commands.
    """

    def __init__(self, limits: ArmLimits, period_s: float) -> None:
        self.limits, self.period_s = limits, period_s
        self._command = self._goal = np.array([0.0, 0, 0, 0, 0, 0, 1])
        self._error_m = self._error_rad = np.zeros(3)  # averages of command less measured
        self.rejected = 0
        """Poses that were no finite pose."""
        self.limited = 0
        """Steps in which the command could not be the pose that was asked for."""

    @property
    def command(self) -> Array:
        """(7,) what was sent last."""
        return self._command.copy()

    @property
    def goal(self) -> Array:
        """(7,) where the commands are heading."""
        return self._goal.copy()

    @property
    def arrived(self) -> bool:
        """Whether the commands rest at the goal."""
        return bool(
            np.abs(self._command[:3] - self._goal[:3]).max() < SAME_M
            and angle_between(self._command[3:], self._goal[3:]) < SAME_RAD
        )

    def restart(self, measured: Array) -> None:
        """Begin at rest where the tool is, (7,).

        Raises:
            ValueError: If that is no pose, or outside the workspace: somebody has to move the arm.
        """
        pose = as_pose(measured)
        if pose is None:
            raise ValueError(f"{measured} is no pose")
        if not np.array_equal(self._inside(pose[:3]), pose[:3]):
            raise ValueError(
                f"the tool is at {np.round(pose[:3], 3).tolist()} m, outside the workspace "
                f"{self.limits.lower_m} to {self.limits.upper_m}"
            )
        self._command = self._goal = pose
        self._error_m = self._error_rad = np.zeros(3)

    def accept(self, pose: object) -> bool:
        """Take in a policy's pose (7,); False: it is none, and the goal stays."""
        wanted = as_pose(pose)
        if wanted is None:
            self.rejected += 1
            return False
        self._goal = wanted
        return True

    def leaps(self, pose: object) -> bool:
        """Whether a pose (7,) is too far from the last command to be meant; False for no pose."""
        wanted, limits = as_pose(pose), self.limits
        return wanted is not None and bool(
            np.linalg.norm(wanted[:3] - self._command[:3]) > limits.max_leap_m
            or angle_between(self._command[3:], wanted[3:]) > limits.max_leap_rad
        )

    def aim(self, pose: Array) -> None:
        """Head for a pose (7,) that does not come from a policy, or for the nearest inside.

        Raises:
            ValueError: If it is none.
        """
        wanted = as_pose(pose)
        if wanted is None:
            raise ValueError(f"{pose} is no pose")
        self._goal = np.concatenate([self._inside(wanted[:3]), wanted[3:]])

    def stop(self) -> None:
        """Head for where the last command was."""
        self._goal = self._command

    @property
    def strained(self) -> bool:
        """Whether the tool stays as far behind its commands as these may be ahead of it."""
        limits = self.limits
        return bool(
            np.linalg.norm(self._error_m) > STRAINED * limits.max_error_m
            or np.linalg.norm(self._error_rad) > STRAINED * limits.max_error_rad
        )

    def step(self, measured: Array, *, slowly: bool = False) -> Array:
        """The next command (7,), one period after the last.

        Args:
            measured: (7,) where the tool is.
            slowly: At the speed of moves between episodes.
        """
        limits = self.limits
        speed_m_s, turn_rad_s = limits.max_speed_m_s, limits.max_turn_rad_s
        if slowly:
            speed_m_s = min(speed_m_s, limits.ramp_speed_m_s)
            turn_rad_s = min(turn_rad_s, limits.ramp_turn_rad_s)
        place = _near(measured[:3], self._inside(self._goal[:3]), limits.max_error_m)
        place = self._inside(place)
        last = self._command[:3]
        place = self._inside(_near(last, place, speed_m_s * self.period_s))
        turn = _turned_near(measured[3:], self._goal[3:], limits.max_error_rad)
        turn = _turned_near(self._command[3:], turn, turn_rad_s * self.period_s)
        command = np.concatenate([place, turn])
        self.limited += not np.allclose(command[:3], self._goal[:3], atol=1e-9)
        self._command = command
        away = Rotation.from_quat(measured[3:]).inv() * Rotation.from_quat(turn)
        self._error_m = self._error_m + NEWEST * (place - measured[:3] - self._error_m)
        self._error_rad = self._error_rad + NEWEST * (away.as_rotvec() - self._error_rad)
        return command.copy()

    def _inside(self, position: Array) -> Array:
        return np.clip(position, self.limits.lower_m, self.limits.upper_m)


def as_pose(value: object) -> Array | None:
    """(7,) with a unit quaternion; None for what is no finite pose."""
    pose = as_vector(value, POSE_SIZE)
    if pose is None or not (np.abs(pose) < IMPLAUSIBLE).all():
        return None
    length = np.linalg.norm(pose[3:])
    if length < SHORTEST_QUATERNION:
        return None
    return np.concatenate([pose[:3], pose[3:] / length])


def angle_between(one: Array, other: Array) -> float:
    """Angle [rad] from one rotation (4,) xyzw to another, on the shortest arc."""
    return float((Rotation.from_quat(one).inv() * Rotation.from_quat(other)).magnitude())


def _near(centre: Array, point: Array, reach: float) -> Array:
    """`point`, or what lies on the way to it at the distance `reach` from `centre`."""
    away = point - centre
    distance = np.linalg.norm(away)
    return point if distance <= reach else centre + away * (reach / distance)


def _turned_near(centre: Array, quaternion: Array, reach_rad: float) -> Array:
    """The same for rotations (4,), on the shortest arc."""
    start = Rotation.from_quat(centre)
    away = (start.inv() * Rotation.from_quat(quaternion)).as_rotvec()
    angle = np.linalg.norm(away)
    share = 1.0 if angle <= reach_rad else reach_rad / angle
    turned = (start * Rotation.from_rotvec(share * away)).as_quat()
    return turned if turned @ centre >= 0 else -turned
