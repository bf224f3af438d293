"""A session in a browser, from what it leaves in its run's folder; looks on, changes nothing."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from sernf_isaac.data.store.channel import published, wanted_checkpoint
from sernf_isaac.deploy.actor.live import LiveView, read_live
from sernf_isaac.deploy.status import status_page
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.hand.which_hand import hand_of_policy, object_of_run
from tasks.cube_spin.view.scene import HandScene
from tasks.orca.description import Hand

if TYPE_CHECKING:
    import viser

OLD_S = 2.0
"""A view older than this is of a session that has ended, or of another clock."""
PAGE_EVERY_S = 3.0


class SessionPage:
    """Hand, seen cube, plan, candidates and status of one robot.

    Args:
        server: Of viser.
        run: Folder of the run.
        actor: Whose session.
        hand: The robot's.
    """

    def __init__(self, server: "viser.ViserServer", run: Path, actor: str, hand: Hand) -> None:
        self._server, self._run, self._actor = server, run, actor
        self.scene = HandScene(server, hand, held=object_of_run(run))
        self.text = server.gui.add_markdown("")
        self.status = server.gui.add_markdown("")
        self._paged_s = -np.inf

    def look(self, now_s: float) -> None:
        """Show what the folder says now.

        Raises:
            ValueError: If there is no such run, or its view is of another version.
        """
        if now_s - self._paged_s >= PAGE_EVERY_S:
            self._paged_s = now_s
            self.status.content = f"```\n{status_page(self._run)}\n```"
        view = read_live(self._run, self._actor)
        with self._server.atomic():
            self.text.content = _told(view, self._actor)
            if view is None:
                return
            self.scene.show_hand(view.joint_pos)
            self.scene.show_estimate(_wxyz(view.pose) if len(view.pose) else None)
            self.scene.show_plan(view.planned)
            self.scene.show_scores(view.scores)

    def run(self) -> NoReturn:
        """Until interrupted."""
        while True:
            self.look(time.monotonic())
            time.sleep(CONTROL_DT_S)


def hand_of_run(run: Path) -> Hand:
    """The hand that a run's policy is for.

    Raises:
        ValueError: If there is no such run, or it has no policy yet.
    """
    wanted = wanted_checkpoint(run) if published(run) else None
    if wanted is None:
        raise ValueError(f"{run} has no policy yet, so nobody knows its hand; start the session")
    return hand_of_policy(wanted.file.check(run))


def _told(view: LiveView | None, actor: str) -> str:
    if view is None:
        return f"no session of {actor} has shown anything in this run"
    old = f" (**{view.age_s:.0f} s ago**)" if view.age_s > OLD_S else ""
    why = "" if view.reason == "NONE" else f", {view.reason}"
    lines = [f"hand **{view.state}**{why}{old}"]
    if view.eid:
        turns = view.turned_rad / (2.0 * np.pi)
        lines.append(f"{view.since_start_s:.1f} s, {turns:+.2f} turns in {view.eid}")
    return "\n\n".join(lines)


def _wxyz(pose: np.ndarray) -> np.ndarray:
    """(7,) with the rotation as wxyz instead of xyzw."""
    return np.array([*pose[:3], pose[6], *pose[3:6]])
