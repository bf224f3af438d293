"""Between a policy that decides in chunks and a machine that takes one action per control step.

Distillation, evaluation and the robot run the same queue, so that a policy meets the same prefixes
everywhere. Numbering follows `data/windows.py`: a decision at step t sees the P actions that are
queued for t .. t+P-1 and plans t+P .. t+P+H-1; the next decision is due at step t+H, with the last
P planned actions as its prefix (paper IV-A, Fig. 7).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.devices import sent_to

Observation = dict[str, Tensor]
Decide = Callable[[Observation, Tensor], Tensor]
"""What was observed, and the prefix (B, P, A), to chunks (B, H, A)."""
Correct = Callable[[Observation, Tensor], Tensor]
"""What was observed, and the next actions (N, A), to the actions (N, A) to execute."""


class ChunkQueue:
    """Queued actions of N machines, each with its own clock; spliced by index, never blended.

    Per step: where `due`, `begin` a decision and later `push` its chunk; then `pop`. Between the
    two, up to P pops cost nothing: they execute the prefix. Of a chunk that comes later than that
    only the part whose time is still to come is used, and the last action is repeated meanwhile.

    Args:
        spec: P and H.
        hold: (N, A) actions that keep still; all machines start as after `reset`.
    """

    def __init__(self, spec: ChunkSpec, hold: Tensor) -> None:
        if hold.ndim != 2:
            raise ValueError(f"hold must be (N, A), not of shape {tuple(hold.shape)}")
        self.prefix, self.horizon = spec.prefix, spec.horizon
        count, device = len(hold), hold.device
        self._everywhere = torch.arange(count, device=device)
        self._last = self.prefix + self.horizon - 1
        self._plan = hold.new_zeros(count, self.prefix + self.horizon, hold.shape[1])
        self._next = torch.zeros(count, dtype=torch.long, device=device)  # index into the plan
        self._begun = torch.full((count,), -1, dtype=torch.long, device=device)  # -1: no decision
        self.reset(hold)

    def reset(self, hold: Tensor, envs: Tensor | None = None) -> None:
        """Forget plans and begun decisions; queue P actions (K, A) that keep still.

        Args:
            hold: (K, A), or (A,) for all.
            envs: (K,) numbers of the machines; all by default.
        """
        envs = self._everywhere if envs is None else envs
        self._check("hold", hold, (len(envs), self._plan.shape[2]), (self._plan.shape[2],))
        self._plan[envs] = hold.to(self._plan).expand(len(envs), -1)[:, None]
        self._next[envs], self._begun[envs] = self.horizon, -1

    @property
    def due(self) -> Tensor:
        """(N,) bool: a decision has to begin before the next `pop`."""
        return (self._next >= self.horizon) & (self._begun < 0)

    @property
    def starved(self) -> Tensor:
        """(N,) bool: nothing is planned for the next step, `pop` will repeat the last action."""
        return self._next > self._last

    def begin(self, envs: Tensor | None = None) -> Tensor:
        """Begin decisions on the observation of now; returns their prefixes (K, P, A).

        Where fewer than P actions are left, because the last decision came late, the last one
        stands for the missing ones, as it will be executed.
        """
        envs = self._everywhere if envs is None else envs
        self._begun[envs] = self._next[envs]
        return self._ahead(envs, self._next[envs])

    def push(self, chunk: Tensor, envs: Tensor | None = None) -> None:
        """Queue the chunks (K, H, A) of begun decisions behind their prefixes.

        Raises:
            ValueError: If no decision was begun, or the chunk is of another shape or not finite.
        """
        envs = self._everywhere if envs is None else envs
        self._check("chunk", chunk, (len(envs), self.horizon, self._plan.shape[2]))
        begun, finite = self._begun[envs], torch.isfinite(chunk).to(self._begun.device)
        if not torch.stack([(begun >= 0).all(), finite.all()]).all():  # a GPU is waited for once
            if early := envs[begun < 0].tolist():
                raise ValueError(f"no decision was begun for {early}")
            bad = envs[~finite.flatten(1).all(dim=1)]
            raise ValueError(f"the chunk for {bad.tolist()} is not finite")
        self._plan[envs] = torch.cat([self._ahead(envs, begun), chunk.to(self._plan)], dim=1)
        self._next[envs] -= begun
        self._begun[envs] = -1

    def pop(self) -> Tensor:
        """The actions (N, A) to execute now."""
        actions = self._plan[self._everywhere, self._next.clamp(max=self._last)]
        self._next += 1
        return actions

    def planned(self, env: int) -> Tensor:
        """(Q, A) what is still queued for one machine, the next action first."""
        return self._plan[env, self._next[env] :].clone()

    def state_dict(self) -> dict[str, Tensor]:
        """All that later actions depend on."""
        return {
            "plan": self._plan.clone(),
            "next": self._next.clone(),
            "begun": self._begun.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from `state_dict()` of a queue of the same size."""
        for mine, name in ((self._plan, "plan"), (self._next, "next"), (self._begun, "begun")):
            if mine.shape != state[name].shape:
                raise ValueError(
                    f"{name} has shape {tuple(state[name].shape)}, expected {tuple(mine.shape)}"
                )
            mine.copy_(state[name])

    def _ahead(self, envs: Tensor, first: Tensor) -> Tensor:
        """(K, P, A) of the plan from index `first` (K,) on; its last action stands in beyond."""
        steps = first[:, None] + torch.arange(self.prefix, device=first.device)
        return self._plan[envs[:, None], steps.clamp(max=self._last)]

    def _check(self, name: str, value: Tensor, *shapes: tuple[int, ...]) -> None:
        if tuple(value.shape) not in shapes:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected {shapes[0]}")


