"""What a simulated task on the table is, for everything that works on all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from sernf_isaac.learning.online.in_memory import FourStageRun
from tasks.table.environment import Table
from tasks.table.operators import Operator


class MakesTables(Protocol):
    """The class of a task's environment."""

    def __call__(
        self,
        num_envs: int,
        *,
        seed: int = 0,
        starts: Callable[[np.random.Generator], list[Any]] | None = None,
        threads: int | None = None,
    ) -> Table[Any]:
        """So many tables; `starts` says where things stand, by default somewhere to practise."""
        ...


@dataclass(frozen=True)
class TableTask:
    """A task: its tables, who shows it, how it is judged, and settings."""

    name: str
    stages: tuple[str, ...]
    """What the rewards stand for, in order; the last one is success."""
    features: Mapping[str, int]
    """F of each observation group."""
    tables: MakesTables
    draw: Callable[[np.random.Generator], Any]
    """A start to practise on."""
    evaluation_set: Callable[[int, int], list[Any]]
    """So many starts to be judged by, always the same for a draw of them, which comes second."""
    operator: Callable[[np.random.Generator], Operator]
    """Somebody who shows the task once."""
    settings: Callable[[int, str], FourStageRun]
    """All stages for one core, given the seed and the kind of policy."""
    demonstrations: int
    """So many the experiment has."""
    rollouts_per_round: int
    """Online rollouts between two bouts of updates."""
    fixed_tests: int
    """Of the tests, so many are the fixed configurations; the others are told apart from them."""
    scene: Callable[[], mujoco.MjModel]
    """The compiled scene for pictures; made once per process."""
    place: Callable[[mujoco.MjModel, mujoco.MjData, Mapping[str, np.ndarray]], None]
    """Puts that scene into the state that was observed, groups (F,)."""
