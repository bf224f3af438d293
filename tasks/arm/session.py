"""Builds a session with an arm that carries a hand, from settings to the session itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.store.channel import first_checkpoint, publish_first
from sernf_isaac.data.store.files import sha256_of
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.actor.clock import MonotonicClock
from sernf_isaac.deploy.actor.operators import Keyboard, Unattended
from sernf_isaac.deploy.actor.session import Poses, Questions, Session
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.actor.virtual import InProcessHand, InstantPolicy, VirtualClock
from sernf_isaac.deploy.arm.carried_hand import CarriedHand, ToolPose
from sernf_isaac.deploy.arm.driver import ArmDriver
from sernf_isaac.deploy.arm.fake import FakeArm
from sernf_isaac.deploy.arm.franky import FrankyArm
from sernf_isaac.deploy.arm.panda import PandaArm
from sernf_isaac.deploy.arm.process import ArmProcess, ArmSetup
from sernf_isaac.deploy.arm.server import ArmServer
from sernf_isaac.deploy.hand.ideal import IdealHand
from sernf_isaac.deploy.hand.orca import OrcaDriver
from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.policy.follower import CheckpointFollower
from sernf_isaac.deploy.policy.local import LoadReport, LocalPolicy, PolicyLink
from sernf_isaac.deploy.policy.reflex import Correct, load_reflex
from sernf_isaac.deploy.policy.worker import WorkerPolicy
from sernf_isaac.deploy.protocols import Array, Clock, HandDriver, Operator
from tasks.arm.catalogue import task_called
from tasks.arm.circle import Circle
from tasks.arm.settings import ArmRun
from tasks.arm.task import ArmTask, check_arm_policy, machine
from tasks.manipulation.actions import ACTION_NAMES, CARRIED
from tasks.manipulation.settings import SPEC

LATENCY_S = 0.24
"""How long a decision is made to take where time is not real: the paper's (App. I)."""
LEAVE = "take what the hand holds and stand clear: the hand will open and the arm go home"


def prepare(run: ArmRun, folder: Path, policy: Path | None, *, circle: bool = False) -> None:
    """Make the run's folder, and publish the policy it begins with.

    Raises:
        ValueError: If it is another run's folder, it began with another policy, or there is none to
            drive with.
        FileNotFoundError: If the policy file does not exist.
    """
    info: dict[str, object] = {
        "task": run.task,
        "arm": run.arm,
        "hand": run.hand,
        "joint_names": list(ACTION_NAMES),
        "control_rate_hz": run.runner.control_rate_hz,
        "limits": {k: list(v) if k.endswith("er_m") else v for k, v in asdict(run.limits).items()},
        "guard": asdict(run.guard),
        "hand_config": sha256_of(Path(run.hand_config)) if run.hand_config else "packaged",
    }
    create_run(folder, info)
    if circle:
        return
    if policy is not None:
        load_checkpoint(policy)
    elif first_checkpoint(folder) is None:
        raise ValueError(f"{folder} has no policy yet; give one with --policy, or try --circle")
    publish_first(folder, policy)


@contextmanager
def open_session(
    run: ArmRun, folder: Path, tell: Callable[[str], None], *, circle: bool = False
) -> Iterator[Session]:
    """A session with its processes; all of them end with it, and the hand loses its torque.

    Args:
        run: Settings.
        folder: Of the run; prepared.
        tell: Where messages go.
        circle: Drive a circle instead of the run's policy.

    Raises:
        RuntimeError: If arm, hand, terminal or policy process are not there.
        ValueError: If no policy passes its tests.
    """
    clock = MonotonicClock()
    with (
        RunWriter(folder, run.actor) as writer,
        ArmProcess(_arm_setup(run, folder, clock)) as arm,
        HandProcess(_hand_setup(run, folder)) as hand,
        _policy_process(run, clock, circle=circle) as policy,
    ):
        link = CarriedHand(arm, hand)
        operator: Operator = Unattended(link.clear, tell)
        if not run.is_simulated:
            operator = Keyboard(link.stop, link.clear)
        yield session_at(run, folder, writer, link, policy, operator, clock)


