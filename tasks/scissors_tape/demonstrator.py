"""Who shows the way: three operators with different habits, unsteady hands and imperfect aim.

The quick one comes straight from above, holds the scissors low, bites deep and low on the strip.
The careful one comes in from the side, carries high, and nibbles high on the strip. The third one
comes from the other side, dips below the strip and lets it in from there. All try again when they
come up without the scissors, or when a bite cut nothing; scissors that slip are lost.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from tasks.manipulation.actions import POSE_GROUP
from tasks.scissors_tape.scene import EDGE_M, HINGE_M, STRIP_WIDTH_M
from tasks.scissors_tape.task import LET_GO_M
from tasks.table.operators import Leg, Operator

HOLD, SQUEEZE = 0.5, 1.1
"""How far the hand is closed around scissors that it holds open, and that it shuts."""
ASIDE_M = -0.009
"""A grip holds the handles best when it is so far beside their middle."""
OVER_Z_M = 0.13
"""Height at which the hand comes over the scissors."""
TIP_M = EDGE_M[1] - HINGE_M
"""From the handles' middle to the blades' tips."""
CLEAR_M = 0.02
"""Between the tips and the tape, before and between attempts."""
BELOW_Z_M = 0.062
"""Height of blades that pass below the strip."""
MOST_BITES = 10


@dataclass(frozen=True)
class Habits:
    """How an operator works."""

    name: str
    speed_m_s: float
    turn_rad_s: float
    from_side_m: float
    """The hand comes over the scissors from so far beside them, in y."""
    along_m: float
    """Where the handles are held, from their middle towards the hinge."""
    grasp_z_m: float
    carry_z_m: float
    close_s: float
    pause_s: float
    bite_z_m: float
    bite_m: float
    """How deep the strip is taken between the blades at a time."""
    from_below: bool
    squeeze_s: float
    aim_std_m: float
    """Error of the aim, per axis; one for the grasp, one for each approach to the strip."""
    aim_std_rad: float
    unsteady_m: float
    """Standard deviation of the hand's own movement."""


QUICK = Habits(
    *("quick", 0.2, 1.5, 0.0, 0.0, 0.057, 0.12, 0.5, 0.0),
    *(0.105, 0.036, False, 0.4, 0.009, 0.09, 0.002),
)
CAREFUL = Habits(
    *("careful", 0.11, 0.8, 0.06, -0.018, 0.06, 0.14, 0.8, 0.2),
    *(0.135, 0.018, False, 0.6, 0.006, 0.06, 0.001),
)
DIPPING = Habits(
    *("dipping", 0.15, 1.1, -0.06, -0.008, 0.064, 0.11, 0.6, 0.1),
    *(0.12, 0.028, True, 0.5, 0.0075, 0.075, 0.0015),
)


