"""An episode of the store that is still going on: each step is in its log before the next one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from sernf_isaac.data.episode import Array, Episode
from sernf_isaac.data.store.steps import Ending, Step, StepLayout
from sernf_isaac.data.store.wal import END, STEP, LogWriter


class OpenEpisode:
    """An episode that is still going on; made by `RunWriter.begin`.

    Args:
        path: Of its log, named by its id.
        layout: What a step holds.
        commit: Stores the whole episode, given the times of its steps.
        forget: Called when the episode is stored and its log is gone.
    """

    def __init__(
        self,
        path: Path,
        layout: StepLayout,
        *,
        commit: Callable[[Episode, list[float]], None],
        forget: Callable[[], object],
    ) -> None:
        self.eid, self.layout = path.stem, layout
        self._commit, self._forget = commit, forget
        self._rows: list[bytes] = []
        self._times_s: list[float] = []
        self._log = LogWriter(path, layout.to_dict())

    def append(self, step: Step, time_s: float) -> None:
        """Log one step; when this returns, killing the process does not lose it.

        Args:
            step: What happened.
            time_s: When, on a clock that does not jump.

        Raises:
            ValueError: If the step does not fit the layout.
            OSError: If the disk is full.
        """
        row = self.layout.pack(step)
        self._log.append(STEP, row, time_s)
        self._rows.append(row)
        self._times_s.append(time_s)

    def sync(self) -> None:
        """Also survive a power failure; call about once a second from a side thread."""
        self._log.sync()

    def finish(
        self,
        outcome: str,
        final_observation: Mapping[str, Array] | None = None,
        planned: Array | None = None,
    ) -> str:
        """Commit the episode; when this returns it is safe. Returns its id.

        Takes tens of milliseconds, so not while the robot needs commands.

        Raises:
            ValueError: If there are no steps, or the ending does not fit them.
        """
        empty = np.zeros((0, self.layout.action_dim), np.float32)
        ending = Ending(outcome, final_observation or {}, empty if planned is None else planned)
        log_path = self._log.path
        episode = self._to_episode(ending)
        self._log.append(END, ending.pack(), self._times_s[-1])
        self._log.sync()  # it stays locked until it is gone
        self._commit(episode, self._times_s)
        log_path.unlink()
        self._forget()
        self.close()
        return self.eid

    def close(self) -> None:
        """Leave the episode in its log, from which it is recovered; harmless when finished."""
        self._log.close()

    def _to_episode(self, ending: Ending) -> Episode:
        if not self._rows:
            raise ValueError(f"episode {self.eid} has no steps")
        rows = np.frombuffer(b"".join(self._rows), np.float32).reshape(-1, self.layout.width)
        return Episode.from_arrays(
            self.layout.columns(rows)
            | {f"final_observation.{k}": np.asarray(v) for k, v in ending.final_observation.items()}
            | {"planned": np.asarray(ending.planned)},
            policy=self.layout.policy,
            outcome=ending.outcome,
            is_offline=self.layout.is_offline,
        )
