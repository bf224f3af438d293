"""The numbers of the distillation, with their source in the paper."""

import math
from dataclasses import dataclass, field

from sernf_isaac.learning.distill.turns import TURNS

LEARNS = ("all", "reflex")
RANKS = ("likelihood", "value")


@dataclass
class DistillConfig:
    """How the student is distilled; the defaults are the paper's (F.5, G)."""

    iterations: int = 200
    """Rollouts, each followed by gradient steps."""
    rollout_steps: int = 128
    """T, steps per environment and iteration."""
    teacher_share: float = 1.0
    """Probability that a step is the teacher's, in the first iteration."""
    teacher_decay: float = 0.999
    """Factor on it per iteration. The paper's leaves 0.82 after 200 iterations, so the student
    hardly meets its own mistakes; 0.9 hands over within some 40. 1: behaviour cloning."""
    least_teacher_share: float = 0.0
    """The probability falls no further."""
    turns: str = "steps"
    """"steps": each step is the teacher's or the student's. "chunks": each chunk is, and only
    chunks that the teacher executed at a decision of the student are imitated, those behind its own
    prefix only while its share is above 2/3: see `Turns`. Needs a `least_teacher_share`, or nothing
    is left to imitate."""
    updates_per_iteration: int = 118
    """Gradient steps per iteration; the paper gives only their total, see docs/why/paper.md."""
    kept_rollouts: int = 1
    """Rollouts to sample from: the newest M. DAgger keeps all, the paper the last."""
    candidates: int = 1
    """Chunks K drawn per decision while collecting."""
    rank: str = "likelihood"
    """Which of them acts: the most likely, or the best by "value" of a student with critics."""
    learns: str = "all"
    """"all": the chunks, and the reflex if there is one; "reflex": that alone, behind chunks that
    stay as they are."""
    sigmas: list[float] = field(default_factory=list)
    """Standard deviations of the latent while collecting, one per iteration in turn. Empty: the
    policy's own. A policy that acts with less noise than it was distilled with, or on the likeliest
    of many candidates, may come to rest where it never was while the teacher watched."""
    final_learning_rate: float = 1.0
    """The learning rate falls to this share of itself over the run, along a cosine; 1: constant."""
    save_every: int = 5
    """Iterations between resume points."""

    def __post_init__(self) -> None:
        for name, known in (("rank", RANKS), ("learns", LEARNS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not '{getattr(self, name)}'")
        if self.turns not in TURNS:
            raise ValueError(f"turns must be one of {TURNS}, not '{self.turns}'")
        if self.turns == "chunks" and not 0.0 < self.least_teacher_share < 1.0:
            raise ValueError(
                f"turns=chunks imitates chunks of the teacher between chunks of the student: "
                f"least_teacher_share ({self.least_teacher_share}) must be between 0 and 1"
            )
        shares = ("teacher_share", "least_teacher_share")
        for name in (*shares, "teacher_decay", "final_learning_rate"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} ({value}) must be in 0..1")
        for name in ("iterations", "updates_per_iteration", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be >= 1")
        if any(sigma < 0.0 for sigma in self.sigmas):
            raise ValueError(f"sigmas ({self.sigmas}) must not be negative")
        if self.save_every < 1:
            raise ValueError(f"save_every ({self.save_every}) must be >= 1")

    def teacher_share_at(self, iteration: int) -> float:
        """Probability of a teacher's step in an iteration, counted from 0."""
        return max(self.teacher_share * self.teacher_decay**iteration, self.least_teacher_share)

    def sigma_at(self, iteration: int, own: float) -> float:
        """Standard deviation of the latent in an iteration; `own` is the policy's."""
        return self.sigmas[iteration % len(self.sigmas)] if self.sigmas else own

    def learning_rate_at(self, iteration: int) -> float:
        """Share of the learning rate in an iteration, counted from 0."""
        falling = 0.5 * (1.0 + math.cos(math.pi * min(iteration / self.iterations, 1.0)))
        return self.final_learning_rate + (1.0 - self.final_learning_rate) * falling
