"""Builds everything a session of robot time needs, from settings to the session itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from sernf_isaac.checkpoint import load_checkpoint
from sernf_isaac.data.store.channel import first_checkpoint, publish_first, wanted_checkpoint
from sernf_isaac.data.store.files import sha256_of
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.deploy.actor.clock import MonotonicClock
from sernf_isaac.deploy.actor.operators import Keyboard, Unattended
from sernf_isaac.deploy.actor.session import Poses, Session
from sernf_isaac.deploy.actor.station import Station
from sernf_isaac.deploy.actor.virtual import InProcessHand, InstantPolicy, VirtualClock
from sernf_isaac.deploy.actor.witness import Nobody, Witness
from sernf_isaac.deploy.hand.orca import OrcaDriver
from sernf_isaac.deploy.hand.own_driver import driver_class, is_place, make_driver
from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.loop.messages import HandLink
from sernf_isaac.deploy.policy.follower import CheckpointFollower
from sernf_isaac.deploy.policy.local import (
    Check,
    LoadReport,
    LocalPolicy,
    PolicyLink,
)
from sernf_isaac.deploy.policy.reflex import Correct, load_reflex
from sernf_isaac.deploy.policy.worker import WorkerPolicy
from sernf_isaac.deploy.protocols import Clock, HandDriver, Operator, PoseSource
from tasks.cube_spin.hand.fallback import fallback_check, load_fallback, refuse_fallback
from tasks.cube_spin.hand.onlookers import onlookers
from tasks.cube_spin.hand.pose_sources import StillPose, TwinCamera
from tasks.cube_spin.hand.senses import say_measured, sensor_info, sensors_of
from tasks.cube_spin.hand.settings import HandRun
from tasks.cube_spin.hand.task import (
    CubeSpin,
    check_student,
    grasp_pose,
    sees_camera,
    sees_symmetric,
)
from tasks.cube_spin.hand.twin_world import twin_driver, twin_settings
from tasks.cube_spin.hand.which_hand import with_model
from tasks.cube_spin.physics_file import load_physics
from tasks.orca.hands import load_hand

MakePoseSource = Callable[["HandRun", HandLink, Clock], AbstractContextManager[PoseSource]]
"""Poses from pictures; told the run, the hand and the clock."""


def prepare(run: HandRun, folder: Path, policy: Path | None) -> None:
    """Make the run's folder, and publish the policy it begins with.

    Raises:
        ValueError: If it is another run's folder, it began with another policy, there is none to
            drive with, or it or the fallback is for another hand.
        FileNotFoundError: If the policy file does not exist.
    """
    run = with_model(run, folder, policy)
    info: dict[str, object] = {
        "task": "cube_spin",
        "hand": run.hand,
        "joint_names": list((model := load_hand(run.model)).joint_names),
        "control_rate_hz": run.runner.control_rate_hz,
        "guard": asdict(run.guard),
        **({"hand_file": model.key} if model.own else {}),
        "hand_config": sha256_of(Path(run.hand_config)) if run.hand_config else "packaged",
        **sensor_info(run),
    }
    if not run.object.is_first:
        info["object"] = run.object.label
    if run.fallback:
        begun = first_checkpoint(folder) if policy is None else None
        drives = policy if begun is None else begun.file.check(folder)
        refuse_fallback(run, load_checkpoint(drives or "").contract)
    create_run(folder, info)
    publish_first(folder, policy)


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
    run = with_model(run, folder)
    clock, rate_hz = MonotonicClock(), run.runner.control_rate_hz
    check = student_check(run, folder)
    with (
        RunWriter(folder, run.actor) as writer,
        HandProcess(_setup(run, folder)) as hand,
        WorkerPolicy(run.decisions, check, rate_hz, _limits(run)) as policy,
        _fallback_worker(run) as fallback,
        pose_source(run, hand, clock, camera) as source,
        onlookers(run, folder, hand, tell) as witness,
    ):
        operator = _operator(run, hand, tell)
        parts = (writer, hand, policy, source, operator, clock)
        yield session_at(run, folder, *parts, witness, fallback)


def session_at(
    run: HandRun,
    folder: Path,
    writer: RunWriter,
    hand: HandLink,
    policy: PolicyLink,
    source: PoseSource,
    operator: Operator,
    clock: Clock,
    witness: Witness | None = None,
    fallback: PolicyLink | None = None,
) -> Session:
    """A session with these parts, with episodes recovered, policy and fallback loaded.

    Raises:
        ValueError: If no policy passes its tests.
    """
    if recovered := writer.recover(operator.tell):
        operator.tell(f"recovered {len(recovered)} episodes that were cut off")
    description = load_hand(run.model)
    task = CubeSpin(description, held=run.object, **_sees(folder))
    looks_on = witness or Nobody()
    station = Station(hand, description.driver, policy, source, task, operator, clock, looks_on)
    loaded: list[tuple[LoadReport, Correct | None]] = []
    follower = CheckpointFollower(
        folder, lambda path: loaded.append((policy.load(path), load_reflex(path))), run.rollback
    )
    message = follower.refresh()
    if not loaded:
        raise ValueError(message)
    operator.tell(f"the hand is {run.model} ({run.hand})")
    if message := say_measured(run, hand.state()):
        operator.tell(message)
    operator.tell(f"{message}; a decision takes {1e3 * loaded[-1][0].p99_s:.0f} ms (p99)")
    drives = None
    if fallback is not None:
        drives, message = load_fallback(run, fallback)
        operator.tell(message)
    poses = Poses(np.array(description.rest_rad), grasp_pose(description, held=run.object))
    return Session(
        station,
        run.runner,
        poses,
        writer,
        follower,
        lambda: loaded[-1][0].spec,
        reflex_of=lambda: loaded[-1][1],
        actor=run.actor,
        fallback=drives,
    )


def _fallback_worker(run: HandRun) -> AbstractContextManager[WorkerPolicy | None]:
    """The process that decides for the fallback, if there is one."""
    if not run.fallback:
        return nullcontext()
    rate_hz = run.runner.control_rate_hz
    return WorkerPolicy(run.decisions, fallback_check(run), rate_hz, _limits(run))


def student_check(run: HandRun, folder: Path) -> Check:
    """Whether a policy may drive this hand, as the run's first one did."""
    return partial(
        check_student,
        hand=load_hand(run.model),
        smoothing=run.guard.smoothing,
        held=run.object,
        **_sees(folder),
    )


