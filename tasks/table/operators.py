"""Who shows the way: operators go from place to place with an unsteady hand and work its fingers.

What they do where is each task's own plan.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.table.hand_poses import hand_poses

UNSTEADY_RAD = 0.015
REPLY = 0.7
"""Of the noise of a hand, this part is left one control step later."""


class Pace(Protocol):
    """What of an operator's habits says how the hand moves."""

    @property
    def name(self) -> str:
        """Of the operator."""
        ...

    @property
    def speed_m_s(self) -> float:
        """Of the hand."""
        ...

    @property
    def turn_rad_s(self) -> float:
        """Of the hand."""
        ...

    @property
    def unsteady_m(self) -> float:
        """Standard deviation of the hand's own movement."""
        ...


@dataclass(frozen=True)
class Leg:
    """A part of the way: go there, then do this with the fingers."""

    place: np.ndarray
    yaw_rad: float
    grasp: float
    """0 open, 1 closed; reached while waiting at the place."""
    wait_s: float
    check: bool = False
    """At its end the operator looks what has come of it."""


class Operator(ABC):
    """One demonstration: plans on what it sees first, then acts step by step.

    Args:
        rng: Of the aim and the unsteadiness.
        pace: How the hand moves.
    """

    def __init__(self, rng: np.random.Generator, pace: Pace) -> None:
        self._pace, self._rng = pace, rng
        self._hurry = float(rng.uniform(0.85, 1.15))
        self._opened, self._closed = hand_poses()
        self._legs: list[Leg] | None = None
        self._place, self._yaw_rad, self._grasp = np.zeros(3), 0.0, 0.0
        self._waited_s = 0.0
        self._shake = np.zeros(3)

    @property
    def name(self) -> str:
        """Who it is."""
        return self._pace.name

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self._legs == []

    def __call__(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The action (24,) for groups (F,) of the table's observation."""
        if self._legs is None:
            self._begin(observation)
        if self._legs:
            self._advance(self._legs[0], observation)
        keep = np.sqrt(1 - REPLY**2)
        noise = self._rng.normal(0, self._pace.unsteady_m, 3)
        self._shake = REPLY * self._shake + keep * noise
        turn = Rotation.from_euler("z", self._yaw_rad).as_quat()
        joints = self._opened + self._grasp * (self._closed - self._opened)
        joints = joints + self._rng.normal(0, UNSTEADY_RAD, len(joints))
        return np.concatenate([self._place + self._shake, turn, joints])

    @abstractmethod
    def _begin(self, observation: dict[str, np.ndarray]) -> None:
        """Plan: set `_legs`, and where the hand is now."""

    @abstractmethod
    def _check(self, observation: dict[str, np.ndarray]) -> None:
        """Look what has come of a leg, and plan anew if it did not go as it should."""

    def _advance(self, leg: Leg, observation: dict[str, np.ndarray]) -> None:
        """One control step along a leg; the next one begins when it is through."""
        period = 1 / CONTROL_RATE_HZ
        reach, turn = (
            self._hurry * v * period for v in (self._pace.speed_m_s, self._pace.turn_rad_s)
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
            if leg.check:
                self._check(observation)
