"""The parts of a report's page, each with what it shows and how to read it."""

import numpy as np

from sernf_isaac.learning.report import figures
from sernf_isaac.learning.report.measurements import Measurements
from sernf_isaac.learning.report.page import Section


def sections_of(found: Measurements) -> list[Section]:
    """In order of the decisions that a laboratory takes: data, imitation, critics, policy."""
    return [
        _episodes(found),
        _corrections(found),
        _likelihood(found),
        _candidates(found),
        _calibration(found),
        _leash(found),
    ]


def _episodes(found: Measurements) -> Section:
    data = found.data
    low, high = data.rewards
    return Section(
        "The episodes",
        "Colours are outcomes. Critics learn from all episodes, failures too.",
        figures.episodes_figure(data),
        (
            ("episodes", f"{len(data.outcome)}"),
            ("held out from imitation", f"{data.held_out}"),
            ("end by themselves; the others were cut off", f"{data.ends}"),
            ("rewards of a step", f"{low:.4g} to {high:.4g}"),
            ("discounted returns", f"{data.returns[0]:.4g} to {data.returns[1]:.4g}"),
            (
                "support of the critics",
                "none" if found.support is None else "{:.4g} to {:.4g}".format(*found.support),
            ),
        ),
    )


def _corrections(found: Measurements) -> Section:
    measured = found.corrections
    title = "Corrections and the chunk"
    text = (
        "A deviation is an action less its moving mean over four chunks. The curves say how alike "
        "deviations are some steps later, for each action dimension; dimensions that only switch "
        "or hold noise are left out. Twice the time to one half is how long a deviation lasts. "
        "Where that is shorter than a chunk with its queue, the policy cannot learn it as an "
        "answer to what it sees. The measure cannot tell a correction from a quick motion that "
        "was planned."
    )
    pieces = measured.interventions
    numbers = [("chunk with its queue", f"{measured.chunk} steps")]
    if pieces:
        told = f"{len(pieces)}, median {np.median(pieces):g} steps"
        numbers.append(("interventions of a person", told))
    if measured.width is None:
        text = (
            "Nothing to see: episodes are shorter than two chunks, or actions only switch, rest or "
            "are noise."
        )
        return Section(title, text, numbers=tuple(numbers))
    numbers.append(("deviations last, median over dimensions", f"{measured.width:.1f} steps"))
    return Section(title, text, figures.corrections_figure(measured), tuple(numbers))


def _likelihood(found: Measurements) -> Section:
    curves = found.curves
    title = "Likelihood of the data"
    if not curves.imitated and not curves.held_out:
        text = "Nothing was logged: this kind of policy has no likelihood, or an earlier version."
        return Section(title, text)
    text = (
        "Both curves are measured alike, without dropout. The gap is what the policy knows by "
        "heart. Where the held-out curve falls while the other rises, imitation has gone on too "
        "long. It is no rate of success: compare policies by rollouts."
    )
    if not curves.held_out:
        text += " Nothing is held out in this run; held_out_share=0.1 shows the second curve."
    numbers = [("imitated chunks, at the end", _nats(curves.imitated[-1][1]))]
    if curves.held_out:
        step, best = max(curves.held_out, key=lambda row: row[1])
        numbers.append(("held-out chunks, at the end", _nats(curves.held_out[-1][1])))
        numbers.append((f"held-out chunks at their best, update {step}", _nats(best)))
    return Section(title, text, figures.likelihood_figure(curves), tuple(numbers))


def _candidates(found: Measurements) -> Section:
    drawn, title = found.candidates, "The spread of candidates"
    if drawn is None or drawn.count < 2:
        return Section(title, "A decision of this run has one candidate, or there is no decision.")
    text = (
        f"Measured on {found.judged_on}. Bars say how much candidates of a decision differ. "
        "Candidates that differ by noise alone leave critics nothing to choose from."
    )
    noise = drawn.sigma * found.noise_std
    numbers = [
        ("decisions, candidates of each", f"{len(drawn.deviation)}, {drawn.count}"),
        ("typical deviation", f"{100 * drawn.typical:.1f} % of half the range"),
    ]
    if drawn.spread is None:
        text += " Critics come in stage II."
    else:
        numbers.append(("spread of values, median", f"{np.median(drawn.spread):.3g}"))
    if drawn.disagreement is not None and drawn.same_best is not None:
        text += (
            " The second plot has a point for each decision: where critics disagree about a "
            "candidate by more than candidates differ in value, the choice is noise."
        )
        middle = np.median(drawn.disagreement)
        same = f"{100 * drawn.same_best.mean():.0f} % of decisions; "
        critics_agree = same + f"{100 / drawn.count:.0f} % would be chance between two"
        numbers.append(("disagreement of critics, median", f"{middle:.3g}"))
        numbers.append(("critics like the same candidate best", critics_agree))
    png = figures.candidates_figure(drawn, found.action_names, noise)
    units = zip(found.action_names, drawn.half_range, strict=True)
    halves = ", ".join(f"{name} {half:.4g}" for name, half in units)
    numbers.append(("half the range of the data, in their units", halves))
    return Section(title, text, png, tuple(numbers))


def _calibration(found: Measurements) -> Section:
    judged, title = found.calibration, "What critics promise"
    if judged is None:
        return Section(title, "Critics come in stage II, or the episodes hold no whole decision.")
    text = (
        f"Measured on {found.judged_on}; critics have learned from all episodes. A point is a "
        "decision. Critics value what the policy would do next, so a policy that is better than "
        "the demonstrations is promised more than they earned. A line that does not rise says that "
        "critics cannot tell good decisions from bad ones."
    )
    numbers = [
        ("decisions", f"{len(judged.value)}"),
        ("mean error (promised less earned)", f"{judged.mean_error:+.4g}"),
        ("root of the mean square error", f"{judged.root_mean_square_error:.4g}"),
        ("rank correlation", f"{judged.rank_correlation:.2f}"),
    ]
    if judged.cut_off.any():
        text += " The end of an episode that was cut off counts as critics value its last decision."
        share = 100 * judged.cut_off.mean()
        numbers.append(("of them in episodes that were cut off", f"{share:.0f} %"))
    return Section(title, text, figures.calibration_figure(judged), tuple(numbers))


def _leash(found: Measurements) -> Section:
    curves, title = found.curves, "Distance from where stage III began"
    if not curves.drift:
        text = (
            "Measured in stage III, at held-out observations (held_out_share). "
            "learner.improvement.budget sets how far the policy may go."
        )
        return Section(title, text)
    text = (
        "Drift is the divergence KL(first || now) of the policy from the one that stage III began "
        "with, at held-out observations. λ rises while drift is above the budget, and falls below."
    )
    budget = "none; λ stays" if curves.budget is None else _nats(curves.budget)
    numbers = [("budget", budget), ("drift, at the end", _nats(curves.drift[-1][1]))]
    if curves.weight:
        numbers.append(("λ, at the end", f"{curves.weight[-1][1]:.3g}"))
    return Section(title, text, figures.leash_figure(curves), tuple(numbers))


def _nats(value: float) -> str:
    return f"{value:.3g} nats per number"
