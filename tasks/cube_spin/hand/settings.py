"""Settings of a session on a hand: which hand, which poses, limits and patience."""

from dataclasses import dataclass, field

from sernf_isaac.deploy.actor.episode import RunnerSettings
from sernf_isaac.deploy.actor.fallback import FallbackRule
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.health import HealthLimits
from sernf_isaac.deploy.hand.own_driver import is_place
from sernf_isaac.deploy.hand.sensors import SensorOptions
from sernf_isaac.deploy.loop.states import SafetyTiming
from sernf_isaac.deploy.policy.follower import RollbackRule
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.deploy.ros.settings import RosOptions
from tasks.assets import DEFAULT_DETECTOR
from tasks.cube_spin.hand.pose_sources import CameraErrors
from tasks.cube_spin.hand.twin_encoders import EncoderErrors
from tasks.cube_spin.held_object import HeldObject

HANDS = ("twin", "mock", "orca")


POSES = ("truth", "camera", "still")
FILTERS = ("predicting", "lowpass")


@dataclass
class TwinOptions:
    """The simulated hand."""

    physics: str = "hard"
    """A preset or a YAML file, as for evaluate.py."""
    backlash_rad: float = 0.01
    """Play between servo and joint; training has none."""
    second_camera: bool = False
    """Film the cube with two cameras, for pose=camera."""
    support_s: float = 6.0
    """The platform holds a placed cube for this long (paper F.4a)."""
    encoders: bool = False
    """Whether it has joint encoders, as some v2 hands: joints are then measured as by those, and
    what was measured without is recorded as what the motors say."""
    encoder_noise_rad: float = 0.002
    """Standard deviation of an encoder's angle: five of its steps; a guess, nobody measured it."""
    encoder_rate_hz: float = 466.0
    """Angles per second: that of the board's stream, by orca_core's comments."""

    @property
    def encoder_errors(self) -> EncoderErrors | None:
        """Of the encoders, where it has them."""
        if not self.encoders:
            return None
        return EncoderErrors(rate_hz=self.encoder_rate_hz, noise_rad=self.encoder_noise_rad)


@dataclass
class HandRun:
    """Everything that determines a session."""

    hand: str = "twin"
    """"twin", "mock" (orca_core's: goes where it is told at once), "orca", or your own driver:
    package.module:Class or file.py:Class."""
    pose: str = "truth"
    """"truth": the twin's, with a camera's errors; "camera": from pictures, rendered ones for the
    twin; "still": always at the origin, for dry runs of hands without a camera."""
    detector: str = str(DEFAULT_DETECTOR)
    """File of train_detector.py, for poses from pictures."""
    pose_filter: str = "predicting"
    """Of poses from pictures: "predicting" to the moment of use, or the paper's "lowpass" (F.2),
    which averages noise out and is late."""
    calibration: str = ""
    """File of calibrate_camera.py with the camera's place at the hand; the twin knows it."""
    second_calibration: str = ""
    """The same of a second camera, whose poses and those of the first are fused; empty: none."""
    hand_config: str = ""
    """orca_core's config.yaml of this very hand; empty: the packaged one."""
    model: str = ""
    """Which hand, as `orca_v2_right` or the YAML file of your own; empty: that of `hand_config`,
    else the one of the policy."""
    object: HeldObject = field(default_factory=HeldObject)
    """What the hand is given to spin; a policy for another object is refused."""
    fallback: str = ""
    """Policy file of a student without a camera, which drives while the eyes have lost the object;
    see `runner.fallback`. Empty: the episode ends after `runner.blind_s`."""
    seed: int = 0
    """Of decisions and of the twin's draws."""
    actor: str = "actor"
    """Who writes; several robots may share a run."""
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    decisions: DecisionSettings = field(default_factory=DecisionSettings)
    guard: GuardLimits = field(default_factory=GuardLimits)
    safety: SafetyTiming = field(default_factory=SafetyTiming)
    camera: CameraErrors = field(default_factory=CameraErrors)
    rollback: RollbackRule = field(default_factory=RollbackRule)
    twin: TwinOptions = field(default_factory=TwinOptions)
    sensors: SensorOptions = field(default_factory=SensorOptions)
    health: HealthLimits = field(default_factory=HealthLimits)
    ros: RosOptions = field(default_factory=RosOptions)

    def __post_init__(self) -> None:
        if self.hand not in HANDS and not is_place(self.hand):
            raise ValueError(
                f"hand must be one of {HANDS} or a driver as package.module:Class, not "
                f"'{self.hand}'"
            )
        if is_place(self.hand) and self.hand_config:
            raise ValueError("hand_config would have no effect: it is for ORCA hands")
        if self.pose not in POSES:
            raise ValueError(f"pose must be one of {POSES}, not '{self.pose}'")
        if self.pose_filter not in FILTERS:
            raise ValueError(f"pose_filter must be one of {FILTERS}, not '{self.pose_filter}'")
        if self.pose_filter != FILTERS[0] and self.pose != "camera":
            raise ValueError(
                f"pose_filter = {self.pose_filter} would have no effect: it is for pose=camera"
            )
        if self.pose == "truth" and self.hand != "twin":
            raise ValueError(
                f"pose=truth: only the twin knows the cube's true pose, hand={self.hand} does not; "
                "give --pose camera, or --pose still for a dry run without a cube"
            )
        if self.pose == "camera" and self.hand != "twin" and not self.calibration:
            raise ValueError("a real camera needs calibration=FILE (scripts/calibrate_camera.py)")
        self._check_second_camera()
        self._check_fallback()
        for name, unused in (("sensors", SensorOptions()), ("health", HealthLimits())):
            if self.hand in ("mock", "orca") or getattr(self, name) == unused:
                continue
            raise ValueError(
                f"{name}.* would have no effect: it is for ORCA hands; the twin has twin.encoders, "
                "and its motors are always well"
            )
        if self.hand != "twin" and self.twin.encoders:
            raise ValueError("twin.encoders would have no effect: it is for hand=twin")

    def _check_fallback(self) -> None:
        if not self.fallback and self.runner.fallback != FallbackRule():
            raise ValueError("runner.fallback.* would have no effect: give fallback=FILE")
        if self.fallback and self.pose == "still":
            raise ValueError("fallback would have no effect: with pose=still no pose is ever lost")

    def _check_second_camera(self) -> None:
        for name, given, right in (
            ("second_calibration", bool(self.second_calibration), self.hand != "twin"),
            ("twin.second_camera", self.twin.second_camera, self.hand == "twin"),
        ):
            if given and not (right and self.pose == "camera"):
                where = "the twin" if name.startswith("twin") else "a real hand"
                raise ValueError(f"{name} would have no effect: it is for {where} and pose=camera")
        if self.second_calibration and self.second_calibration == self.calibration:
            raise ValueError(
                "calibration and second_calibration are one file; each camera has its own"
            )