class ScissorsOperator(Operator):
    """One demonstration: plans the grasp, then every bite, on what it sees.

    Args:
        rng: Of the habits, the aim and the unsteadiness.
        habits: None: one of the three at random.
    """

    def __init__(self, rng: np.random.Generator, habits: Habits | None = None) -> None:
        self.habits = habits or (QUICK, CAREFUL, DIPPING)[int(rng.integers(3))]
        super().__init__(rng, self.habits)
        self._bites, self._cut_before = 0, 0.0
        self._aim, self._aim_rad = 0.0, 0.0

    def _begin(self, observation: dict[str, np.ndarray]) -> None:
        """Plan the grasp."""
        pose, frame = self._here(observation)
        seen = observation["tool"].astype(np.float64)
        tool = pose[:3] + frame.apply(seen[:3])
        yaw = _yaw(frame * Rotation.from_quat(seen[3:7]))
        habits, aim = self.habits, self._rng.normal(0, self.habits.aim_std_m, 2)
        yaw += float(self._rng.normal(0, habits.aim_std_rad))
        turn = Rotation.from_euler("z", yaw).as_matrix()[:2, :2]
        at = tool[:2] + aim + turn @ [habits.along_m, ASIDE_M]
        first_s = habits.close_s if self._grasp else 0.0
        legs = [
            (at + np.array([0.0, habits.from_side_m]), OVER_Z_M, 0.0, first_s),
            (at, OVER_Z_M, 0.0, 0.0),
            (at, habits.grasp_z_m, 0.0, habits.pause_s),
            (at, habits.grasp_z_m, HOLD, habits.close_s),
            (at, habits.carry_z_m, HOLD, 0.0),
        ]
        self._legs = [Leg(np.array([*xy, z]), yaw, grasp, wait) for xy, z, grasp, wait in legs]
        self._look_after()

    def _look_after(self) -> None:
        """The operator looks after the last of its legs."""
        *before, last = self._legs or []
        self._legs = [*before, Leg(last.place, last.yaw_rad, last.grasp, last.wait_s, check=True)]

    def _check(self, observation: dict[str, np.ndarray]) -> None:
        """Grasp again if the scissors are not in the hand, else go on cutting."""
        if float(np.linalg.norm(observation["tool"][:3])) > LET_GO_M:
            self._begin(observation)
        elif self._bites < MOST_BITES:
            self._plan_bite(observation)

    def _plan_bite(self, observation: dict[str, np.ndarray]) -> None:
        cut = float(observation["tape"][4])
        missed = cut <= self._cut_before
        if missed:
            self._aim = float(self._rng.normal(0, self.habits.aim_std_m))
            self._aim_rad = float(self._rng.normal(0, self.habits.aim_std_rad))
        first, self._cut_before = self._bites == 0, cut
        self._bites += 1
        habits, legs = self.habits, []
        height = self._cut_height(observation) if cut else habits.bite_z_m
        depth = min(habits.bite_m, (1 - cut) * STRIP_WIDTH_M + 0.004)
        if missed:  # out of the strip, and before it
            if not first:
                legs.append((self._grip_for(observation, -CLEAR_M, height), HOLD, 0.0))
            legs.append((self._grip_for(observation, -CLEAR_M, habits.carry_z_m), HOLD, 0.0))
            if habits.from_below:
                legs.append((self._grip_for(observation, -CLEAR_M, BELOW_Z_M), HOLD, 0.0))
                legs.append((self._grip_for(observation, depth, BELOW_Z_M), HOLD, 0.0))
            else:
                legs.append((self._grip_for(observation, -CLEAR_M, height), HOLD, habits.pause_s))
        inside = self._grip_for(observation, depth, height)
        legs.append((inside, HOLD, habits.pause_s))
        legs.append((inside, SQUEEZE, habits.squeeze_s))
        legs.append((inside, HOLD, habits.squeeze_s))
        self._legs = [Leg(place, yaw, grasp, wait) for (place, yaw), grasp, wait in legs]
        self._look_after()

    def _grip_for(
        self, observation: dict[str, np.ndarray], depth_m: float, height_m: float
    ) -> tuple[np.ndarray, float]:
        """Place and yaw of the grip with which the tips are so deep in what is left of the strip.

        The scissors stay in the hand as they are; the aim is off by what it is off.
        """
        pose, frame = self._here(observation)
        tape, seen = (observation[name].astype(np.float64) for name in ("tape", "tool"))
        grip_yaw = _yaw(frame)
        yaw = grip_yaw + tape[3]
        away = -np.array([np.cos(yaw), np.sin(yaw)])
        aside = np.array([-away[1], away[0]])
        tip = (pose[:3] + frame.apply(tape[:3]))[:2] + depth_m * away + self._aim * aside
        turned = yaw + self._aim_rad
        in_hand = Rotation.from_quat(seen[3:7])
        wanted = turned - _yaw(in_hand)
        offset = Rotation.from_euler("z", wanted).apply(seen[:3] + in_hand.apply([-TIP_M, 0, 0]))
        return np.array([*tip, height_m]) - offset, wanted

    def _cut_height(self, observation: dict[str, np.ndarray]) -> float:
        """Where the cut was begun [m]."""
        pose, frame = self._here(observation)
        return float((pose[:3] + frame.apply(observation["tape"][:3].astype(np.float64)))[2])

    def _here(self, observation: dict[str, np.ndarray]) -> tuple[np.ndarray, Rotation]:
        """The grip's pose (7,) and its rotation; unplanned operators take it for their own."""
        pose = observation[POSE_GROUP].astype(np.float64)
        frame = Rotation.from_quat(pose[3:])
        if self._legs is None:
            self._place, self._yaw_rad = pose[:3], _yaw(frame)
        return pose, frame


def _yaw(rotation: Rotation) -> float:
    return float(rotation.as_euler("ZYX")[0])
