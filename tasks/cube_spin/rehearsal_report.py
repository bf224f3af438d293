"""Numbers and the figure of rehearsals, like the paper's Fig. 4."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

TURN, MINUTE = 2.0 * np.pi, 60.0
BOOTSTRAP_DRAWS = 2000
PAPER = {"rpm_in_hand": 6.25, "turns_per_run": 1.01}
"""What the paper's robot reached within 105 minutes (V-B)."""
LEAST_IN_HAND_S = 1.0
"""Mean of a test's runs; a rate over less is noise."""
PANELS = {
    "rpm_in_hand": "turns per minute in the hand",
    "turns_per_run": "turns per run",
}


class Driven(Protocol):
    """What an episode was like."""

    @property
    def outcome(self) -> str: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def in_hand_s(self) -> float: ...
    @property
    def turned_rad(self) -> float: ...


def point(results: Sequence[Driven], wall_s: float, seed: int = 0) -> dict:
    """One test's numbers; 95 % intervals are bootstrapped over its episodes.

    Args:
        results: Episodes of the test.
        wall_s: How long it took, with resets.
        seed: Of the bootstrap.

    Raises:
        ValueError: If there are no episodes.
    """
    if not results:
        raise ValueError("a test without episodes")
    turns = np.array([result.turned_rad for result in results]) / TURN
    minutes = np.array([result.in_hand_s for result in results]) / MINUTE
    picks = np.random.default_rng(seed).integers(len(results), size=(BOOTSTRAP_DRAWS, len(results)))
    return {
        "runs": len(results),
        "test_minutes": sum(result.duration_s for result in results) / MINUTE,
        "rpm_in_hand": _rate(turns, minutes),
        "rpm_in_hand_ci95": _interval(_rates(turns[picks], minutes[picks])),
        "rpm_wall": float(turns.sum() / wall_s * MINUTE),
        "turns_per_run": float(turns.mean()),
        "turns_per_run_ci95": _interval(turns[picks].mean(axis=1)),
        "in_hand_s": float(minutes.mean() * MINUTE),
        "dropped": float(np.mean([result.outcome == "failure" for result in results])),
    }


def curve_figure(path: Path, curves: dict[str, list[dict]]) -> None:
    """Turns per minute and per run against minutes of robot data, one line per rehearsal.

    Turns per minute are left out where runs were too short to tell.
    """
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for title, curve in curves.items():
            minutes = np.array([row["real_minutes"] for row in curve])
            value = np.array([row[name] for row in curve])
            low, high = np.array([row[f"{name}_ci95"] for row in curve]).T
            if name == "rpm_in_hand":
                seen = np.array([row["in_hand_s"] >= LEAST_IN_HAND_S for row in curve])
                value, low, high = (np.where(seen, line, np.nan) for line in (value, low, high))
            line = axes.plot(minutes, value, marker="o", label=title)[0]
            axes.fill_between(minutes, low, high, color=line.get_color(), alpha=0.12, lw=0)
        axes.axhline(PAPER[name], color="#8a8f98", ls="--", lw=1, label="the paper's robot, best")
        axes.set(xlabel="minutes of robot data", ylabel=label, ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    lines = figure.axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside right upper", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def curve_table(curve: list[dict]) -> str:
    """The tests as aligned text."""
    lines = [
        f"{'minutes':>8s}{'in hand [1/min]':>24s}{'wall':>7s}{'turns per run':>24s}{'runs':>6s}"
    ]
    for row in curve:
        cells = [f"{row['real_minutes']:8.0f}"]
        for name, gap in (("rpm_in_hand", f"{row['rpm_wall']:7.2f}"), ("turns_per_run", "")):
            low, high = row[f"{name}_ci95"]
            cells.append(f"{row[name]:8.2f} [{low:5.2f}, {high:5.2f}]".rjust(24) + gap)
        lines.append("".join(cells) + f"{row['runs']:6d}")
    return "\n".join(lines)


def _rate(turns: np.ndarray, minutes: np.ndarray) -> float:
    return float(_rates(turns[None], minutes[None])[0])


def _rates(turns: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Turns per minute of each row; 0 where the object was never held."""
    held = minutes.sum(axis=1)
    return np.divide(turns.sum(axis=1), held, out=np.zeros(len(held)), where=held > 0.0)


def _interval(draws: np.ndarray) -> list[float]:
    return np.quantile(draws, [0.025, 0.975]).tolist()
