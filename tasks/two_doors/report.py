"""What is shown of the example: a table of stages, and a picture of where they went."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from scipy.stats import binomtest

from sernf_isaac.data.episode import Episode
from tasks.two_doors.environment import (
    ARENA_M,
    DOOR_HALF_WIDTH_M,
    DOORS_Y_M,
    GOAL_M,
    GOAL_RADIUS_M,
    START_M,
    WALL_X_M,
)

_BLUE, _ORANGE, _GREY, _BLACK = "#2f6db5", "#d9822b", "#8a8f98", "#2b2b2b"
_SHOWN = 60
LABELS = {
    "demonstrations": "demonstrations",
    "gaussian": "Gaussian, imitation",
    "imitation": "flow, imitation (I)",
    "warm_up": "critics choose (II)",
    "offline": "offline RL (III)",
    "online": "online RL (IV)",
}
"""Of the stages."""


@dataclass(frozen=True)
class Runs:
    """Where the masses went, (T + 1, 2) per episode, and whether each reached the goal."""

    paths: list[np.ndarray]
    succeeded: list[bool]


def runs_of(episodes: Sequence[Episode]) -> Runs:
    """Paths and successes of episodes of `TwoDoors`."""
    states = [np.vstack([e.observation["state"], e.final_observation["state"]]) for e in episodes]
    return Runs([state[:, :2] for state in states], [e.outcome == "success" for e in episodes])


@dataclass(frozen=True)
class Result:
    """How a policy did."""

    episodes: int
    success: float
    success_ci95: tuple[float, float]
    """Wilson interval."""
    steps_to_goal: float
    """Mean over the episodes that reached it; nan if none did."""
    steps_ci95: tuple[float, float]
    """Of that mean."""
    upper_door: float
    """Part of the successful episodes through the door nearer to the goal; nan if none."""


def summarise(runs: Runs) -> Result:
    """The numbers of these episodes."""
    reached = [path for path, won in zip(runs.paths, runs.succeeded, strict=True) if won]
    interval = binomtest(len(reached), len(runs.paths)).proportion_ci(method="wilson")
    steps = np.array([len(path) - 1 for path in reached], float)
    mean = steps.mean() if len(steps) else np.nan
    margin = 1.96 * steps.std(ddof=1) / np.sqrt(len(steps)) if len(steps) > 1 else np.nan
    upper = [path[np.argmax(path[:, 0] > WALL_X_M), 1] > 0 for path in reached]
    return Result(
        episodes=len(runs.paths),
        success=len(reached) / len(runs.paths),
        success_ci95=(float(interval.low), float(interval.high)),
        steps_to_goal=float(mean),
        steps_ci95=(float(mean - margin), float(mean + margin)),
        upper_door=float(np.mean(upper)) if upper else float("nan"),
    )


def table(stages: Mapping[str, Runs]) -> str:
    """One line per stage."""
    head = f"{'':24s} {'success':>8s} {'95 %':>17s} {'steps to goal':>14s} {'upper door':>11s}"
    return "\n".join([head, *(line(stage, runs) for stage, runs in stages.items())])


def line(stage: str, runs: Runs) -> str:
    """A stage's line of the table."""
    row = summarise(runs)
    low, high = row.success_ci95
    success = f"{row.success:8.1%} {f'[{low:.1%}, {high:.1%}]':>17s}"
    half = (row.steps_ci95[1] - row.steps_ci95[0]) / 2
    steps = f"{row.steps_to_goal:.1f} ± {half:.1f}" if row.success else "-"
    upper = f"{row.upper_door:.0%}" if row.success else "-"
    return f"{LABELS[stage]:24s} {success} {steps:>14s} {upper:>11s}"


def save(folder: Path, stages: Mapping[str, Runs]) -> None:
    """Write `paths.png` and `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths_figure(folder / "paths.png", stages)
    results = {stage: asdict(summarise(runs)) for stage, runs in stages.items()}
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")


def paths_figure(path: Path, stages: Mapping[str, Runs]) -> None:
    """One panel per stage with its first episodes, and how it did; failures end in a cross."""
    figure = Figure(figsize=(2.5 * len(stages), 3.0))
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for panel, (name, runs) in zip(panels, stages.items(), strict=True):
        _draw_room(panel)
        for line, won in list(zip(runs.paths, runs.succeeded, strict=True))[:_SHOWN]:
            colour = _BLUE if won else _ORANGE
            panel.plot(*line.T, color=colour, lw=0.8, alpha=0.5)
            if not won:
                panel.plot(*line[-1], "x", color=colour, ms=4)
        row = summarise(runs)
        steps = f", {row.steps_to_goal:.0f} steps" if row.success else ""
        panel.set_title(f"{LABELS[name]}\n{row.success:.0%}{steps}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def _draw_room(panel: Axes) -> None:
    doors = sorted(DOORS_Y_M)
    lower = [-ARENA_M, *(y + DOOR_HALF_WIDTH_M for y in doors)]
    upper = [*(y - DOOR_HALF_WIDTH_M for y in doors), ARENA_M]
    panel.vlines([WALL_X_M] * len(lower), lower, upper, color=_BLACK, lw=2.5)
    panel.add_patch(Circle(GOAL_M, GOAL_RADIUS_M, color=_GREY, alpha=0.5, lw=0))
    panel.plot(*START_M, "o", color=_BLACK, ms=3)
    panel.set(xlim=(-ARENA_M, ARENA_M), ylim=(-ARENA_M, ARENA_M), xticks=[], yticks=[])
    panel.set_aspect("equal")
