"""What distillation remembers: who saw what, what was executed, what the teacher would have done.

`data/windows.py` says which steps make a window (paper Fig. 7, F.5). In these, the prefix is what
was executed, and the chunk is what the teacher wanted at each of its steps.
"""

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkBatch, ChunkSpec
from sernf_isaac.data.windows import steps_of, unbroken
from sernf_isaac.devices import sent_to

Observation = dict[str, Tensor]


class RolloutMemory:
    """The newest M rollouts of T steps in N environments, and the windows in them.

    Histories are stored as they were seen, so a window may start at a rollout's first step.

    Args:
        spec: P and H.
        steps: T.
        rollouts: M; the paper keeps one.

    Raises:
        ValueError: If a rollout is too short for a window.
    """

    def __init__(self, spec: ChunkSpec, steps: int, rollouts: int = 1) -> None:
        self._length = spec.prefix + spec.horizon
        if steps < self._length or rollouts < 1:
            raise ValueError(
                f"rollout_steps ({steps}) must be >= prefix + horizon ({self._length}), "
                f"kept_rollouts ({rollouts}) >= 1"
            )
        self._spec, self._steps, self._rollouts = spec, steps, rollouts
        self._rows: dict[str, Tensor] = {}  # each (M, T, N, ...)
        self._starts: list[Tensor] = []  # flat rows at which windows of each rollout start
        self._written = 0

    def __len__(self) -> int:
        """Number of windows."""
        return sum(len(starts) for starts in self._starts)

    def add(
        self,
        observation: Observation,
        executed: Tensor,
        label: Tensor,
        done: Tensor,
        starts: Tensor | None = None,
        queued: Tensor | None = None,
    ) -> None:
        """One step of all environments; after T of them a rollout replaces the oldest.

        Args:
            observation: Groups (N, ...) before the step.
            executed: (N, A) what the machine was told.
            label: (N, A) what the teacher wanted.
            done: (N,) bool: an episode ended with this step.
            starts: (N,) bool: a window may start here; everywhere by default.
            queued: (N, A) what the student's chunks had for this step; for `sample_steps`.
        """
        row = {f"observation.{name}": value for name, value in observation.items()}
        starts = torch.ones_like(done) if starts is None else starts
        row |= {"executed": executed, "label": label, "done": done, "starts": starts}
        row |= {} if queued is None else {"queued": queued}
        if not self._rows:
            shape = (self._rollouts, self._steps)
            self._rows = {name: v.new_zeros(*shape, *v.shape) for name, v in row.items()}
        if self._rows["done"].device != done.device:  # they were read from a file
            self._rows = {name: value.to(done.device) for name, value in self._rows.items()}
            self._starts = [starts.to(done.device) for starts in self._starts]
        rollout, step = divmod(self._written, self._steps)
        slot = rollout % self._rollouts
        for name, value in row.items():
            self._rows[name][slot, step] = value
        self._written += 1
        if step == self._steps - 1:
            self._starts = [*self._starts, self._find_starts(slot)][-self._rollouts :]

    def sample(self, batch_size: int, generator: torch.Generator) -> ChunkBatch:
        """A batch of windows, each as likely as the others, in the units of the data.

        Raises:
            ValueError: If there is no window: every episode was shorter than one.
        """
        if not len(self):
            raise ValueError(
                f"no episode of the rollout lasted {self._length} steps, so there is nothing to "
                "imitate; look at the teacher and the environment"
            )
        starts = torch.cat(self._starts)
        draw = torch.randint(len(starts), (batch_size,), generator=generator)
        return self.gather(starts[sent_to(draw, starts.device)])

    def sample_steps(
        self, batch_size: int, generator: torch.Generator
    ) -> tuple[Observation, Tensor, Tensor]:
        """Single steps of whole rollouts, each as likely as the others, in the units of the data.

        Returns:
            Groups (B, ...), what was queued (B, A), what the teacher wanted (B, A).
        """
        rollouts = min(self._written // self._steps, self._rollouts)
        flat = {name: value[:rollouts].flatten(0, 2) for name, value in self._rows.items()}
        draw = torch.randint(len(flat["done"]), (batch_size,), generator=generator)
        draw = sent_to(draw, flat["done"].device)
        observation = {
            name.removeprefix("observation."): value[draw]
            for name, value in flat.items()
            if name.startswith("observation.")
        }
        return observation, flat["queued"][draw], flat["label"][draw]

    def gather(self, start: Tensor) -> ChunkBatch:
        """The windows that start at flat rows (B,)."""
        flat = {name: value.flatten(0, 2) for name, value in self._rows.items()}
        steps = steps_of(start, self._spec, stride=self._rows["done"].shape[2])
        queued, coming = steps[:, : self._spec.prefix], steps[:, self._spec.prefix :]
        actions = torch.cat([flat["executed"][queued], flat["label"][coming]], dim=1)
        observation = {
            name.removeprefix("observation."): value[start]
            for name, value in flat.items()
            if name.startswith("observation.")
        }
        return ChunkBatch.for_imitation(observation, actions, self._spec)

    def state_dict(self) -> dict:
        """What later batches depend on; call between rollouts."""
        kept = self._rollouts > 1  # a single rollout is about to be replaced as a whole
        return {
            "rows": {name: value.clone() for name, value in self._rows.items()} if kept else {},
            "starts": list(self._starts) if kept else [],
            "written": self._written,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self._rows = {name: value.clone() for name, value in state["rows"].items()}
        self._starts, self._written = list(state["starts"]), state["written"]

    def _find_starts(self, slot: int) -> Tensor:
        """Flat rows that may start a window, with P + H steps in one episode and the rollout."""
        inside = unbroken(self._rows["done"][slot], self._spec)
        wanted = self._rows["starts"][slot][: len(inside)]
        step, env = (wanted & inside).nonzero().unbind(dim=1)
        return (slot * self._steps + step) * inside.shape[1] + env
