"""What runs on a simulated table wrote, and one table of all of them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from tasks.manipulation.protocol import Trial, common_times, passed, share, table
from tasks.table.experiment import RESULT_FILE, SETTINGS_FILE
from tasks.table.task import TableTask

LABELS = {
    "imitation": "imitation (I)",
    "warm_up": "critics choose (II)",
    "offline": "offline RL (III)",
    "online": "online RL (IV)",
}
"""Of the stages."""
UNTIMED = "warm_up"
"""Left out where times are compared on the trials in which all stages succeed, as in the paper."""
HEADS = ("policy", "parameters", "stage", "runs")
TIMES = ("time of successes [s]", "time where I, III and IV succeed [s]")


@dataclass(frozen=True)
class Result:
    """A finished run."""

    folder: Path
    label: str
    parameters: int
    """Of the policy without its encoder."""
    settings: dict
    """All but the seed."""
    stages: dict[str, list[Trial]]
    """Trials by stage."""


def load_result(folder: Path) -> Result:
    """What an experiment wrote.

    Raises:
        FileNotFoundError: If there is no result in the folder.
        ValueError: If its files are damaged.
    """
    path, settings_path = folder / RESULT_FILE, folder / SETTINGS_FILE
    if not path.is_file() or not settings_path.is_file():
        raise FileNotFoundError(f"no result at {path}; run the experiment first")
    try:
        content = json.loads(path.read_text())
        known = {name: [Trial(**row) for row in rows] for name, rows in content["stages"].items()}
        stages = {name: known[name] for name in LABELS if name in known}  # files are sorted
        settings = yaml.safe_load(settings_path.read_text())
        parameters = content["parameters"]
        settings.get("offline", settings).pop("seed")  # runs of version 0.1 have it below "offline"
        label = content.get("label", "flow")
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ValueError(f"{folder} holds no whole result: {error}") from error
    return Result(folder, label, parameters, settings, stages)


def comparison(task: TableTask, results: Sequence[Result]) -> str:
    """A row for each stage of each policy in Markdown, over all runs of it.

    Shares are those of all trials, with the standard deviation of the runs' shares and a 95 %
    Wilson interval. Where the task tells its fixed tests apart from others, each has a table.

    Raises:
        ValueError: If there are none, or runs of one label differ in more than their seeds.
    """
    if not results:
        raise ValueError("no results to compare")
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.label].append(result)
    for runs in grouped.values():
        _check_alike(runs)
    fixed = task.fixed_tests
    if not fixed:
        return _table(task, grouped, slice(None))
    parts = [f"The first {fixed} tests, fixed:\n\n{_table(task, grouped, slice(fixed))}"]
    if any(len(trials) > fixed for result in results for trials in result.stages.values()):
        parts.append(f"The other tests:\n\n{_table(task, grouped, slice(fixed, None))}")
    return "\n\n".join(parts)


def _table(task: TableTask, grouped: Mapping[str, Sequence[Result]], part: slice) -> str:
    """Of these trials of every run."""
    heads = [*HEADS, *task.stages, *TIMES]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for label, runs in grouped.items():
        found = [{stage: run.stages[stage][part] for stage in run.stages} for run in runs]
        pooled = {stage: [t for run in found for t in run[stage]] for stage in found[0]}
        times = common_times({stage: pooled[stage] for stage in pooled if stage != UNTIMED})
        for stage, trials in pooled.items():
            cells = [label, f"{runs[0].parameters:,}", LABELS.get(stage, stage), str(len(runs))]
            cells += _shares([run[stage] for run in found], len(task.stages))
            own = [trial.time_s for trial in trials if trial.succeeded]
            shared = times.get(stage, [])
            cells += [_mean(own), f"{_mean(shared)} ({len(shared)})" if stage in times else "-"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def trials_table(task: TableTask, trials: Mapping[str, Sequence[Trial]]) -> str:
    """A row for each policy in Markdown; trial i is the same test for all."""
    return table(trials, task.stages)


def _shares(runs: Sequence[Sequence[Trial]], stages: int) -> list[str]:
    """For each stage of the task, how many trials passed it."""
    cells = []
    for outcomes in zip(*(passed(run, stages) for run in runs), strict=True):
        found = share([one for run in outcomes for one in run])
        shares = [np.mean(run) for run in outcomes]
        spread = f" ± {100 * np.std(shares, ddof=1):.1f}" if runs[1:] else ""
        interval = f"[{100 * found.low:.0f}, {100 * found.high:.0f}]"
        cells.append(f"{100 * found.value:.1f}{spread} % {interval} ({found.count}/{found.total})")
    return cells


def _check_alike(runs: Sequence[Result]) -> None:
    first = runs[0]
    for run in runs[1:]:
        what = f"{first.folder} and {run.folder} are both called '{run.label}', but"
        if list(run.stages) != list(first.stages):
            raise ValueError(
                f"{what} went through the stages {list(first.stages)} and {list(run.stages)}"
            )
        if run.settings != first.settings:
            raise ValueError(f"{what} their {SETTINGS_FILE} differ in more than the seed")


def _mean(times_s: Sequence[float]) -> str:
    return f"{np.mean(times_s):.2f}" if len(times_s) else "-"
