"""What a training logged, up to the stage that a report is about."""

from dataclasses import dataclass
from pathlib import Path

from sernf_isaac.learning.leash import HELD_OUT
from sernf_isaac.learning.likelihood import IMITATED
from sernf_isaac.metrics import read_metrics

Curve = list[tuple[int, float]]
"""Updates and values."""
LAST = 10
"""Rows whose mean says where a training stands."""


@dataclass(frozen=True)
class Curves:
    """Empty where nothing was logged."""

    stages: dict[str, int]
    """Updates after which each stage ended, up to the one that is reported on; in order."""
    imitated: Curve
    """Likelihood of imitated chunks [nats per number]."""
    held_out: Curve
    """Of those that nobody imitates."""
    drift: Curve
    """Divergence of the policy from the one that stage III began with [nats per number]."""
    weight: Curve
    """λ, where it follows a budget."""
    budget: float | None
    clamped: float
    """Share of the critics' newest targets that lay outside of their support."""

    def of_stage(self, curve: Curve, stage: str) -> Curve:
        """The part of a curve that a stage logged."""
        names = list(self.stages)
        number = names.index(stage)
        begun = self.stages[names[number - 1]] if number else 0
        return [(step, value) for step, value in curve if begun < step <= self.stages[stage]]


def read_curves(folder: Path, stages: dict[str, int], budget: float | None) -> Curves:
    """The curves of a run, up to the end of the last of these stages.

    Args:
        folder: With the metrics.
        stages: As in `Curves`; at least one.
        budget: Of the likelihood.

    Raises:
        FileNotFoundError: If the folder holds no metrics.
    """
    end = list(stages.values())[-1]

    def read(name: str) -> Curve:
        return [(step, value) for step, value in read_metrics(folder, name) if step <= end]

    clamped = [value for _, value in read("critic/clamped_fraction")[-LAST:]]
    return Curves(
        stages=stages,
        imitated=read(IMITATED),
        held_out=read(HELD_OUT),
        drift=read("actor/drift"),
        weight=read("actor/lambda"),
        budget=budget,
        clamped=sum(clamped) / max(len(clamped), 1),
    )
