"""Who looks on at a session: its file for pages, and on request ROS topics and a bag."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from sernf_isaac.deploy.actor.live import LiveFile
from sernf_isaac.deploy.actor.witness import Aside, Several, Witness
from sernf_isaac.deploy.loop.messages import HandLink
from sernf_isaac.deploy.ros.bridge import RosBridge
from sernf_isaac.deploy.ros.recorder import BagRecorder
from tasks.cube_spin.hand.settings import HandRun
from tasks.orca.hands import load_hand


@contextmanager
def onlookers(
    run: HandRun, folder: Path, hand: HandLink, tell: Callable[[str], None]
) -> Iterator[Witness]:
    """All that look on, each in a thread of its own.

    Args:
        run: Settings, with the name of the hand in `model`.
        folder: Of the run.
        hand: What the stop topic stops.
        tell: Where messages go.

    Raises:
        ValueError: If ROS or rosbags are asked for and not there.
    """
    names, space = load_hand(run.model).joint_names, run.ros.namespace
    with ExitStack() as stack:
        notes = [LiveFile(folder, run.actor).note]
        if run.ros.publish:
            notes.append(stack.enter_context(RosBridge(names, space, hand.stop, tell)).note)
            tell(f"topics below /{space}; a message on /{space}/stop takes the torque off")
        if run.ros.record:
            bag = folder / "bags" / f"{run.actor}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
            notes.append(stack.enter_context(BagRecorder(bag, names, space)).note)
            tell(f"bag -> {bag}")
        yield Several(*(stack.enter_context(Aside(note, tell)) for note in notes))
