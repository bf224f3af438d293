"""Settings of a session with an arm that carries a hand (`scripts/run_arm.py`)."""

from dataclasses import dataclass, field

import numpy as np

from sernf_isaac.deploy.actor.episode import RunnerSettings
from sernf_isaac.deploy.arm.guard import ArmLimits, as_pose
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.loop.states import SafetyTiming
from sernf_isaac.deploy.policy.follower import RollbackRule
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.deploy.protocols import Array
from tasks.arm.catalogue import task_called
from tasks.manipulation.settings import CONTROL_RATE_HZ
from tasks.orca.joints import NUM_JOINTS

ARMS, HANDS = ("fake", "panda", "franky"), ("ideal", "mock", "orca")


def _limits() -> ArmLimits:
    return ArmLimits((0.25, -0.35, 0.02), (0.75, 0.35, 0.65))


def _home() -> list[float]:
    return [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]


def _runner() -> RunnerSettings:
    return RunnerSettings(control_rate_hz=CONTROL_RATE_HZ, max_episode_s=120.0, counts_turns=False)


@dataclass
class ArmRun:
    """Everything that determines a session with an arm."""

    task: str = "scissors_tape"
    """Whose layout, places and rules apply."""
    arm: str = "fake"
    """"fake" (follows with a lag), "panda" (FER, panda-python) or "franky" (FR3)."""
    hand: str = "ideal"
    """"ideal" (at once where it is told to be), "mock" (orca_core's) or "orca"."""
    hostname: str = ""
    """Of the arm's control box."""
    hand_config: str = ""
    """orca_core's config.yaml of this very hand; empty: the packaged one."""
    home: list[float] = field(default_factory=_home)
    """Pose of the tool in the arm's base frame between episodes: x y z [m], xyzw."""
    start_joints: list[float] = field(default_factory=lambda: [0.0] * NUM_JOINTS)
    """Of the hand, at home [rad]."""
    seed: int = 0
    """Of places and decisions."""
    actor: str = "actor"
    """Who writes; several robots may share a run."""
    runner: RunnerSettings = field(default_factory=_runner)
    """Episodes end no later than the task says."""
    decisions: DecisionSettings = field(default_factory=DecisionSettings)
    limits: ArmLimits = field(default_factory=_limits)
    """Of the arm; the defaults are for the fake one."""
    guard: GuardLimits = field(default_factory=lambda: GuardLimits(smoothing=1.0))
    """Of the hand. Demonstrated commands are not smoothed again."""
    safety: SafetyTiming = field(default_factory=lambda: SafetyTiming(command_timeout_s=0.25))
    """Of both: two missing actions at 10 Hz."""
    rollback: RollbackRule = field(default_factory=RollbackRule)

    def __post_init__(self) -> None:
        task_called(self.task)
        if self.arm not in ARMS:
            raise ValueError(f"arm must be one of {ARMS}, not '{self.arm}'")
        if self.hand not in HANDS:
            raise ValueError(f"hand must be one of {HANDS}, not '{self.hand}'")
        if as_pose(self.home) is None or len(self.start_joints) != NUM_JOINTS:
            raise ValueError(
                f"home must be x y z and a quaternion xyzw, start_joints {NUM_JOINTS} angles"
            )
        if self.arm != "fake":
            self._check_real_arm()

    @property
    def is_simulated(self) -> bool:
        """Whether nothing can move but numbers."""
        return self.arm == "fake" and self.hand != "orca"

    @property
    def rest(self) -> Array:
        """(24,) where arm and hand are between episodes."""
        return np.array([*self.home, *self.start_joints], np.float64)

    def _check_real_arm(self) -> None:
        mine, unset = self.limits, _limits()
        same = [*mine.lower_m, *mine.upper_m] == [*unset.lower_m, *unset.upper_m]
        if not self.hostname or same or list(self.home) == _home():
            raise ValueError(
                f"a real arm ({self.arm}) needs hostname=, and of this very table limits.lower_m=, "
                "limits.upper_m= and home=; the defaults are for the fake one"
            )