class ChunkActor:
    """Acts at once: decides wherever a decision is due and gives the next action of everybody.

    For simulators, which wait. A machine that does not wait calls the queue's parts itself.

    Args:
        decide: The policy; sees only the rows that decide, so their number varies.
        spec: P, H and the rest.
        correct: Changes the next actions (N, A) by what is observed now, such as a reflex; the
            queue stays as it was planned. None: nothing does.
    """

    def __init__(self, decide: Decide, spec: ChunkSpec, correct: Correct | None = None) -> None:
        self._decide, self._spec, self._correct = decide, spec, correct
        self.queue: ChunkQueue | None = None
        """Made by the first call, and anew whenever all machines begin an episode."""
        self.decided = torch.zeros(0, dtype=torch.bool)
        """(N,) bool, on the CPU: who decided in the last call."""
        self.fresh = torch.zeros(0, dtype=torch.bool)
        """The same of who began an episode."""
        self.queued = torch.zeros(0, 0)
        """(N, A) what the chunks had for the last step, before it was corrected."""

    def __call__(self, observation: Observation, hold: Tensor, fresh: Tensor) -> Tensor:
        """Actions (N, A) for this step.

        Args:
            observation: Groups (N, ...), in the units of the data.
            hold: (N, A) actions that keep still, queued where `fresh`.
            fresh: (N,) bool: an episode has just begun.
        """
        due = fresh if self.queue is None else self.queue.due | fresh
        self.fresh, self.decided = torch.stack([fresh, due]).cpu()  # a GPU is waited for once
        if self.queue is None or self.fresh.all():
            self.queue = ChunkQueue(self._spec, hold)
            self.decided = torch.ones_like(self.fresh)
        elif self.fresh.any():
            envs = sent_to(self.fresh.nonzero()[:, 0], hold.device)
            self.queue.reset(hold[envs], envs)
        if self.decided.any():
            envs = sent_to(self.decided.nonzero()[:, 0], hold.device)
            prefix = self.queue.begin(envs)
            seen = {name: value[envs] for name, value in observation.items()}
            self.queue.push(self._decide(seen, prefix), envs)
        self.queued = self.queue.pop()
        return self.queued if self._correct is None else self._correct(observation, self.queued)

    def planned(self, env: int) -> Tensor:
        """(Q, A) what is still queued for one machine, the next action first."""
        assert self.queue is not None, "asked before the first call"
        return self.queue.planned(env)

    def state_dict(self) -> dict[str, Tensor]:
        """The queue's; empty before the first call."""
        return self.queue.state_dict() if self.queue else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from `state_dict()`, where the state is.

        A queue of a GPU that was read from a file must be put there before.
        """
        self.queue = None
        if state:
            self.queue = ChunkQueue(self._spec, state["plan"][:, 0])
            self.queue.load_state_dict(state)
