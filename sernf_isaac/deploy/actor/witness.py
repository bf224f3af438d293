"""Who looks on while a session runs: a browser's file, ROS topics; nobody of them may delay a step.

The runner shows a glimpse per control step, a session one whenever it waits. What takes time does
it in a thread of its own, which sees the newest glimpse and misses those in between.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from sernf_isaac.deploy.loop.messages import HandState
from sernf_isaac.deploy.protocols import Array


def _none() -> Array:
    return np.zeros(0)


@dataclass(frozen=True)
class Glimpse:
    """What there is to see at one moment; between episodes only the hand."""

    time_s: float
    """On the station's clock."""
    hand: HandState
    eid: str = ""
    """Of the episode; empty between episodes."""
    since_start_s: float = 0.0
    """Of the episode."""
    pose: Array = field(default_factory=_none)
    """(7,) where the object was seen: position [m], rotation xyzw; (0,) if nobody looked."""
    action: Array = field(default_factory=_none)
    """(A,) what was asked of the hand now [rad]."""
    planned: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """(Q, A) what is queued after it [rad]."""
    scores: Array = field(default_factory=_none)
    """(K,) what the candidates of the newest decision were ranked by."""
    turned_rad: float = 0.0
    """How far the object has turned in the commanded direction."""


class Witness(Protocol):
    """Looks on."""

    def see(self, glimpse: Glimpse) -> None:
        """Take notice; returns at once and raises nothing."""
        ...


class Nobody:
    """Does not look."""

    def see(self, glimpse: Glimpse) -> None:
        """As in `Witness`."""


class Several:
    """All of these look.

    Args:
        witnesses: Who.
    """

    def __init__(self, *witnesses: Witness) -> None:
        self._witnesses = witnesses

    def see(self, glimpse: Glimpse) -> None:
        """As in `Witness`."""
        for witness in self._witnesses:
            witness.see(glimpse)


class Aside:
    """Looks on in a thread of its own.

    An error there ends the looking on, not the session; it is told once.

    Args:
        note: Does something with a glimpse; may take its time.
        tell: Where an error is told.
    """

    def __init__(self, note: Callable[[Glimpse], None], tell: Callable[[str], None]) -> None:
        self._note, self._tell = note, tell
        self._newest: Glimpse | None = None
        self._changed, self._over = threading.Condition(), False
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def see(self, glimpse: Glimpse) -> None:
        """As in `Witness`."""
        with self._changed:
            self._newest = glimpse
            self._changed.notify()

    def close(self) -> None:
        """Note the newest glimpse, and end."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(timeout=2.0)

    def _look(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._over)
                glimpse, self._newest = self._newest, None
            if glimpse is None:
                return
            try:
                self._note(glimpse)
            except Exception as error:  # whoever looks on must not stop the machine
                self._tell(f"nobody looks on any more: {type(error).__name__}: {error}")
                return
