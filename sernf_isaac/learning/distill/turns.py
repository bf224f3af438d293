"""Who drives while data are collected: the teacher or the student, by steps or by whole chunks."""

from collections import deque

import torch
from torch import Tensor

TURNS = ("steps", "chunks")
PREFIX_SHARE = 2 / 3
"""Above this share of the teacher, windows may begin with its prefix: there are hardly others. At
most one of three decisions then follows a chunk of the student; with the share of preset `small`
these are the first six iterations."""


class Turns:
    """Draws who executes each step of N machines, and where windows may start.

    "steps" (paper F.5): each step is drawn by itself, and a window may start anywhere. "chunks": a
    decision draws who executes all of its chunk, and windows start at decisions whose chunk the
    teacher executed, behind a prefix of the student. Such a window is what a decision meets, and
    its labels are one plan of the teacher; labels along the student's own chunk correct errors that
    nobody could know of when the chunk was decided.

    While the teacher's share is above `PREFIX_SHARE`, windows also start behind the teacher's own
    prefix. No decision met those: the student, when it decided, had queued other actions.

    Args:
        mode: "steps" or "chunks".
        prefix: P, steps between a decision and its chunk.
        draw: Source of the draws.
    """

    def __init__(self, mode: str, prefix: int, draw: torch.Generator) -> None:
        self._mode, self._prefix, self._draw = mode, prefix, draw
        self._coming: deque[Tensor] = deque()  # who executes the next P steps, each (N,)
        self._planned = torch.zeros(0, dtype=torch.bool)  # whose the newest chunk is

    def __call__(self, decided: Tensor, fresh: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """This step's drivers and starts, (N,) bool each: True is the teacher's, True may start.

        Args:
            decided: (N,) bool, on the CPU: a decision of the student was due.
            fresh: (N,) bool, on the CPU: an episode has just begun; its first P actions keep still.
            share: Probability of the teacher.
        """
        drawn = torch.rand(len(decided), generator=self._draw) < share
        if self._mode == "steps":
            return drawn, torch.ones_like(drawn)
        if len(self._planned) != len(decided):
            self._planned = torch.zeros_like(drawn)
            self._coming.extend([self._planned] * self._prefix)
        before = self._planned & ~fresh
        self._planned = torch.where(decided, drawn, before)
        self._coming = deque(coming & ~fresh for coming in self._coming)
        self._coming.append(self._planned)
        by_teacher = self._coming.popleft()
        return by_teacher, decided & drawn & (~before | (share > PREFIX_SHARE))

    def state_dict(self) -> dict:
        """All that later steps depend on, beside the source of the draws."""
        return {"coming": list(self._coming), "planned": self._planned}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._coming, self._planned = deque(state["coming"]), state["planned"]