def _sees(folder: Path) -> dict[str, bool]:
    """How the run's policy sees the object, in the words of `CubeSpin`."""
    wanted = wanted_checkpoint(folder)
    assert wanted is not None, "prepared before"
    contract = load_checkpoint(wanted.file.check(folder)).contract
    camera = sees_camera(contract)
    return {"symmetric_rotation": sees_symmetric(contract) or not camera, "camera": camera}


def _limits(run: HandRun) -> tuple[np.ndarray, np.ndarray]:
    """(A,) least and largest angle of each joint."""
    hand = load_hand(run.model)
    return hand.lower_rad, hand.upper_rad


def _setup(run: HandRun, folder: Path) -> HandSetup:
    return HandSetup(
        hand_driver(run),
        load_hand(run.model).driver,
        load_hand(run.model).rest_rad,
        limits=run.guard,
        timing=run.safety,
        log=folder / f"hand-{run.actor}.log",
        sensors=sensors_of(run).sizes(load_hand(run.model).driver.num_joints),
    )


def hand_driver(run: HandRun) -> Callable[[], HandDriver]:
    """What makes the run's driver."""
    if run.hand == "twin":
        settings = twin_settings(
            load_hand(run.model),
            load_physics(run.twin.physics, run.object),
            seed=run.seed,
            support_s=run.twin.support_s,
            backlash_rad=run.twin.backlash_rad,
            encoders=run.twin.encoder_errors,
            held=run.object,
        )
        return twin_driver(settings)
    if is_place(run.hand):
        driver_class(run.hand)  # a mistake is told here rather than in the hand's process
        return partial(make_driver, run.hand, load_hand(run.model).driver)
    return partial(
        OrcaDriver,
        load_hand(run.model).driver,
        mock=run.hand == "mock",
        config_path=run.hand_config or None,
        sensors=sensors_of(run),
        options=run.sensors,
        health=run.health,
    )


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
        return nullcontext(StillPose(clock, load_hand(run.model).grasp_point_m))
    truth = TwinCamera(lambda: (clock.now(), hand.state().cube), run.camera, seed=run.seed)
    return nullcontext(truth)


def _operator(run: HandRun, hand: HandProcess, tell: Callable[[str], None]) -> Operator:
    unwatched = is_place(run.hand) and getattr(driver_class(run.hand), "simulated", False)
    if run.hand not in ("twin", "mock") and not unwatched:
        return Keyboard(hand.stop, hand.clear)
    return Unattended(hand.clear, tell)


DECISION_LATENCY_S = 0.06
"""How long a decision is made to take: what the shipped student needs on a laptop, and a margin."""


@contextmanager
def open_virtual_session(
    run: HandRun,
    folder: Path,
    tell: Callable[[str], None],
    *,
    latency_s: float = DECISION_LATENCY_S,
    camera: MakePoseSource | None = None,
) -> Iterator[Session]:
    """A session of `open_session` in this process, on a clock of its own.

    Args:
        run: Settings; the hand must be the twin.
        folder: Of the run; prepared.
        tell: Where messages go.
        latency_s: From an observation to its chunk.
        camera: Makes poses from pictures, for `pose="camera"`; must not wait.

    Raises:
        ValueError: If the hand is real, ROS is asked for, or no policy passes its tests.
    """
    if run.hand != "twin":
        raise ValueError(f"time cannot be skipped for a '{run.hand}' hand; only the twin's can")
    run = with_model(run, folder)
    if run.ros.publish or run.ros.record:
        raise ValueError("ros.publish and ros.record are for sessions in real time, not for this")
    clock = VirtualClock()
    driver = hand_driver(run)()
    driver.connect()
    server = HandServer(
        driver,
        load_hand(run.model).driver,
        limits=run.guard,
        timing=run.safety,
        open_pose=np.array(load_hand(run.model).rest_rad),
        sensors=sensors_of(run).sizes(load_hand(run.model).driver.num_joints),
    )
    with RunWriter(folder, run.actor) as writer:
        hand = InProcessHand(server, clock)
        local = LocalPolicy(run.decisions, student_check(run, folder), limits=_limits(run))
        policy = InstantPolicy(local, clock.now, latency_s)
        fallback = None
        if run.fallback:
            other = LocalPolicy(run.decisions, fallback_check(run), limits=_limits(run))
            fallback = InstantPolicy(other, clock.now, latency_s)
        operator = Unattended(hand.clear, tell)
        try:
            with pose_source(run, hand, clock, camera) as source:
                parts = (writer, hand, policy, source, operator, clock)
                yield session_at(run, folder, *parts, fallback=fallback)
        finally:
            hand.close()
