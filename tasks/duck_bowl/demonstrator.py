"""Who shows the way: two operators with different habits, unsteady hands and imperfect aim.

The quick one comes straight from above, hurries and aims badly; the careful one comes in low from
the side of the bowl, slowly, and carries high. Either tries again when it comes up without the
duck; a duck that slips on the way is lost.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from tasks.duck_bowl.task import LET_GO_M
from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP
from tasks.table.operators import Leg, Operator

GRASP_Z_M, RELEASE_Z_M = 0.026, 0.1
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


class DuckOperator(Operator):
    """One demonstration: plans on what it sees first, then acts step by step.

    Args:
        rng: Of the habits, the aim and the unsteadiness.
        habits: None: quick or careful at random.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits | None = None) -> None:
        self.habits = habits or (QUICK, CAREFUL)[int(rng.integers(2))]
        super().__init__(rng, self.habits)

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

    def _plan(self, duck: np.ndarray, yaw: float, bowl: np.ndarray) -> list[Leg]:
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
        legs = [Leg(np.array([*xy, z]), yaw, grasp, wait) for xy, z, grasp, wait in at]
        legs[LIFTING] = replace(legs[LIFTING], check=True)
        return legs

    def _check(self, observation: dict[str, np.ndarray]) -> None:
        """Begin again if the duck is not in the hand."""
        if float(np.linalg.norm(observation["duck"][:3])) > LET_GO_M:
            self._begin(observation)
