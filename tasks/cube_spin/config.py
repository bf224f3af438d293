"""Every number of the cube-spin task, with its source; both simulators read these and nothing else.

The defaults are what we recommend for learning. `paper_task()` gives the paper's literal forms;
each difference is a row of `docs/why/paper.md` and one field here.
"""

from dataclasses import dataclass, field, replace

from tasks.cube_spin.held_object import HeldObject
from tasks.orca.description import Hand
from tasks.orca.names import FIRST_HAND, hand_key

PHYSICS_DT_S = 1.0 / 120.0
"""Simulation step (paper F.4a: 120 Hz)."""
DECIMATION = 6
"""Physics steps per control step (paper F.4a: control at 20 Hz)."""
CONTROL_DT_S = PHYSICS_DT_S * DECIMATION
ROUNDING_S = 1e-4
"""A remaining time shorter than this is rounding error."""
PLATFORM_HALF_SIZE_M = (0.015, 0.015, 0.005)
PLATFORM_CLEARANCE_M = 0.001
"""Gap between an object at its origin and the platform under it."""
PLATFORM_GONE_M = -0.6
"""Height of the platform once it has left; out of reach of a falling cube's episode."""
MAX_SPEED = 200.0
"""A joint or cube faster than this [rad/s, m/s] is a diverged simulation."""
HISTORY = 4
"""Observation steps the student sees (paper F.3)."""


@dataclass
class ActionConfig:
    """Joint targets from actions: `centre + scale * action`, clamped to the limits, then EMA."""

    mode: str = "grasp"
    """"grasp": centred on the mean grasp; "limits": [-1, 1] is the joint range (paper F.4b)."""
    finger_scale_rad: float = 0.4
    """Target change per unit of action around the grasp, finger joints."""
    wrist_scale_rad: float = 0.1
    """The same for the wrist."""
    smoothing: float = 0.5
    """Weight of the new target in the moving average (paper F.4b: 0.5)."""


@dataclass
class CommandConfig:
    """Commanded spin about the vertical (paper F.4b)."""

    speed_rad_s: tuple[float, float] = (0.3, 1.5)
    """Range of the commanded speed; the paper says up to 1.5 rad/s."""
    log_uniform: bool = False
    """Draw speeds evenly in their logarithm: as many slow commands as fast ones."""
    both_directions: bool = False
    """Draw the sign at random; positive is counter-clockwise seen from above."""
    clockwise: bool = False
    """Turn the other way round, when the sign is not drawn."""
    hold_s: tuple[float, float] = (8.0, 12.0)
    """A command is held for a time drawn from this range."""

    @classmethod
    def fixed(cls, spin_rad_s: float) -> "CommandConfig":
        """One spin for whole episodes; negative is clockwise seen from above."""
        return cls(speed_rad_s=(abs(spin_rad_s), abs(spin_rad_s)), clockwise=spin_rad_s < 0.0)


@dataclass
class ObservationConfig:
    """What the teacher sees."""

    fingertips: bool = True
    """Add the vectors from fingertips to cube (3 F: 15 for five); not in the paper's list."""
    mean_spin: bool = True
    """Add the running mean of the spin that the reward looks at (1); not in the paper's list."""
    symmetric_rotation: bool = True
    """Reduce the cube's rotation by its 24 symmetries; the paper says quaternion."""
    earlier_targets: bool = False
    """Add the joint targets of the two steps before (2 A: 34 for 17 joints):
    what a late hand has yet to receive."""
    world: bool = False
    """Add the parameters of the world (19), which the simulation knows: friction, contact law,
    mass, size, servos, latency. A student has to find them out."""


@dataclass
class RewardConfig:
    """Weights of Table III plus our two terms, and the widths the paper leaves open."""

    form: str = "tracking"
    """"tracking": linear in the mean spin; "alignment": the paper's literal cosine."""
    object_position: float = 10.0
    """Weight: nearness of the cube to its origin (Table III: 10)."""
    rotation_magnitude: float = 10.0
    """Weight: speed of the spin as commanded (Table III: 10)."""
    rotation_direction: float = 30.0
    """Weight: direction of the spin as commanded (Table III: 30)."""
    angular_acceleration: float = 1.0
    """Weight: smoothness of the spin (Table III: 1)."""
    reaching: float = 15.0
    """Weight: nearness of the fingertips to the cube (Table III: 15)."""
    pose_closure: float = 2.0
    """Weight: thumb and fingers on opposite sides of the cube (Table III: 2)."""
    joint_velocity: float = -1e-4
    """Weight: squared joint velocities (Table III: -1e-4)."""
    action: float = -5e-4
    """Weight: squared actions (Table III: -5e-4)."""
    action_rate: float = -1e-2
    """Weight: squared changes of the action (Table III: -1e-2)."""
    joint_acceleration: float = -1e-7
    """Weight: squared joint accelerations (Table III: -1e-7)."""
    tilt: float = 0.0
    """Weight of our term: squared tilt of the object away from upright; a sphere has none."""
    fall: float = 0.0
    """Weight of our term: one impulse when the cube is lost."""
    position_width_m: float = 0.02
    """Distance at which `object_position` has fallen to 1/e."""
    magnitude_width_rad_s: float = 0.5
    """Error at which `rotation_magnitude` has fallen to 1/e."""
    acceleration_width_rad_s2: float = 30.0
    """Acceleration at which `angular_acceleration` has fallen to 1/e."""
    reaching_width_m: float = 0.03
    """Distance at which `reaching` has fallen to 1/e, of a cube of 45 mm; scaled with the size."""
    spin_smoothing: float = 0.15
    """Weight of the newest 50 ms in the running mean of the spin."""
    slow_command_rad_s: float = 0.5
    """Commands below this count as this when the error is expressed relative to the command."""


