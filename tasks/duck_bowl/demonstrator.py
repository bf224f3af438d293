"""Who shows the way: two operators with different habits, unsteady hands and imperfect aim.

The quick one comes straight from above, hurries and aims badly; the careful one comes in low from
the side of the bowl, slowly, and carries high. Either tries again when it comes up without the
duck; a duck that slips on the way is lost.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from tasks.duck_bowl.task import CONTROL_RATE_HZ, LET_GO_M, hand_poses
from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP

GRASP_Z_M, RELEASE_Z_M = 0.026, 0.1
UNSTEADY_RAD = 0.015
REPLY = 0.7
"""Of the noise of a hand, this part is left one control step later."""
LIFTING = 3
"""The leg of a plan that ends with the duck in the air."""


@dataclass(frozen=True)
class Habits:
    """How an operator works."""

    name: str
    speed_m_s: float
    turn_rad_s: float
    start_beside_m: float
    """The descent begins this far beside the duck, on the side of the bowl."""
    start_z_m: float
    carry_z_m: float
    close_s: float
    open_s: float
    pause_s: float
    aim_std_m: float
    """Error of the aim that stays for an episode, per axis."""
    aim_std_rad: float
    unsteady_m: float
    """Standard deviation of the hand's own movement."""


QUICK = Habits("quick", 0.2, 1.5, 0.0, 0.09, 0.12, 0.6, 0.3, 0.0, 0.012, 0.15, 0.002)
CAREFUL = Habits("careful", 0.11, 0.8, 0.06, 0.07, 0.16, 1.0, 0.6, 0.3, 0.01, 0.1, 0.0015)


@dataclass(frozen=True)
class _Leg:
    """A part of the way: go there, then do this with the fingers."""

    place: np.ndarray
    yaw_rad: float
    grasp: float
    """0 open, 1 closed; reached while waiting at the place."""
    wait_s: float
    lifts: bool = False
    """At its end the duck should be in the hand; if it is not, the operator begins again."""


class Operator:
    """One demonstration: plans on what it sees first, then acts step by step.

    Args:
        rng: Of the habits, the aim and the unsteadiness.
        habits: None: quick or careful at random.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits | None = None) -> None:
        self.habits = habits or (QUICK, CAREFUL)[int(rng.integers(2))]
        self._rng = rng
        self._hurry = float(rng.uniform(0.85, 1.15))
        self._opened, self._closed = hand_poses()
        self._legs: list[_Leg] | None = None
        self._place, self._yaw_rad, self._grasp = np.zeros(3), 0.0, 0.0
        self._waited_s = 0.0
        self._shake = np.zeros(3)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self._legs == []

    def __call__(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The action (24,) for groups (F,) of `DuckBowl`'s observation."""
        if self._legs is None:
            self._begin(observation)
        if self._legs:
            self._advance(self._legs[0], observation)
        habits, keep = self.habits, np.sqrt(1 - REPLY**2)
        noise = self._rng.normal(0, habits.unsteady_m, 3)
        self._shake = REPLY * self._shake + keep * noise
        turn = Rotation.from_euler("z", self._yaw_rad).as_quat()
        joints = self._opened + self._grasp * (self._closed - self._opened)
        joints = joints + self._rng.normal(0, UNSTEADY_RAD, len(joints))
        return np.concatenate([self._place + self._shake, turn, joints])

    def _begin(self, observation: dict[str, np.ndarray]) -> None:
        pose = observation[POSE_GROUP].astype(np.float64)
        frame = Rotation.from_quat(pose[3:])
        seen = {name: observation[name].astype(np.float64) for name in ("duck", "bowl", HAND_GROUP)}
        duck = pose[:3] + frame.apply(seen["duck"][:3])
        bowl = pose[:3] + frame.apply(seen["bowl"])
        yaw = float((frame * Rotation.from_quat(seen["duck"][3:])).as_euler("zyx")[0])
        self._place, self._yaw_rad = pose[:3], float(frame.as_euler("zyx")[0])
        aim = self._rng.normal(0, self.habits.aim_std_m, 2)
        aim_rad = float(self._rng.normal(0, self.habits.aim_std_rad))
        self._legs = self._plan(duck[:2] + aim, yaw + aim_rad, bowl[:2])

    def _plan(self, duck: np.ndarray, yaw: float, bowl: np.ndarray) -> list[_Leg]:
        habits = self.habits
        side = (bowl - duck) / np.linalg.norm(bowl - duck)
        start = duck + habits.start_beside_m * side
        over = bowl + self._rng.normal(0, 0.012, 2)
        first_s = habits.open_s if self._grasp else 0.0
        at = [
            (start, habits.start_z_m, 0.0, first_s),
            (duck, GRASP_Z_M, 0.0, habits.pause_s),
            (duck, GRASP_Z_M, 1.0, habits.close_s),
            (duck, habits.carry_z_m, 1.0, 0.0),
            (over, habits.carry_z_m, 1.0, habits.pause_s),
            (over, RELEASE_Z_M, 0.0, habits.open_s),
            (over, habits.carry_z_m, 0.0, 0.5),
        ]
        legs = [_Leg(np.array([*xy, z]), yaw, grasp, wait) for xy, z, grasp, wait in at]
        legs[LIFTING] = replace(legs[LIFTING], lifts=True)
        return legs

    def _advance(self, leg: _Leg, observation: dict[str, np.ndarray]) -> None:
        """One control step along a leg; the next one begins when it is through."""
        period = 1 / CONTROL_RATE_HZ
        reach, turn = (
            self._hurry * v * period for v in (self.habits.speed_m_s, self.habits.turn_rad_s)
        )
        away = leg.place - self._place
        distance = float(np.linalg.norm(away))
        self._place = leg.place if distance <= reach else self._place + away * (reach / distance)
        self._yaw_rad += float(np.clip(leg.yaw_rad - self._yaw_rad, -turn, turn))
        if distance > reach:
            return
        self._waited_s += period
        if leg.wait_s:
            share = min(1.0, period * self._hurry / leg.wait_s)
            left = leg.grasp - self._grasp
            self._grasp += float(np.clip(left, -share, share))
        if self._waited_s * self._hurry >= leg.wait_s and abs(self._grasp - leg.grasp) < 1e-6:
            self._legs, self._waited_s = (self._legs or [])[1:], 0.0
            if leg.lifts and float(np.linalg.norm(observation["duck"][:3])) > LET_GO_M:
                self._begin(observation)
