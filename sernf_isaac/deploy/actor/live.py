"""What a session shows to those who look at its folder: the newest glimpse, in one small file.

Written beside the episodes, as `live/<actor>.json`; nothing reads it but people's pages. It is
replaced by a rename, so a reader gets a whole one, and not synced, so it costs no more than that.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sernf_isaac.data.store.files import read_json
from sernf_isaac.deploy.actor.witness import Glimpse
from sernf_isaac.deploy.protocols import Array

FOLDER = "live"


@dataclass(frozen=True)
class LiveView:
    """A glimpse as somebody else reads it."""

    age_s: float
    """By the wall clock of the machine that reads."""
    state: str
    reason: str
    eid: str
    since_start_s: float
    joint_pos: Array
    """(A,) measured [rad]."""
    pose: Array
    """(7,) or (0,), as in `Glimpse`."""
    planned: Array
    """(Q, A) the action of now, then the queued ones; (0, 0) between episodes."""
    scores: Array
    """(K,)"""
    turned_rad: float


class LiveFile:
    """Writes glimpses for readers; use it inside an `Aside`.

    Args:
        run: Folder of the run.
        actor: Who is seen.
    """

    def __init__(self, run: Path, actor: str) -> None:
        self._path = _file(run, actor)
        self._path.parent.mkdir(exist_ok=True)
        self._staged = self._path.with_name(f".{actor}.{os.getpid()}.partial")

    def note(self, glimpse: Glimpse) -> None:
        """Replace what was there.

        Raises:
            OSError: If the disk is full.
        """
        hand = glimpse.hand
        plan = [glimpse.action, *glimpse.planned] if len(glimpse.action) else []
        content = {
            "wall_s": time.time(),
            "state": hand.state.name,
            "reason": hand.reason.name,
            "eid": glimpse.eid,
            "since_start_s": glimpse.since_start_s,
            "joint_pos": _plain(hand.joint_pos),
            "pose": _plain(glimpse.pose),
            "planned": [_plain(row) for row in plan],
            "scores": _plain(glimpse.scores),
            "turned_rad": glimpse.turned_rad,
        }
        self._staged.write_text(json.dumps(content))
        os.replace(self._staged, self._path)


def read_live(run: Path, actor: str) -> LiveView | None:
    """The newest glimpse of a session; None if it never showed one.

    Raises:
        ValueError: If the file is damaged, or of another version.
    """
    path = _file(run, actor)
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        age_s = time.time() - float(content.pop("wall_s"))
        arrays = {
            name: np.array(content.pop(name), np.float64)
            for name in ("joint_pos", "pose", "scores", "planned")
        }
        if arrays["planned"].ndim != 2:
            arrays["planned"] = np.zeros((0, 0))
        return LiveView(age_s=age_s, **arrays, **content)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is of another version: {error}") from error


def _file(run: Path, actor: str) -> Path:
    return run / FOLDER / f"{actor}.json"


def _plain(values: Array) -> list[float]:
    return np.asarray(values, np.float64).round(5).tolist()
