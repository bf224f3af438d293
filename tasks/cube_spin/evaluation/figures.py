"""Figures people would rather look at than read: one evaluation, one training run."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.cube_spin.episodes import EpisodeRecords

_BLUE, _ORANGE, _GREY = "#2f6db5", "#d9822b", "#8a8f98"


def evaluation_figure(
    path: Path, records: EpisodeRecords, by_speed: dict[str, dict], title: str
) -> None:
    """Runs still holding over time, turns per run, and achieved against commanded spin."""
    panels = 3 if by_speed else 2
    figure = Figure(figsize=(4.2 * panels, 3.6))
    survival, turns, *rest = figure.subplots(1, panels)
    ends = np.sort(records.airborne_s[records.dropped > 0].numpy())
    longest = float(records.airborne_s.max())
    times = np.concatenate([[0.0], ends, [longest]])
    alive = 1.0 - np.concatenate([np.arange(len(ends) + 1), [len(ends)]]) / len(records)
    survival.step(times, alive * 100.0, color=_BLUE, where="post")
    survival.set(xlabel="time in the air [s]", ylabel="runs still holding [%]", ylim=(0, 103))
    turns.hist(records.turned_rad.numpy() / (2 * np.pi), bins=30, color=_BLUE)
    turns.set(xlabel="turns per run, in the commanded direction", ylabel="runs")
    if by_speed:
        _tracking_panel(rest[0], by_speed)
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def _tracking_panel(axes: Axes, by_speed: dict[str, dict]) -> None:
    """Achieved over commanded spin with 95 % intervals, and the band that is asked for."""
    axes.set(xlabel="commanded spin [rad/s]", ylabel="achieved spin [rad/s]")
    speeds = np.array(sorted(float(speed) for speed in by_speed))
    rows = [by_speed[f"{speed:g}"] for speed in speeds]
    # A run's spin counts in the commanded direction; the axes show it with its sign.
    achieved = np.array([row["spin_rad_s"] for row in rows]) * np.sign(speeds)
    ends = np.array([row["spin_rad_s_ci95"] for row in rows]) * np.sign(speeds)[:, None]
    reach = np.linspace(min(0.0, speeds.min()), max(0.0, speeds.max()), 50)
    axes.fill_between(reach, 0.85 * reach, 1.15 * reach, color=_GREY, alpha=0.25, label="± 15 %")
    error = np.abs(ends - achieved[:, None]).T
    axes.errorbar(speeds, achieved, yerr=error, fmt="o", color=_ORANGE, capsize=3)
    axes.legend(frameon=False)


def run_figure(path: Path, rows: list[dict], title: str) -> None:
    """Turns per minute and per run of each policy of a hand's run, with 95 % intervals."""
    figure = Figure(figsize=(8.4, 3.6))
    panels = (("rpm_in_hand", "turns per minute in the hand"), ("turns_per_run", "turns per run"))
    for axes, (name, label) in zip(figure.subplots(1, 2), panels, strict=True):
        values = np.array([row[name] for row in rows])
        error = np.abs(np.array([row[f"{name}_ci95"] for row in rows]) - values[:, None]).T
        axes.errorbar(range(len(rows)), values, yerr=error, fmt="o", color=_BLUE, capsize=3)
        names = [f"{row['policy'][:12]}\n{row['runs']} runs" for row in rows]
        axes.set_xticks(range(len(rows)), names, fontsize=7)
        axes.set(ylabel=label, xlim=(-0.5, len(rows) - 0.5))
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def training_figure(path: Path, history: list[dict[str, float]], title: str) -> None:
    """Reward, time held and spin against environment steps."""
    panels = (
        ("reward", "reward per step"),
        ("hold_s", "time in the air [s]"),
        ("rpm", "turns per minute"),
    )
    figure = Figure(figsize=(12.5, 3.2))
    axes = figure.subplots(1, len(panels))
    for panel, (name, label) in zip(axes, panels, strict=True):
        rows = [(row["env_steps"] / 1e6, row[name]) for row in history if name in row]
        if rows:
            panel.plot(*np.array(rows).T, color=_BLUE)
        panel.set(xlabel="environment steps [million]", ylabel=label)
    figure.suptitle(title, fontsize=11)
    _write(figure, path)


def learning_figure(path: Path, curves: dict[str, list[dict[str, float]]]) -> None:
    """Time held and achieved over commanded spin against environment steps, one line per training.

    Args:
        path: Picture to write.
        curves: By label, rows of `env_steps`, `hold_s` and `spin_ratio`.
    """
    figure = Figure(figsize=(8.4, 3.4))
    panels = (("hold_s", "time in the air [s]"), ("spin_ratio", "achieved / commanded spin"))
    for axes, (name, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for (title, rows), colour in zip(curves.items(), (_BLUE, _ORANGE, _GREY), strict=False):
            points = np.array([(row["env_steps"] / 1e6, row[name]) for row in rows])
            axes.plot(*points.T, color=colour, marker="o", markersize=3, label=title)
        axes.set(xlabel="environment steps [million]", ylabel=label, ylim=(0, None))
    axes.legend(frameon=False)
    _write(figure, path)


def episode_figure(path: Path, trace: dict[str, np.ndarray], title: str) -> None:
    """Commanded and achieved spin and the turns of one filmed episode."""
    figure = Figure(figsize=(8, 4.6))
    spin, turns = figure.subplots(2, 1, sharex=True)
    time_s = trace["time_s"]
    spin.plot(time_s, trace["command_rad_s"], color=_GREY, label="commanded")
    spin.plot(time_s, trace["mean_spin_rad_s"], color=_ORANGE, label="achieved (0.3 s mean)")
    spin.set(ylabel="spin [rad/s]")
    turns.plot(time_s, trace["turns"], color=_BLUE)
    turns.set(xlabel="time [s]", ylabel="turns")
    for axes in (spin, turns):
        axes.fill_between(
            time_s, *axes.get_ylim(), where=trace["aloft"] < 0.5, color=_GREY, alpha=0.2, lw=0
        )
    spin.legend(frameon=False, ncols=2)
    figure.suptitle(f"{title} (grey: the platform still supports the cube)", fontsize=10)
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
