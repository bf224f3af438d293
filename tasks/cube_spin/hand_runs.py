"""Builds everything a session of robot time needs, from settings to the session itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.channel import publish_checkpoint, wanted_checkpoint
from sernf_isaac.data.files import sha256_of
from sernf_isaac.data.store import RunWriter, create_run
from sernf_isaac.deploy.clock import MonotonicClock
from sernf_isaac.deploy.controller import SafetyTiming
from sernf_isaac.deploy.guard import GuardLimits
from sernf_isaac.deploy.hand_process import HandProcess, HandSetup
from sernf_isaac.deploy.hands.orca import OrcaDriver
from sernf_isaac.deploy.inference import Check, DecisionSettings, LoadReport, PolicyLink
from sernf_isaac.deploy.operators import Keyboard, Unattended
from sernf_isaac.deploy.protocols import Clock, HandDriver, Operator, PoseSource
from sernf_isaac.deploy.reload import CheckpointFollower, RollbackRule
from sernf_isaac.deploy.runner import HandLink, RunnerSettings, Station
from sernf_isaac.deploy.session import Poses, Session
from sernf_isaac.deploy.worker import WorkerPolicy
from tasks.cube_spin import real_hand
from tasks.cube_spin.physics import load_physics
from tasks.cube_spin.still_pose import StillPose
from tasks.cube_spin.twin_camera import CameraErrors, TwinCamera

HANDS = ("twin", "mock", "orca")
POSES = ("truth", "camera", "still")
MakePoseSource = Callable[["HandRun", HandLink, Clock], AbstractContextManager[PoseSource]]
"""Poses from pictures; told the run, the hand and the clock."""


@dataclass
class TwinOptions:
    """The simulated hand."""

    physics: str = "hard"
    """A preset or a YAML file, as for evaluate.py."""
    backlash_rad: float = 0.01
    """Play between servo and joint; training has none."""
    support_s: float = 6.0
    """The platform holds a placed cube for this long (paper F.4a)."""


@dataclass
class HandRun:
    """Everything that determines a session."""

    hand: str = "twin"
    """"twin", "mock" (orca_core's: goes where it is told at once) or "orca"."""
    pose: str = "truth"
    """"truth": the twin's, with a camera's errors; "camera": from pictures, rendered ones for the
    twin; "still": always at the origin, for dry runs of hands without a camera."""
    detector: str = "assets/detector.pt"
    """File of train_detector.py, for poses from pictures."""
    calibration: str = ""
    """File of calibrate_camera.py with the camera's place at the hand; the twin knows it."""
    hand_config: str = ""
    """orca_core's config.yaml of this very hand; empty: the packaged one."""
    seed: int = 0
    actor: str = "actor"
    """Who writes; several robots may share a run."""
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    decisions: DecisionSettings = field(default_factory=DecisionSettings)
    guard: GuardLimits = field(default_factory=GuardLimits)
    safety: SafetyTiming = field(default_factory=SafetyTiming)
    camera: CameraErrors = field(default_factory=CameraErrors)
    rollback: RollbackRule = field(default_factory=RollbackRule)
    twin: TwinOptions = field(default_factory=TwinOptions)

    def __post_init__(self) -> None:
        if self.hand not in HANDS:
            raise ValueError(f"hand must be one of {HANDS}, not '{self.hand}'")
        if self.pose not in POSES:
            raise ValueError(f"pose must be one of {POSES}, not '{self.pose}'")
        if self.pose == "truth" and self.hand != "twin":
            raise ValueError(f"only the twin knows the true pose; a '{self.hand}' hand does not")
        if self.pose == "camera" and self.hand != "twin" and not self.calibration:
            raise ValueError("a real camera needs calibration=FILE (scripts/calibrate_camera.py)")


def prepare(run: HandRun, folder: Path, policy: Path | None) -> None:
    """Make the run's folder, and publish the policy it begins with.

    Raises:
        ValueError: If it is another run's folder, or there is no policy to drive with.
        FileNotFoundError: If the policy file does not exist.
    """
    info: dict[str, object] = {
        "task": "cube_spin",
        "hand": run.hand,
        "joint_names": list(real_hand.HAND.joint_names),
        "control_rate_hz": run.runner.control_rate_hz,
        "guard": asdict(run.guard),
        "hand_config": sha256_of(Path(run.hand_config)) if run.hand_config else "packaged",
    }
    create_run(folder, info)
    if wanted_checkpoint(folder) is not None:
        return
    if policy is None:
        raise ValueError(f"{folder} has no policy yet; give one with --policy")
    load_checkpoint(policy)
    publish_checkpoint(folder, policy, 0)


@contextmanager
def open_session(
    run: HandRun,
    folder: Path,
    tell: Callable[[str], None],
    camera: MakePoseSource | None = None,
) -> Iterator[Session]:
    """A session with its processes; all end with it, and the hand opens and loses its torque.

    Args:
        run: Settings.
        folder: Of the run; prepared.
        tell: Where messages go.
        camera: Makes poses from pictures, for `pose="camera"`.

    Raises:
        RuntimeError: If hand, terminal or policy process are not there.
        ValueError: If no policy passes its tests.
    """
    clock, rate_hz = MonotonicClock(), run.runner.control_rate_hz
    check = student_check(run, folder)
    with (
        RunWriter(folder, run.actor) as writer,
        HandProcess(_setup(run, folder)) as hand,
        WorkerPolicy(run.decisions, check, rate_hz) as policy,
        pose_source(run, hand, clock, camera) as source,
    ):
        operator = _operator(run, hand, tell)
        yield session_at(run, folder, writer, hand, policy, source, operator, clock)


def session_at(
    run: HandRun,
    folder: Path,
    writer: RunWriter,
    hand: HandLink,
    policy: PolicyLink,
    source: PoseSource,
    operator: Operator,
    clock: Clock,
) -> Session:
    """A session with these parts, with episodes recovered and the run's policy loaded.

    Raises:
        ValueError: If no policy passes its tests.
    """
    if recovered := writer.recover():
        operator.tell(f"recovered {len(recovered)} episodes that were cut off")
    task = real_hand.CubeSpin(symmetric_rotation=_symmetric(folder))
    station = Station(hand, real_hand.HAND, policy, source, task, operator, clock)
    loaded: list[LoadReport] = []
    follower = CheckpointFollower(
        folder, lambda path: loaded.append(policy.load(path)), run.rollback
    )
    message = follower.refresh()
    if not loaded:
        raise ValueError(message)
    operator.tell(f"{message}; a decision takes {1e3 * loaded[-1].p99_s:.0f} ms (p99)")
    poses = Poses(real_hand.OPEN_POSE, real_hand.grasp_pose())
    return Session(
        station,
        run.runner,
        poses,
        writer,
        follower,
        lambda: loaded[-1].spec,
        actor=run.actor,
    )


def student_check(run: HandRun, folder: Path) -> Check:
    """Whether a policy may drive this hand, as the run's first one did."""
    return partial(
        real_hand.check_student,
        symmetric_rotation=_symmetric(folder),
        smoothing=run.guard.smoothing,
    )


def _symmetric(folder: Path) -> bool:
    wanted = wanted_checkpoint(folder)
    assert wanted is not None, "prepared before"
    return real_hand.sees_symmetric(load_checkpoint(wanted.file.check(folder)).contract)


def _setup(run: HandRun, folder: Path) -> HandSetup:
    return HandSetup(
        hand_driver(run),
        real_hand.HAND,
        tuple(real_hand.OPEN_POSE.tolist()),
        limits=run.guard,
        timing=run.safety,
        log=folder / f"hand-{run.actor}.log",
    )


def hand_driver(run: HandRun) -> Callable[[], HandDriver]:
    """What makes the run's driver."""
    if run.hand == "twin":
        settings = real_hand.twin_settings(
            load_physics(run.twin.physics),
            seed=run.seed,
            support_s=run.twin.support_s,
            backlash_rad=run.twin.backlash_rad,
        )
        return real_hand.twin_driver(settings)
    config = run.hand_config or None
    return partial(OrcaDriver, real_hand.HAND, mock=run.hand == "mock", config_path=config)


def pose_source(
    run: HandRun, hand: HandLink, clock: Clock, camera: MakePoseSource | None
) -> AbstractContextManager[PoseSource]:
    """Where the run's poses come from.

    Raises:
        ValueError: If they come from pictures and nobody looks at them.
    """
    if run.pose == "camera":
        if camera is None:
            raise ValueError("pose=camera: no camera was handed in")
        return camera(run, hand, clock)
    if run.pose == "still":
        return nullcontext(StillPose(clock))
    truth = TwinCamera(lambda: (clock.now(), hand.state().cube), run.camera, seed=run.seed)
    return nullcontext(truth)


def _operator(run: HandRun, hand: HandProcess, tell: Callable[[str], None]) -> Operator:
    if run.hand == "orca":
        return Keyboard(hand.stop, hand.clear)
    return Unattended(hand.clear, tell)
