"""Runs stages one after the other on a store's data; may be interrupted anywhere and continued."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor
from tqdm import tqdm

from sernf_isaac.checkpoint import read_whole, write_whole
from sernf_isaac.data.chunks import ChunkBatch
from sernf_isaac.learning.learner import Learner
from sernf_isaac.learning.losses import Metrics
from sernf_isaac.learning.stages import Stage
from sernf_isaac.metrics import MetricsWriter

STATE_FILE = "training_state.pt"


class Sampler(Protocol):
    """Where batches come from."""

    def draw(self, stage: Stage) -> ChunkBatch:
        """A fresh batch of the rows this stage learns from."""
        ...

    def state_dict(self) -> dict:
        """What the next batches depend on."""
        ...

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        ...


@dataclass(frozen=True)
class Leg:
    """A stage, and how many steps it takes."""

    stage: Stage
    steps: int


class StagedTraining:
    """Walks through `legs`, logging means and saving resume points on the way.

    A run that is killed and resumed ends with the same weights as one that was not, bit for bit on
    a CPU: networks, optimisers, random numbers and the sampler are part of the resume point.
    Where the learner is one of several processes, process 0 alone writes, and any number of
    processes may go on from what it wrote.

    Args:
        learner: Its updates are the steps.
        sampler: Gives the batches; each process its own rows of one batch.
        legs: Stages in order.
        run_dir: Where metrics and resume points go.
        log_every: Steps whose mean is one logged number.
        save_every: Steps between resume points; a multiple of `log_every`.
        after_leg: Called with each leg that has just ended, to export or evaluate; its numbers are
            logged.
        measure: Asked at each row of the metrics for more numbers of it; must change nothing.
        when_saved: Called with each leg that has just ended, after all of it is on disk.

    Raises:
        ValueError: If `save_every` is no multiple of `log_every`, or there is nothing to do.
    """

    def __init__(
        self,
        learner: Learner,
        sampler: Sampler,
        legs: list[Leg],
        run_dir: Path,
        *,
        log_every: int = 50,
        save_every: int = 1000,
        after_leg: Callable[[Leg], dict[str, float]] = lambda _: {},
        measure: Callable[[], dict[str, float]] = dict,
        when_saved: Callable[[Leg], None] = lambda _: None,
    ) -> None:
        if log_every < 1 or save_every % log_every:
            raise ValueError(f"save_every ({save_every}) must be a multiple of {log_every} >= 1")
        if not sum(leg.steps for leg in legs):
            raise ValueError("no steps to train: all stages have 0")
        self.learner, self.sampler, self.legs, self.run_dir = learner, sampler, legs, run_dir
        self.workers = learner.workers
        self.log_every, self.save_every, self.after_leg = log_every, save_every, after_leg
        self.measure, self.when_saved = measure, when_saved
        self.step = 0
        """Steps done, over all legs."""

    def run(self) -> None:
        """Train from where this run stands to the end of the last leg.

        Raises:
            ValueError: If processes that learn together do not begin with the same.
        """
        if self.workers.count > 1:
            plan = repr((self.step, self.legs, self.log_every, self.save_every))
            self.workers.check_same({"settings": plan, "data": _mark(self.sampler.state_dict())})
        if not self.step:
            self.save()  # a run that dies early can be resumed too
        writer = None
        if self.workers.writes:
            writer = MetricsWriter(self.run_dir, first_step=self.step + 1)
        try:
            first = 0
            for leg in self.legs:
                if self.step < first + leg.steps:
                    self._walk(leg, first, writer)
                first += leg.steps
        finally:
            if writer:
                writer.close()

    def resume(self) -> None:
        """Go back to the last resume point.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged or of other networks.
        """
        path = self.run_dir / STATE_FILE
        if not path.is_file():
            raise FileNotFoundError(f"nothing to resume: {path} does not exist")
        state = read_whole(path)
        if not isinstance(state, dict) or not {"learner", "sampler", "step"} <= state.keys():
            raise ValueError(f"{path} is no resume point of a training run")
        self.learner.load_state_dict(state["learner"])
        self.sampler.load_state_dict(state["sampler"])
        self.step = state["step"]
        others = state.get("noise_of_others", [])
        if rank := self.workers.rank:
            if rank <= len(others):
                self.learner.load_noise(others[rank - 1])
            else:
                self.learner.fresh_noise(self.step)

    def save(self) -> None:
        """Write the resume point."""
        _, *others = self.workers.gather(self.learner.noise_state())
        if self.workers.writes:
            state = {
                "learner": self.learner.state_dict(),
                "sampler": self.sampler.state_dict(),
                "step": self.step,
                "noise_of_others": others,
            }
            write_whole(self.run_dir / STATE_FILE, state)

    def _walk(self, leg: Leg, first: int, writer: MetricsWriter | None) -> None:
        sums: Metrics = {}
        started = time.monotonic()
        done, end = self.step - first, first + leg.steps
        name, quiet = leg.stage.name, writer is None
        with tqdm(total=leg.steps, initial=done, desc=name, unit="step", disable=quiet) as bar:
            while self.step < end:
                metrics = leg.stage.update(self.learner, self.sampler.draw(leg.stage))
                sums = {name: sums.get(name, 0.0) + value for name, value in metrics.items()}
                self.step += 1
                bar.update()
                counted = (self.step - first) % self.log_every or self.log_every
                if counted == self.log_every or self.step == end:
                    self.learner.check()
                    means = {name: float(value) / counted for name, value in sums.items()}
                    means["time/updates_per_s"] = counted / (time.monotonic() - started)
                    means = self.workers.mean(means)
                    if writer:
                        writer.write(self.step, means | self.measure())
                    bar.set_postfix({k: f"{v:.3g}" for k, v in means.items() if k in _SHOWN})
                    sums = {}
                    started = time.monotonic()
                if self.step == end and writer:
                    writer.write(self.step, self.after_leg(leg))
                if self.step == end or (self.step - first) % self.save_every == 0:
                    if writer:
                        writer.flush()
                    self.save()
                if self.step == end and writer:
                    self.when_saved(leg)


def _mark(state: object) -> str:
    """The same for states that hold the same tensors and plain values."""
    if isinstance(state, dict):
        content = "".join(f"{name}:{_mark(value)}" for name, value in state.items()).encode()
    else:
        content = state.numpy().tobytes() if isinstance(state, Tensor) else repr(state).encode()
    return hashlib.sha256(content).hexdigest()


_SHOWN = ("actor/bc", "actor/value", "critic/loss")
