"""All that a report shows, and the faults that are in it."""

from dataclasses import dataclass

from sernf_isaac.learning.report import findings
from sernf_isaac.learning.report.calibration import Calibration
from sernf_isaac.learning.report.candidates import Candidates
from sernf_isaac.learning.report.corrections import Corrections
from sernf_isaac.learning.report.curves import Curves
from sernf_isaac.learning.report.findings import Finding
from sernf_isaac.learning.report.overview import Overview


@dataclass(frozen=True)
class Measurements:
    """Of the data and of the policy at the end of a stage."""

    data: Overview
    curves: Curves
    corrections: Corrections
    candidates: Candidates | None
    """None: the episodes hold no whole decision."""
    calibration: Calibration | None
    """None: the policy has no critics, or as above."""
    judged_on: str
    """Which episodes the last two were measured on, in words."""
    action_names: tuple[str, ...]
    noise_std: float
    """Of the noise on imitated actions; 0 for policies that learn without."""
    support: tuple[float, float] | None
    """Of the critics; None: they have none."""
    wants_critics: bool
    """Whether the run has stages in which critics learn."""

    def findings(self) -> list[Finding]:
        """Faults of the data first, then of the training."""
        found: list[Finding | None] = []
        if self.wants_critics:
            found += [findings.without_failures(self.data), findings.with_equal_rewards(self.data)]
            if self.support is not None:
                found.append(findings.outside_support(self.data, self.support, self.curves.clamped))
        found.append(findings.chunk_too_long(self.corrections))
        found += [findings.imitated_too_long(self.curves), findings.left_budget(self.curves)]
        if self.candidates and self.calibration:
            found.append(findings.alike(self.candidates, self.noise_std))
            found.append(findings.choice_is_noise(self.candidates))
        return [finding for finding in found if finding is not None]
