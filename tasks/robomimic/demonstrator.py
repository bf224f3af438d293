"""Scripted operators for robosuite's Lift: reach the cube, grasp it, lift it; some do it badly.

Actions are those of robosuite's default controller of the Panda: 3 changes of position and 3 of
rotation in the base's frame, in units of 5 cm and 0.5 rad, and the gripper, -1 open, 1 closed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

STEP_M, STEP_RAD = 0.05, 0.5
"""What a 1 of an action stands for."""
OPEN, CLOSED = -1.0, 1.0
KEYS = ("object", "robot0_eef_pos", "robot0_eef_quat")
"""Observations an operator looks at."""
NEAR_M, NEAR_RAD = 0.008, 0.1
LIFT_M = 0.1
REPLY = 0.8
"""Of the noise of a hand, this part is left one control step later."""


@dataclass(frozen=True)
class Habits:
    """How an operator works; robomimic's multi-human data know operators of three grades."""

    grade: str
    speed: float
    """Largest change of position in a step, of the largest possible."""
    above_m: float
    """Height over the cube at which the descent begins."""
    close_steps: int
    """How long the gripper is given to close."""
    pause_steps: int
    """How long the operator looks before the descent."""
    aim_std_m: float
    """Error of the aim that stays for an episode, per axis."""
    turns: bool
    """Whether the gripper is turned to the cube's faces."""
    unsteady: float
    """Standard deviation of the hand's own movement, in units of an action."""


OPERATORS = (
    Habits("better", 0.6, 0.06, 6, 0, 0.004, True, 0.05),
    Habits("okay", 0.4, 0.10, 9, 4, 0.009, True, 0.08),
    Habits("worse", 0.3, 0.12, 12, 5, 0.014, False, 0.1),
)


class LiftOperator:
    """One demonstration; nobody corrects a grasp that went wrong.

    Args:
        habits: How the operator works.
        rng: Of the aim and the unsteadiness.
    """

    def __init__(self, habits: Habits, rng: np.random.Generator) -> None:
        self.habits = habits
        self._rng = rng
        self._aim = np.append(rng.normal(0, habits.aim_std_m, 2), rng.normal(0, 0.004))
        self._shake = np.zeros(6)
        self._phase, self._waited = 0, 0
        self._cube = np.zeros(3)

    def __call__(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The action (7,) for an observation with the groups of `KEYS`."""
        seen, cube = observation["robot0_eef_pos"], observation["object"][:3]
        if self._phase < 2:
            self._cube = cube + self._aim
        turn = self._turn(observation) if self._phase < 2 else 0.0
        target = self._cube + np.array([0, 0, (self.habits.above_m, 0, 0, LIFT_M)[self._phase]])
        self._advance(bool(np.linalg.norm(target - seen) < NEAR_M) and abs(turn) < NEAR_RAD)
        move = (target - seen) / STEP_M
        move *= min(1.0, self.habits.speed / max(np.linalg.norm(move), 1e-9))
        keep = np.sqrt(1 - REPLY**2)
        noise = self._rng.normal(0, self.habits.unsteady, 6) * (1, 1, 1, 0.3, 0.3, 0.3)
        self._shake = REPLY * self._shake + keep * noise
        arm = np.concatenate([move, [0, 0, np.clip(turn / STEP_RAD, -0.4, 0.4)]]) + self._shake
        return np.clip(np.append(arm, CLOSED if self._phase >= 2 else OPEN), -1, 1)

    def _advance(self, there: bool) -> None:
        """Phases: over the cube, down, close, up."""
        waits = (self.habits.pause_steps, 0, self.habits.close_steps, np.inf)
        self._waited += there or self._phase == 2
        if self._waited > waits[self._phase]:
            self._phase, self._waited = self._phase + 1, 0

    def _turn(self, observation: dict[str, np.ndarray]) -> float:
        """Smallest turn about the vertical that puts the fingers along the cube's faces [rad]."""
        if not self.habits.turns:
            return 0.0
        hand = Rotation.from_quat(observation["robot0_eef_quat"]).as_matrix()[:, 1]
        cube = Rotation.from_quat(observation["object"][3:7]).as_matrix()[:, 1]
        quarter = np.pi / 2
        away = np.arctan2(cube[1], cube[0]) - np.arctan2(hand[1], hand[0])
        return float((away + quarter / 2) % quarter - quarter / 2)
