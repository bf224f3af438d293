"""What is wrong with data or training, and what to do about it; one function for each fault.

Every function returns a `Finding`, or None where there is no such fault. Thresholds are ours.
"""

from dataclasses import dataclass

import numpy as np

from sernf_isaac.learning.leash import PAUSE
from sernf_isaac.learning.report.candidates import Candidates
from sernf_isaac.learning.report.corrections import Corrections
from sernf_isaac.learning.report.curves import Curves
from sernf_isaac.learning.report.overview import Overview
from sernf_isaac.learning.stages import IMITATION, OFFLINE

LEAST_FALL = 0.05
"""Nats per number by which held-out likelihood must have fallen from its best."""
MOST_DRIFT = 1.25
"""Budgets, mean over the last quarter of stage III."""
MOST_CLAMPED = 0.05
"""Share of the critics' targets."""
LEAST_DEVIATION = 0.01
"""Of candidates, in halves of the range of the data."""
FEWEST_INTERVENTIONS = 3


@dataclass(frozen=True)
class Finding:
    """A fault, and what to do about it; sentences for a person."""

    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.fault} {self.remedy}"


def without_failures(data: Overview) -> Finding | None:
    """Critics that have seen no failure do not know what fails."""
    if data.failures:
        return None
    if set(data.outcome) == {"unknown"}:
        return Finding(
            "No episode says whether it succeeded.",
            "Label them (label.py), or import them again with --outcome; failures too.",
        )
    return Finding(
        f"None of {len(data.outcome)} episodes failed, so critics cannot know what fails.",
        "Add failed attempts with their outcome, or stop after imitation (warm_up_steps=0 "
        "offline_steps=0).",
    )


def with_equal_rewards(data: Overview) -> Finding | None:
    """Rewards that are all the same tell nothing but time."""
    low, high = data.rewards
    if low != high:
        return None
    if low and data.ends:
        return Finding(
            f"All rewards are {low:g}, so critics know only how long an episode took: a failure "
            "that ends early looks like a quick success.",
            "Reward success (label.py).",
        )
    return Finding(
        f"All rewards are {low:g}, so critics have nothing to learn.",
        "Reward success (label.py), or only imitate (warm_up_steps=0 offline_steps=0).",
    )


def outside_support(data: Overview, support: tuple[float, float], clamped: float) -> Finding | None:
    """Critics cannot tell returns apart that their support does not hold."""
    (low, high), (least, most) = data.returns, support
    slack = 1e-6 * (most - least)
    if low < least - slack or high > most + slack:
        return Finding(
            f"The returns in the data reach from {low:.4g} to {high:.4g}, the critics' support "
            f"only from {least:.4g} to {most:.4g}: what lies outside is cut off.",
            "Begin a new run with learner.critic.support=null, which takes the range of the data, "
            "or with a wider one.",
        )
    if clamped > MOST_CLAMPED:
        return Finding(
            f"{100 * clamped:.0f} % of the critics' newest targets lie outside of their support "
            f"({least:.4g} to {most:.4g}).",
            "Begin a new run with more room: support_headroom=1.5, or a wider "
            "learner.critic.support.",
        )
    return None


def chunk_too_long(found: Corrections) -> Finding | None:
    """A correction that is shorter than a chunk is not learned as an answer to what was seen."""
    remedy = (
        "Try a shorter spec.horizon or spec.prefix, and keep it if held-out data become likelier "
        "per number."
    )
    pieces = found.interventions
    if len(pieces) >= FEWEST_INTERVENTIONS and np.median(pieces) < found.chunk:
        return Finding(
            f"Half of the {len(pieces)} interventions last less than {np.median(pieces):g} steps, "
            f"a chunk with its queue {found.chunk}.",
            remedy,
        )
    if found.width is not None and found.width < found.chunk:
        return Finding(
            f"Deviations of the actions from their trend last {found.width:.1f} steps, a chunk "
            f"with its queue {found.chunk}: corrections begin and end between two looks.",
            remedy,
        )
    return None


def imitated_too_long(curves: Curves) -> Finding | None:
    """Held-out data became less likely again while imitated data became likelier."""
    if IMITATION.name not in curves.stages:
        return None
    held_out = curves.of_stage(curves.held_out, IMITATION.name)
    imitated = dict(curves.of_stage(curves.imitated, IMITATION.name))
    if not held_out or not imitated:
        return None
    best, likelihood = max(held_out, key=lambda row: row[1])
    last, now = held_out[-1]
    if likelihood - now < LEAST_FALL or imitated[last] <= imitated[best]:
        return None
    return Finding(
        f"Held-out chunks were likeliest at update {best} ({likelihood:.2f} nats per number) and "
        f"fell to {now:.2f} by update {last}, while imitated chunks became likelier.",
        "That need not be bad: on the simulated duck the later, sharper policies succeeded more "
        f"often. Compare this one by rollouts with one of imitation_steps={best}, with more "
        "dropout (learner.policy.imitation_dropout) or with more demonstrations.",
    )


def left_budget(curves: Curves) -> Finding | None:
    """The policy is farther from where stage III began than it was allowed."""
    if curves.budget is None or OFFLINE.name not in curves.stages:
        return None
    drift = [value for _, value in curves.of_stage(curves.drift, OFFLINE.name)]
    if not drift:
        return None
    now = float(np.mean(drift[-max(1, len(drift) // 4) :]))
    if now <= MOST_DRIFT * curves.budget:
        return None
    paused = " That is so far that it only imitates." if now > PAUSE * curves.budget else ""
    return Finding(
        f"The policy left its budget: it is {now:.3g} nats per number away from where stage III "
        f"began, allowed are {curves.budget:g}.{paused}",
        "Take a lower learner.optimizer.rl_learning_rate, a higher "
        "learner.improvement.imitation_weight to begin with, or a larger budget.",
    )


def alike(candidates: Candidates, noise_std: float) -> Finding | None:
    """Critics have nothing to choose from.

    Args:
        candidates: Of a policy with critics.
        noise_std: Of the noise on imitated actions; a policy learns that as well.
    """
    least = max(LEAST_DEVIATION, 1.1 * candidates.sigma * noise_std)
    if candidates.count < 2 or candidates.typical > least:
        return None
    return Finding(
        f"Candidates hardly differ: by {100 * candidates.typical:.1f} % of half the range of the "
        f"actions, and {100 * least:.1f} % would be noise of the imitation alone.",
        "Critics have nothing to choose from: show the task in more ways, take a larger "
        "learner.improvement.sigma, or stop after imitation.",
    )


def choice_is_noise(candidates: Candidates) -> Finding | None:
    """Critics disagree about candidates by more than candidates differ in value."""
    spread, disagreement = candidates.spread, candidates.disagreement
    if candidates.count < 2 or spread is None or disagreement is None:
        return None
    if np.median(disagreement) <= np.median(spread):
        return None
    return Finding(
        f"The critics' choice is noise: they disagree about a candidate by "
        f"{np.median(disagreement):.3g}, and candidates differ in value by "
        f"{np.median(spread):.3g} (medians over decisions).",
        "Execute the likeliest candidate instead of the best by value, until critics have learned "
        "from more episodes, failures among them.",
    )
