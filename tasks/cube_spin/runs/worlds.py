"""One policy in a folder of worlds: a row per world, the mean and the worst."""

from dataclasses import replace
from pathlib import Path

from tasks.assets import WORLDS
from tasks.cube_spin.evaluation.metrics import summarise
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate

ZOO = "worlds"
"""Name of the shipped worlds, which no policy was trained in or chosen by."""
COLUMNS = {
    "spin_ratio": "ratio",
    "rpm_in_hand": "turns/min",
    "turns_per_run": "turns/run",
    "hold_median_s": "hold [s]",
    "drop_fraction": "dropped",
}
_WORST_IS_LARGEST = ("drop_fraction",)


def world_files(physics: str) -> list[Path]:
    """The worlds behind `--physics`: the shipped ones by name, or the YAML files of a folder.

    An empty list if it names neither, but a preset or one file.

    Raises:
        ValueError: If the folder holds no YAML file.
    """
    folder = WORLDS if physics == ZOO else Path(physics)
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ValueError(f"--physics {folder}: the folder holds no *.yaml of a world")
    return files


def evaluate_in_worlds(request: EvaluationRequest) -> dict:
    """Evaluate in every world of `request.physics`; JSON-ready.

    Returns:
        The settings, `worlds` with one summary each, and `mean` and `worst` of the columns.

    Raises:
        ValueError, FileNotFoundError: As `evaluate` and `world_files`.
    """
    worlds = {}
    settings: dict = {}
    for file in world_files(request.physics):
        result, records = evaluate(replace(request, physics=str(file)))
        row = summarise(records) | {"by_speed": result["by_speed"]}
        worlds[file.stem] = row
        settings = {k: v for k, v in result.items() if k not in row} | {"physics": request.physics}
    columns = {name: [row[name] for row in worlds.values()] for name in COLUMNS}
    worst = {n: (max if n in _WORST_IS_LARGEST else min)(v) for n, v in columns.items()}
    mean = {name: sum(values) / len(values) for name, values in columns.items()}
    return settings | {"worlds": worlds, "mean": mean, "worst": worst}


def worlds_table(result: dict) -> str:
    """The numbers as aligned text; 95 % intervals in brackets."""
    lines = [f"{'world':12s}" + "".join(f"{title:>22s}" for title in COLUMNS.values())]
    for world, row in result["worlds"].items():
        cells = ("{:.2f} [{:.2f}, {:.2f}]".format(row[n], *row[f"{n}_ci95"]) for n in COLUMNS)
        lines.append(f"{world:12s}" + "".join(f"{cell:>22s}" for cell in cells))
    for name in ("mean", "worst"):
        cells = (f"{value:.2f}" for value in result[name].values())
        lines.append(f"{name:12s}" + "".join(f"{cell:>22s}" for cell in cells))
    return "\n".join(lines)