@contextmanager
def open_virtual_session(
    run: ArmRun, folder: Path, tell: Callable[[str], None], *, circle: bool = False
) -> Iterator[Session]:
    """The same in this process, as fast as it computes.

    Raises:
        ValueError: If something real would have to move, or no policy passes its tests.
    """
    if not run.is_simulated:
        raise ValueError(f"time cannot be skipped for arm={run.arm}, hand={run.hand}")
    clock = VirtualClock()
    arm_driver, hand_driver = make_arm(run, clock.now)(), make_hand(run)()
    arm_driver.connect()
    hand_driver.connect()
    arm_server = ArmServer(arm_driver, limits=run.limits, timing=run.safety)
    hand_server = HandServer(
        hand_driver, CARRIED.driver, limits=run.guard, timing=run.safety, open_pose=_open_hand(run)
    )
    with RunWriter(folder, run.actor) as writer:
        arm = InProcessHand(arm_server, clock)
        link = CarriedHand(arm, InProcessHand(hand_server, clock))
        policy: PolicyLink = Circle(SPEC, run.runner.control_rate_hz, clock.now)
        if not circle:
            check = partial(check_arm_policy, task=run.task)
            local = LocalPolicy(run.decisions, check, limits=_limits(run))
            policy = InstantPolicy(local, clock.now, LATENCY_S)
        operator = Unattended(link.clear, tell)
        try:
            yield session_at(run, folder, writer, link, policy, operator, clock)
        finally:
            arm_server.close()
            hand_server.close()


def session_at(
    run: ArmRun,
    folder: Path,
    writer: RunWriter,
    link: CarriedHand,
    policy: PolicyLink,
    operator: Operator,
    clock: Clock,
) -> Session:
    """A session with these parts, with episodes recovered and the run's policy loaded.

    Raises:
        ValueError: If no policy passes its tests.
    """
    if recovered := writer.recover(operator.tell):
        operator.tell(f"recovered {len(recovered)} episodes that were cut off")
    task = task_called(run.task)
    source = ToolPose(link.arm)
    station = Station(link, machine(run.limits), policy, source, ArmTask(), operator, clock)
    loaded: list[tuple[LoadReport, Correct | None]] = []
    follower = CheckpointFollower(
        folder, lambda path: loaded.append((policy.load(path), load_reflex(path))), run.rollback
    )
    if not isinstance(policy, Circle):
        message = follower.refresh()
        if not loaded:
            raise ValueError(message)
        operator.tell(f"{message}; a decision takes {1e3 * loaded[-1][0].p99_s:.0f} ms (p99)")
    scenes = task.tests.names()
    return Session(
        station,
        replace(run.runner, max_episode_s=min(run.runner.max_episode_s, task.time_limit_s)),
        Poses(run.rest, run.rest),
        writer,
        follower,
        lambda: loaded[-1][0].spec if loaded else SPEC,
        reflex_of=lambda: loaded[-1][1] if loaded else None,
        actor=run.actor,
        questions=Questions(
            leave="" if run.is_simulated else LEAVE,
            place=lambda number: f"set up: {scenes[number % len(scenes)]}",
        ),
    )


def make_arm(run: ArmRun, now: Callable[[], float]) -> Callable[[], ArmDriver]:
    """What makes the run's arm driver."""
    if run.arm == "fake":
        return partial(FakeArm, np.array(run.home), now)
    return partial(PandaArm if run.arm == "panda" else FrankyArm, run.hostname)


def make_hand(run: ArmRun) -> Callable[[], HandDriver]:
    """What makes the run's hand driver."""
    if run.hand == "ideal":
        return partial(IdealHand, np.array(run.start_joints, np.float64))
    config = run.hand_config or None
    return partial(OrcaDriver, CARRIED.driver, mock=run.hand == "mock", config_path=config)


def _policy_process(
    run: ArmRun, clock: Clock, *, circle: bool
) -> AbstractContextManager[WorkerPolicy] | AbstractContextManager[Circle]:
    rate_hz = run.runner.control_rate_hz
    if circle:
        return nullcontext(Circle(SPEC, rate_hz, clock.now))
    check = partial(check_arm_policy, task=run.task)
    return WorkerPolicy(run.decisions, check, rate_hz, _limits(run))


def _limits(run: ArmRun) -> tuple[Array, Array]:
    """(24,) least and largest action."""
    whole = machine(run.limits)
    return np.array(whole.lower_rad), np.array(whole.upper_rad)


def _arm_setup(run: ArmRun, folder: Path, clock: MonotonicClock) -> ArmSetup:
    log = folder / f"arm-{run.actor}.log"
    return ArmSetup(make_arm(run, clock.now), run.limits, run.safety, log=log)


def _hand_setup(run: ArmRun, folder: Path) -> HandSetup:
    return HandSetup(
        make_hand(run),
        CARRIED.driver,
        tuple(_open_hand(run).tolist()),
        limits=run.guard,
        timing=run.safety,
        log=folder / f"hand-{run.actor}.log",
    )


def _open_hand(run: ArmRun) -> Array:
    return np.array(run.start_joints, np.float64)