@dataclass
class EpisodeConfig:
    """How an episode starts and ends."""

    length_s: float = 32.0
    """Horizon (paper F.4a)."""
    support_s: tuple[float, float] = (6.0, 6.0)
    """The platform leaves after a time drawn from this range (paper F.4a: 6 s)."""
    finite_horizon: bool = True
    """Treat the time limit as a true end, without bootstrapping (paper F.4a)."""
    lost_below_m: float = 0.035
    """The episode terminates when the cube is this far under its origin ..."""
    lost_beside_m: float = 0.05
    """... or this far beside it. Both for the cube of 45 mm; scaled with the object's size."""


@dataclass
class TaskConfig:
    """The whole task."""

    hand: str = FIRST_HAND
    """Which hand: "orca_v1_right", "orca_v2_right", "orca_v2_left", or the YAML file of your
    own."""
    object: HeldObject = field(default_factory=HeldObject)
    """What it holds and spins."""
    action: ActionConfig = field(default_factory=ActionConfig)
    command: CommandConfig = field(default_factory=CommandConfig)
    observation: ObservationConfig = field(default_factory=ObservationConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)

    def __post_init__(self) -> None:
        try:
            self.hand = hand_key(self.hand)
        except ValueError as error:
            raise ValueError(f"hand = {self.hand!r}: {error}") from error
        self.object.__post_init__()  # settings may have been written since
        slowest = self.command.speed_rad_s[0]
        _require(slowest > 0.0 or not self.command.log_uniform, "command.speed_rad_s[0]", slowest)
        _require(self.action.mode in ("grasp", "limits"), "action.mode", self.action.mode)
        _require(self.reward.form in ("tracking", "alignment"), "reward.form", self.reward.form)
        _require(0.0 < self.action.smoothing <= 1.0, "action.smoothing", self.action.smoothing)
        for name, value in (
            ("command.speed_rad_s", self.command.speed_rad_s),
            ("command.hold_s", self.command.hold_s),
            ("episode.support_s", self.episode.support_s),
        ):
            _require(len(value) == 2 and 0.0 <= value[0] <= value[1], name, value)

    def differs_in_kind(self, other: "TaskConfig") -> bool:
        """Whether environments of one cannot go on as environments of the other."""
        fixed = ("hand", "object", "action", "observation", "reward")
        return any(getattr(self, name) != getattr(other, name) for name in fixed)


def _require(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} = {value!r} is not a valid setting")


def tuned_rewards() -> RewardConfig:
    """The reward set that learns in minutes: linear tracking, a flat cube, a price on dropping it.

    Weights are scaled so that one perfect step of 50 ms is worth about 0.5.
    """
    return RewardConfig(
        form="tracking",
        object_position=1.2,
        rotation_magnitude=1.6,
        rotation_direction=6.0,
        angular_acceleration=0.2,
        reaching=1.0,
        pose_closure=0.4,
        joint_velocity=-2e-5,
        action=-1e-4,
        action_rate=-2e-3,
        joint_acceleration=-2e-8,
        tilt=-2.0,
        fall=-80.0,
        position_width_m=0.03,
    )


def paper_task() -> TaskConfig:
    """The paper's literal task: joint-limit actions, 83 observations, Table III, cosine."""
    return TaskConfig(
        action=ActionConfig(mode="limits"),
        observation=ObservationConfig(False, False, False),
        reward=RewardConfig(form="alignment"),
    )


def tuned_task() -> TaskConfig:
    """The task as it is evaluated: our action, observations and rewards, the paper's episode."""
    return TaskConfig(reward=tuned_rewards())


def wide_task() -> TaskConfig:
    """The task as the shipped teacher learns it: both directions, told what world it is in."""
    one_way = training_task()
    return replace(
        one_way,
        command=replace(one_way.command, speed_rad_s=(0.3, 2.0), both_directions=True),
        observation=ObservationConfig(earlier_targets=True, world=True),
        reward=replace(one_way.reward, action_rate=-0.05),
    )


def training_task() -> TaskConfig:
    """A task that is learned in minutes: one direction, short episodes, with less support."""
    return TaskConfig(
        command=CommandConfig(speed_rad_s=(0.3, 3.0), log_uniform=True),
        reward=tuned_rewards(),
        episode=EpisodeConfig(length_s=16.0, support_s=(0.0, 6.0), finite_horizon=False),
    )


def evaluation_task(trained: TaskConfig) -> TaskConfig:
    """The paper's episode and commands, with a policy's own actions and observations.

    A policy that has learned both directions is commanded both.
    """
    commands = CommandConfig(both_directions=trained.command.both_directions)
    return replace(trained, episode=EpisodeConfig(), command=commands)


def platform_height_m(hand: Hand, held: HeldObject | None = None) -> float:
    """Height of the platform's centre while it supports an object under a hand."""
    upright_m = (held or HeldObject()).upright_m
    below = upright_m / 2 + PLATFORM_CLEARANCE_M + PLATFORM_HALF_SIZE_M[2]
    return hand.grasp_point_m[2] - below
